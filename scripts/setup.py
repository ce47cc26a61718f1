#!/usr/bin/env python3
"""Prepares libtorch 2.1 for cgo, once for each user, and holds the only copy of the cgo flags.

    setup.py               prepare; does nothing when that is done
    setup.py env           prepare, then print the environment of a build, for eval "$(make -s env)"
    setup.py run -- CMD    prepare, then run CMD in that environment

LIBTORCH=DIR   use that libtorch 2.1 instead (the folder with include/ and lib/)
CUDA=0|1       without or with CUDA; by default with, where nvidia-smi answers
HDAS_CACHE=DIR where libtorch is kept; by default hdas in $XDG_CACHE_HOME or ~/.cache
"""
import fcntl
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile

VERSION = "2.1.2"
HERE = pathlib.Path(__file__).resolve().parent
STAMP = "complete.json"

# gotch names these in its linker flags. An empty archive of the name satisfies the linker where the library is not there,
# or where one that libtorch loads by itself would be linked a second time.
NAMED = "cuda cudart cublas cudnn caffe2_nvrtc nvrtc-builtins nvrtc nvToolsExt".split()
NAMED_CPU = NAMED + "torch c10_cuda torch_cuda".split()

# GB that have to be free: the downloads, and what is unpacked of them.
SPACE = {"cpu": 1.5, "cuda": 9}


def fail(cause, cure):
    sys.exit("hdas setup: %s\n  %s" % (cause, cure))


def say(text):
    print("hdas setup: " + text, file=sys.stderr, flush=True)


def cache():
    base = os.environ.get("HDAS_CACHE")
    if base:
        return pathlib.Path(base).absolute()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hdas"


def variant():
    cuda = os.environ.get("CUDA", "")
    if cuda not in ("", "0", "1"):
        fail("CUDA=%s is neither 0 nor 1" % cuda, "Set CUDA=1 for NVIDIA GPUs, CUDA=0 for none, or leave it out.")
    if cuda == "":
        smi = shutil.which("nvidia-smi")
        cuda = "1" if smi and subprocess.run([smi, "-L"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0 else "0"
    return "cuda" if cuda == "1" else "cpu"


def check_machine():
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        fail("this is %s on %s, and libtorch %s is prepared for Linux on x86_64 only" % (platform.system(), platform.machine(), VERSION),
             "Use such a machine or container.")
    if sys.version_info < (3, 8):
        fail("python3 is %s" % platform.python_version(), "Install Python 3.8 or newer.")


def check_compilers():
    go = shutil.which("go")
    if not go:
        fail("go is not installed, or not in PATH", "Install Go 1.26 or newer.")
    need = re.search(r"^go (\d+)\.(\d+)", (HERE.parent / "go.mod").read_text(), re.M)
    out = subprocess.run([go, "env", "GOVERSION"], cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    have = re.search(r"go(\d+)\.(\d+)", out.stdout)
    if out.returncode or not have or tuple(map(int, have.groups())) < tuple(map(int, need.groups())):
        fail("go is %s, and %s.%s is needed" % (out.stdout.strip() or "unknown", *need.groups()), "Install Go %s.%s or newer." % need.groups())
    cxx = os.environ.get("CXX", "g++")
    try:
        p = subprocess.run(shlex.split(cxx) + ["-std=c++17", "-x", "c++", "-fsyntax-only", "-"], input=b"#include <optional>\n", stderr=subprocess.PIPE)
    except FileNotFoundError:
        fail("%s is not installed" % cxx, "Install g++ (Debian, Ubuntu: apt-get install g++), or name a compiler with CXX.")
    if p.returncode:
        fail("%s does not compile C++17: %s" % (cxx, p.stderr.decode(errors="replace").strip()[:300]),
             "Install g++ 8 or newer (Debian, Ubuntu: apt-get install g++), or name a compiler with CXX.")


def check_space(folder, kind):
    free = shutil.disk_usage(folder).free / 1e9
    if free < SPACE[kind]:
        fail("%.1f GB are free in %s, and libtorch needs %.1f GB" % (free, folder, SPACE[kind]),
             "Free some space, or name a folder on a larger disk with HDAS_CACHE.")


def download(folder, kind):
    """Gets the wheels; pip checks each against the hash in the list."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        fail("%s has no pip, and libtorch comes as a Python package" % sys.executable,
             "Install pip (Debian, Ubuntu: apt-get install python3-pip), or set LIBTORCH to a libtorch 2.1.")
    wanted = HERE / ("libtorch-%s.txt" % kind)
    say("downloading libtorch %s for %s (%s)" % (VERSION, kind.upper(), {"cpu": "0.7 GB", "cuda": "2.6 GB"}[kind]))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--implementation", "cp",
               "--python-version", "3.11", "--abi", "cp311", "--platform", "manylinux1_x86_64", "--require-hashes",
               "--disable-pip-version-check", "-r", str(wanted), "-d", str(folder)]
    p = subprocess.run(command, stdout=sys.stderr)
    if p.returncode:
        fail("pip could not download libtorch; its own words are above",
             "Check the network and pip's settings (a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run again, or set LIBTORCH to a libtorch 2.1.")


def wanted(name, kind):
    """Says whether a file of a wheel is needed to compile, to link or to run, or is a licence."""
    if re.match(r"torch/include/|torch/version\.py$", name) or re.search(r"dist-info/.*(LICEN[SC]E|NOTICE|METADATA)", name, re.I):
        return True
    if name.startswith("torch/lib/"):
        file = name.rsplit("/", 1)[1]
        if kind == "cpu":
            return re.match(r"libc10\.so|libtorch_cpu\.so|libgomp", file)
        return not re.match(r"libtorch_python|libnvfuser|libshm|libtorch_global_deps", file)
    if re.match(r"nvidia/[^/]+/lib/", name):
        return True
    return kind == "cuda" and name.startswith("nvidia/cuda_runtime/include/")


def unpack(wheels, folder, kind):
    for wheel in sorted(wheels.glob("*.whl")):
        say("unpacking " + wheel.name)
        with zipfile.ZipFile(wheel) as z:  # checks every file's CRC
            z.extractall(folder, [n for n in z.namelist() if not n.endswith("/") and wanted(n, kind)])
        wheel.unlink()


def empty_archives(folder, names):
    """An archive without members is its magic number."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = folder / ("lib%s.a" % name)
        if not file.exists():
            file.write_bytes(b"!<arch>\n")


def complete(folder):
    try:
        return json.loads((folder / STAMP).read_text()).get("version") == VERSION
    except (OSError, ValueError):
        return False


def prepare(kind):
    """Returns the folder of the prepared libtorch. It is made beside and renamed: what bears its name is whole."""
    home = cache()
    folder = home / ("libtorch-%s-%s" % (VERSION, kind))
    if complete(folder):
        return folder
    check_machine()
    check_compilers()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / ".lock", "w")
    except OSError as e:
        fail("%s cannot be written: %s" % (home, e), "Name another folder with HDAS_CACHE.")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("another setup is at work; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
    if complete(folder):
        return folder
    for leftover in home.glob(".unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    check_space(home, kind)
    work = pathlib.Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home))
    try:
        download(work / "wheels", kind)
        unpack(work / "wheels", work / "libtorch", kind)
        empty_archives(work / "libtorch" / "empty", NAMED_CPU if kind == "cpu" else NAMED)
        (work / "libtorch" / STAMP).write_text(json.dumps({"version": VERSION, "kind": kind}) + "\n")
        if folder.exists():
            folder.rename(work / "old")
        (work / "libtorch").rename(folder)
    except OSError as e:
        fail("libtorch could not be unpacked into %s: %s" % (home, e), "Free some space, or name a folder on a larger disk with HDAS_CACHE.")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say("libtorch is in %s" % folder)
    return folder


def own(path):
    """Returns (torch folder, folder of empty archives, C++ ABI, kind) of a libtorch of the user's."""
    torch = pathlib.Path(path).absolute()
    header, c10 = torch / "include" / "torch" / "version.h", torch / "lib" / "libc10.so"
    if not header.is_file() and (torch / "include" / "torch" / "csrc" / "api" / "include" / "torch" / "version.h").is_file():
        header = torch / "include" / "torch" / "csrc" / "api" / "include" / "torch" / "version.h"
    for file in (header, c10, torch / "lib" / "libtorch_cpu.so"):
        if not file.is_file():
            fail("LIBTORCH=%s has no %s" % (path, file.relative_to(torch)), "Name the folder of a libtorch 2.1 that has include/ and lib/, or leave LIBTORCH out.")
    found = re.search(r'define\s+TORCH_VERSION\s+"?([\d.]+)', header.read_text())
    if not found or not found.group(1).startswith("2.1."):
        fail("LIBTORCH=%s is version %s, and gotch binds 2.1" % (path, found.group(1) if found else "unknown"), "Name a libtorch 2.1, or leave LIBTORCH out.")
    # c10::Error's constructor takes a std::string, whose name in the symbol tells the ABI.
    symbols = c10.read_bytes()
    if b"_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_string" in symbols:
        abi = 1
    elif b"_ZN3c105ErrorC1ENS_14SourceLocationESs" in symbols:
        abi = 0
    else:
        fail("the C++ ABI of %s cannot be found out" % c10, "Use libtorch 2.1 as published, or leave LIBTORCH out.")
    kind = "cuda" if (torch / "lib" / "libtorch_cuda.so").exists() and os.environ.get("CUDA") != "0" else "cpu"
    if os.environ.get("CUDA") == "1" and kind == "cpu":
        fail("CUDA=1, but LIBTORCH=%s has no libtorch_cuda.so" % path, "Name a libtorch with CUDA, or set CUDA=0.")
    check_machine()
    check_compilers()
    empty = cache() / ("empty-%s" % kind)
    empty_archives(empty, NAMED_CPU if kind == "cpu" else NAMED)
    return torch, empty, abi, kind


def environment():
    if os.environ.get("LIBTORCH"):
        torch, empty, abi, kind = own(os.environ["LIBTORCH"])
    else:
        kind = variant()
        folder = prepare(kind)
        torch, empty, abi = folder / "torch", folder / "empty", 0  # the wheel's ABI
    t, e = str(torch), str(empty)
    if re.search(r"\s", t + e):
        fail("the path %s has a space, which cgo's flags do not allow" % t, "Name another folder with HDAS_CACHE or LIBTORCH.")
    env = {
        "CGO_CXXFLAGS": "-O2 -D_GLIBCXX_USE_CXX11_ABI=%d -I%s/include -I%s/include/torch/csrc/api/include" % (abi, t, t),
        "CGO_LDFLAGS": "-L%s -L%s/lib -Wl,-rpath,%s/lib" % (e, t, t),
    }
    if kind == "cuda":
        env["GOFLAGS"] = (os.environ.get("GOFLAGS", "") + " -tags=cuda").strip()
    return env


def main(args):
    if args[:1] == ["run"] and args[1:2] == ["--"] and args[2:]:
        env = dict(os.environ, **environment())
        try:
            os.execvpe(args[2], args[2:], env)
        except OSError as e:
            fail("%s cannot be run: %s" % (args[2], e), "Install it.")
    elif args == ["env"]:
        for key, value in environment().items():
            print("export %s=%s" % (key, shlex.quote(value)))
    elif not args:
        environment()
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
