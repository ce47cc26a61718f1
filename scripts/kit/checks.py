"""Checks hdas on this machine, beside the PyTorch that is installed: run-checks [PART], or run-checks table.

Without a part it lists them. Each prints a table and adds a file to the folder results, in JSON, with what its programs
printed beside it. "table" prints all tables again.

PYTHON=COMMAND  the Python with PyTorch (default: python3)
DEVICE=cpu|cuda|cuda:N  default: the first GPU, or the CPU where hdas finds none
REFERENCE=DIR   a checkout of quark0/darts, for the part that compares with it
"""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
LIMIT = 570  # seconds that a part may take
KIT = json.loads((HERE / "kit.json").read_text())  # torch: the version it was built for; tests: folders of tests by part


def fail(words):
    sys.exit("run-checks: " + words)


def libraries():
    """Returns the version of the installed PyTorch and the folder of its libraries. It does not import it."""
    spec = importlib.util.find_spec("torch")
    if not spec or not spec.origin:
        fail("PyTorch is not installed for %s; name a Python that has it with PYTHON=COMMAND, or run: %s -m pip install torch==%s.*" % (
            sys.executable, sys.executable, KIT["torch"]))
    folder = pathlib.Path(spec.origin).parent
    found = re.search(r"__version__ = '([^']+)'", (folder / "version.py").read_text())
    version = found.group(1) if found else "of an unknown version"
    if version.split(".")[:2] != KIT["torch"].split("."):
        fail("this kit is for PyTorch %s, and %s is installed in %s; make a kit for it: make device-kit VERSION=..." % (KIT["torch"], version, folder))
    return version, folder / "lib"


class Part:
    """A run of a part: its programs, and what is known of it in the end."""

    def __init__(self, name):
        self.name, self.began = name, time.time()
        version, lib = libraries()
        self.env = dict(os.environ, PYTHON=sys.executable)
        self.env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(lib), os.environ.get("LD_LIBRARY_PATH")]))
        doctor = json.loads(self.hdas("doctor", "--json"))
        self.device = os.environ.get("DEVICE") or doctor["devices"][-1 if len(doctor["devices"]) == 1 else 1]
        if self.device.startswith("cuda") and len(doctor["devices"]) == 1:
            fail("DEVICE=%s: %s" % (self.device, doctor["cuda"]))
        self.env["HDAS_TEST_DEVICE"] = self.device
        self.gpu = self.device.startswith("cuda")
        self.small = [] if self.gpu else ["--batch", "2", "--channels", "2", "--cells", "5", "--threads", "1", "--rounds", "2"]  # of hdas bench
        self.result = {"part": name, "kit": KIT["version"], "time": time.strftime("%Y-%m-%d %H:%M:%S"), "device": self.device, "gpu": card(),
                       "torch": version, "failed": False, "table": [], "output": []}
        self.stem = RESULTS / (time.strftime("%Y%m%d-%H%M%S-") + name)

    def run(self, command, cwd=HERE):
        """Runs a command and returns its exit code and its standard output. Both outputs go to a file beside the result."""
        left = LIMIT - (time.time() - self.began)
        print("  " + " ".join(str(word) for word in command), file=sys.stderr, flush=True)
        RESULTS.mkdir(exist_ok=True)
        try:
            p = subprocess.run([str(word) for word in command], cwd=str(cwd), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=max(1, left), universal_newlines=True)
            code, out, errs = p.returncode, p.stdout, p.stderr
        except subprocess.TimeoutExpired as e:
            text = [(part or b"").decode(errors="replace") if not isinstance(part, str) else part for part in (e.stdout, e.stderr)]
            code, out, errs = 124, text[0], text[1] + "\nended after %d s" % left
        if hasattr(self, "stem"):
            with open(str(self.stem) + ".log", "a") as log:
                log.write("$ %s\n%s%s\nexit code %d\n" % (" ".join(map(str, command)), out, errs, code))
        self.errs = errs
        return code, out

    def hdas(self, *args):
        """Returns what hdas prints; where it fails, the part has failed."""
        code, out = self.run([HERE / "bin" / "hdas"] + list(args))
        if code and not hasattr(self, "result"):
            fail("hdas does not run: %s" % (self.errs.strip() or out.strip()).splitlines()[-1:])
        if code:
            self.row(" ".join(args[:2]), "exit code %d: %s" % (code, (self.errs.strip().splitlines() or [""])[-1]), failed=True)
        return out

    def figures(self, *args):
        """Returns the JSON that hdas prints, None if it prints none."""
        out = self.hdas(*args, "--json")
        try:
            value = json.loads(out)
        except ValueError:
            return None
        self.result["output"].append({"command": list(args), "json": value})
        return value

    def row(self, *cells, failed=False):
        self.result["table"].append([str(c) for c in cells] + (["FAILED"] if failed else []))
        self.result["failed"] = self.result["failed"] or failed

    def end(self):
        self.result["seconds"] = round(time.time() - self.began, 1)
        RESULTS.mkdir(exist_ok=True)
        pathlib.Path(str(self.stem) + ".json").write_text(json.dumps(self.result, indent=1) + "\n")
        show(self.result)
        return 1 if self.result["failed"] else 0


def card():
    """Returns the name of the GPU and the version of its driver, empty without nvidia-smi."""
    if not shutil.which("nvidia-smi"):
        return ""
    p = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    return p.stdout.strip().replace("\n", "; ")


def compiler():
    return any(shutil.which(c) for c in ([os.environ["CC"]] if os.environ.get("CC") else ["gcc", "cc", "clang"]))


def show(result):
    print("%s on %s%s, PyTorch %s, %s: %s after %.0f s" % (result["part"], result["device"], " (%s)" % result["gpu"] if result["gpu"] else "", result["torch"],
                                                           result["time"], "FAILED" if result["failed"] else "ok", result["seconds"]))
    table = result["table"]
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table), default=0))]
    for row in table:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


# The parts.

def doctor(p):
    p.row("libtorch", "library", "devices")
    d = p.figures("doctor")
    p.row(d["libtorch"], d["library"], " ".join(d["devices"]))
    if d.get("cuda"):
        p.row("no CUDA", d["cuda"])
    if p.gpu:  # it computes there
        p.figures("bench", "eval", "--device", p.device, "--batch", "2", "--rounds", "2")
    missing = [line.strip() for line in p.run(["ldd", HERE / "bin" / "hdas"])[1].splitlines() if "not found" in line] if shutil.which("ldd") else []
    p.row("libraries not found", " ".join(missing) or "none", failed=bool(missing))


# Tests that prepare Python packages with a checkout's scripts.
NEED_CHECKOUT = "^(TestONNX|TestModules|TestTensorBoard)$"


def tests(p):
    p.row("package", "passed", "failed", "skipped", "seconds")
    for folder in KIT["tests"][p.name]:
        where, began = HERE / "src" / folder, time.time()
        left = max(1, int(LIMIT - (time.time() - p.began)))
        code, out = p.run([where / (where.name + ".test"), "-test.v", "-test.skip", NEED_CHECKOUT, "-test.timeout=%ds" % left], cwd=where)
        ended = {kind: re.findall(r"^( *)--- %s: (\S+)" % kind, out, re.M) for kind in ("PASS", "FAIL", "SKIP")}
        names = [name for _, name in ended["FAIL"]]
        leaves = [n for n in names if not any(other.startswith(n + "/") for other in names)]
        if code and not names:
            running = re.findall(r"^=== RUN +(\S+)", out, re.M)[-1:]
            leaves = ["exit code %d%s: %s" % (code, " in " + running[0] if running else "", (p.errs.strip() or out.strip()).splitlines()[-1])]
        p.result["output"].append({"package": folder, "passed": len(ended["PASS"]), "failed": leaves, "skipped": [name for _, name in ended["SKIP"]]})
        count = [len([1 for indent, _ in ended[kind] if not indent]) for kind in ("PASS", "FAIL", "SKIP")]
        p.row(folder, *count, "%.0f" % (time.time() - began), *leaves, failed=code != 0)


def compare(p, *more):
    p.row("network", "worst group", "difference", "at most", "hdas s", "PyTorch s", "hdas MB", "PyTorch MB")
    size = ["--channels", "16", "--batch", "16"] if p.gpu else ["--channels", "2", "--layers", "5", "--batch", "2", "--steps", "1", "--threads", "1"]
    for r in p.figures("compare", "pytorch", "--device", p.device, *size, *more) or []:
        # The worst is the one that comes nearest to its tolerance, or exceeds it the most.
        share = lambda g: float("inf") if g["difference"] is None else g["difference"] / g["bar"] if g["bar"] else 0
        worst, pace = max(r["groups"], key=share), r["paces"][0]
        p.row(r["case"], worst["name"], worst["difference"], worst["bar"], "%.3f" % pace["seconds_hdas"], "%.3f" % pace["seconds_pytorch"],
              "%.0f" % (pace["peak_bytes_hdas"] / 1e6), "%.0f" % (pace["peak_bytes_pytorch"] / 1e6), failed=any(g["failed"] for g in r["groups"]))


def float64(p):
    compare(p)


def float32(p):
    compare(p, "--precision", "float32")


def bench(p, names, *more, compile=False):
    p.row("workload", "precision", "batch", "hdas s", "hdas GB", "PyTorch s", "PyTorch GB", "speed", "memory", "compiled s", "speed")
    if compile and not compiler():
        p.row("torch.compile is not available: there is no C compiler")
        return
    for name in names:
        size = ["--batch", "64"] if name == "imagenet" and p.gpu else []
        for r in p.figures("bench", name, "--device", p.device, "--pytorch", *p.small, *size, *more, *(["--compile"] if compile else [])) or []:
            peer, compiled = r.get("pytorch"), r.get("compiled")
            cells = [r["workload"], r["precision"], r["batch"], "%.4f" % r["seconds"], "%.2f" % (r["peak"] / 1e9)]
            cells += ["%.4f" % peer["seconds"], "%.2f" % (peer["peak"] / 1e9), "%.2fx" % peer["speed"][0], "%.2fx" % peer["memory"]]
            cells += ["%.4f" % compiled["seconds"], "%.2fx" % compiled["speed"][0]] if compiled else [r.get("reason", "-")]
            p.row(*cells)


SEARCHES, TRAININGS = ["darts", "cell", "distribution", "stage"], ["train", "imagenet", "eval"]


def reduced(p, precision):
    if precision == "fp16" and not p.gpu:
        p.row("fp16 is for CUDA; this is the CPU")
        return
    bench(p, ["darts", "train", "eval"], "--precision", precision)


def launches(p):
    """Operations of a step, and its seconds, edge by edge and with equal edges grouped, launched one by one and recorded."""
    workloads = ["bench", "darts", "stage", "train", "--device", p.device, "--path", "operations,grouped"] + p.small
    counted = {(r["workload"], r["path"]): sum(r["launches"].values()) for r in p.figures(*workloads, "--launches") or []}
    p.row("workload", "path", "operations in a step", "graphs", "seconds", "GB")
    for r in p.figures(*workloads, "--graphs", "true,false" if p.gpu else "false") or []:
        p.row(r["workload"], r["path"], counted.get((r["workload"], r["path"])), r["graphs"], "%.4f" % r["seconds"], "%.2f" % (r["peak"] / 1e9))


def reference(p):
    folder = os.environ.get("REFERENCE")
    if not folder:
        p.row("not run: name a checkout of quark0/darts with REFERENCE=DIR")
        return
    compare(p, "--reference", os.path.abspath(folder))
    for r in p.figures("bench", "darts", "--device", p.device, "--reference", os.path.abspath(folder), *p.small) or []:
        p.row("bench darts", "", "", "", "%.3f" % r["seconds"], "%.3f" % r["pytorch"]["seconds"], "%.0f" % (r["peak"] / 1e6), "%.0f" % (r["pytorch"]["peak"] / 1e6))


def prediction(p):
    """An epoch of a search on the embedded digits, predicted and done."""
    p.row("", "predicted", "from", "to", "measured")
    out = pathlib.Path(str(p.stem) + "-run")
    size = ["--config", "darts-search", "--set", "data.name=digits", "--set", "data.size=32"] if p.gpu else ["--config", "tiny-cell", "--set", "network.channels=2", "--set", "search.batch=200"]
    search = ["search", "cell", "--device", p.device, "--set", "search.epochs=1", *size]
    e = p.figures(*search, "--dry-run")
    began = time.time()
    p.hdas(*search, "--out", str(out))
    took = time.time() - began
    shutil.rmtree(str(out), ignore_errors=True)
    if e:
        s, b = e["seconds"], e["bytes"]
        p.row("seconds", "%.1f" % s["median"], "%.1f" % s["low"], "%.1f" % s["high"], "%.1f, with the start of the program" % took)
        p.row("peak memory, MB", "%.0f" % (b["predicted"] / 1e6), "", "%.0f" % (b["high"] / 1e6), "")


def moves(p):
    """A checkpoint of the CPU on the device, and one of the device on the CPU."""
    p.row("trained on", "top-1 on the CPU", "top-1 on " + p.device)
    for device in dict.fromkeys(["cpu", p.device]):
        out = pathlib.Path(str(p.stem) + "-" + device.replace(":", ""))
        p.hdas("train", "--genotype", "DARTS_V2", "--config", "tiny-train", "--device", device, "--out", str(out), "--set", "train.epochs=1",
               "--set", "network.channels=4", "--set", "network.layers=3", "--set", "train.batch=100")
        scores = [(p.figures("eval", str(out), "--device", d) or {}).get("top1", -1) for d in ("cpu", p.device)]
        p.row(device, *scores, failed=min(scores) < 0.2 or abs(scores[0] - scores[1]) > 0.001)
        shutil.rmtree(str(out), ignore_errors=True)


# name: (what it does, about how long on a GPU, the function)
PARTS = {"doctor": ("the libraries, the devices, and that the device computes", "10 s", doctor)}
for name, folders in KIT["tests"].items():
    PARTS[name] = ("tests of " + ", ".join(folders), KIT["minutes"][name], tests)
PARTS.update({
    "compare-float64": ("13 networks and supernets beside PyTorch in float64: logits, losses, gradients, steps", "3 min", float64),
    "compare-float32": ("the same in float32, with TF32 off", "3 min", float32),
    "bench-searches": ("seconds and memory of search steps beside PyTorch, float32", "4 min", lambda p: bench(p, SEARCHES)),
    "bench-trainings": ("the same of training and evaluation", "3 min", lambda p: bench(p, TRAININGS)),
    "bench-bf16": ("darts, train, eval in bf16", "3 min", lambda p: reduced(p, "bf16")),
    "bench-fp16": ("darts, train, eval in fp16", "3 min", lambda p: reduced(p, "fp16")),
    "compile-search": ("darts beside torch.compile, which compiles for minutes", "9 min", lambda p: bench(p, ["darts"], compile=True)),
    "compile-training": ("train and eval beside torch.compile", "9 min", lambda p: bench(p, ["train", "eval"], compile=True)),
    "launches": ("launches and seconds of a step, edge by edge and with equal edges grouped", "2 min", launches),
    "reference": ("DARTS' networks and search beside quark0/darts (REFERENCE=DIR)", "3 min", reference),
    "prediction": ("the predicted time and memory of an epoch, and its time", "3 min", prediction),
    "checkpoint": ("checkpoints of the CPU on the device, and of the device on the CPU", "1 min", moves),
})


def main(args):
    if args == ["table"]:
        for file in sorted(RESULTS.glob("*.json")):
            show(json.loads(file.read_text()))
        return 0
    if not args:
        print("./run-checks PART, one of these (times are those of a GPU; results are added to %s):" % RESULTS)
        for name, (about, takes, _) in PARTS.items():
            print("  %-17s %-6s %s" % (name, takes, about))
        print("  %-17s %-6s %s" % ("table", "", "all results so far"))
        return 0
    if len(args) > 1 or args[0] not in PARTS:
        fail("%s is no part; run ./run-checks for the list" % " ".join(args))
    part = Part(args[0])
    PARTS[args[0]][2](part)
    return part.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
