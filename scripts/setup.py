#!/usr/bin/env python3
"""Prepares libtorch for cgo, once for each user. The cgo flags are defined here only.

    setup.py               prepare, and say which libtorch is used, where it is, and why
    setup.py env           prepare, then print the environment of a build, for eval "$(make -s env)"
    setup.py run -- CMD    prepare, then run CMD in that environment

LIBTORCH=python  use the libtorch of the installed PyTorch (of $PYTHON, default python3)
LIBTORCH=DIR     use this libtorch (the folder with include/ and lib/; of a PyTorch, its folder torch)
LIBTORCH=2.11.0  prepare this version; default: the newest supported one that runs here
CUDA=0|1         prepare a libtorch without or with CUDA; default: with CUDA if nvidia-smi finds a GPU. A program
                 that is built with CUDA=0 uses no GPU
LIBJPEG=0        decode JPEG in Go, several times slower than libjpeg-turbo
LIBJPEG=1        decode it with libjpeg-turbo: the installed one or, if the compiler finds none, a static one that is downloaded
                 (0.3 MB); default: the same, but in Go if neither is there
LIBJPEG=static   take the downloaded one, for a program that moves to other machines
HDAS_CACHE=DIR   the folder for libtorch; default: hdas in $XDG_CACHE_HOME or ~/.cache

The supported versions are listed in torch/versions/versions.txt.
"""
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time

LAYOUT = 2  # version of the prepared folder's layout; folders of another version are prepared again
HERE = pathlib.Path(__file__).resolve().parent
STAMP = "complete.json"
COMPAT = HERE / "gotch.h"  # with this header, gotch, which was made for libtorch 2.1, compiles on newer ones

# The platforms of the wheels, as pip's options.
PLATFORMS = [word for name in ["1", "2010", "2014"] + ["_2_%d" % minor for minor in range(5, 29)]
             for word in ("--platform", "manylinux%s_x86_64" % name)]

# gotch names these libraries in its linker flags. An empty archive of that name satisfies the linker if the library does not exist,
# and avoids that a library which libtorch loads itself becomes one without which the program cannot start.
# The program loads the CUDA libraries itself where there is a GPU.
NAMED = "cuda cudart cublas cudnn caffe2_nvrtc nvrtc-builtins nvrtc nvToolsExt torch c10_cuda torch_cuda".split()


def fail(cause, cure):
    sys.exit("hdas setup: %s.\n  %s" % (cause, cure))


def say(text):
    print("hdas setup: " + text, file=sys.stderr, flush=True)


def cache():
    base = os.environ.get("HDAS_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "hdas")
    base = os.path.expanduser(base)
    check_path(base, "HDAS_CACHE")
    return pathlib.Path(os.path.abspath(base))


def check_path(path, variable):
    """Fails for a path that cannot be a flag: cgo splits flags at spaces and quotes, the linker at commas, the loader at colons."""
    if re.search(r"""[\s,:;$"'\\]""", os.path.abspath(path)):
        fail("the path %r has a space or a sign that compiler flags do not allow" % os.path.abspath(path), "Name another folder with %s." % variable)


class Version:
    """A line of versions.txt."""

    def __init__(self, line):
        self.number, standard, self.cuda, driver, capability, python, self.passed = line.split()
        self.standard, self.driver = int(standard), int(driver)
        self.oldest, self.newest = (tuple(map(int, c.split("."))) for c in capability.split("-"))
        self.pythons = [tuple(map(int, c.split("."))) for c in python.split("-")]

    def missing(self, gpus):
        """Returns what the GPUs lack for the published wheel of this version, "" if nothing."""
        for driver, capability in gpus:
            if driver < self.driver:
                return "CUDA %s needs the NVIDIA driver %d, and %d is installed" % (self.cuda, self.driver, driver)
            if not self.oldest <= capability <= self.newest:
                return "its wheel has code for compute capabilities %d.%d to %d.%d, and a GPU here has %d.%d" % (self.oldest + self.newest + capability)
        return ""


def supported():
    """Returns the supported versions, the oldest first."""
    lines = (HERE.parent / "torch" / "versions" / "versions.txt").read_text().splitlines()
    return [Version(line) for line in lines if not line.startswith("#")]


def names(versions):
    return ", ".join(v.number for v in versions)


def of(version):
    """Returns the supported version with the major and minor number of a version, None if there is none."""
    return next((v for v in supported() if v.number.split(".")[:2] == version.split(".")[:2]), None)


def gpus():
    """Returns (major version of the driver, compute capability) of each NVIDIA GPU, [] if nvidia-smi finds none."""
    try:
        p = subprocess.run(["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, timeout=60, universal_newlines=True)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^(\d+)[\d.]*, *(\d+)\.(\d+) *$", p.stdout, re.M) if p.returncode == 0 else []
    return [(int(driver), (int(major), int(minor))) for driver, major, minor in found]


def choose(asked):
    """Returns the version and the variant ("cpu" or "cuda") to prepare, and why. asked is the number of a version, or empty."""
    cuda = os.environ.get("CUDA", "")
    if cuda not in ("", "0", "1"):
        fail("CUDA=%s is neither 0 nor 1" % cuda, "Set CUDA=1 for NVIDIA GPUs, CUDA=0 for none, or leave it out.")
    here = [] if cuda == "0" else gpus()
    kind = "cuda" if cuda == "1" or here else "cpu"
    if asked:
        version = next(v for v in supported() if v.number == asked)
        if not wheels_file(version, kind).exists():
            fail("libtorch %s for %s is not among those that setup can prepare" % (asked, kind.upper()),
                 "Install it (pip install torch==%s) and set LIBTORCH=python, or choose one of %s." % (asked, names(prepared(kind))))
        if version.missing(here):
            fail("libtorch %s does not run here: %s" % (asked, version.missing(here)), "Leave LIBTORCH out, set CUDA=0, or install a newer driver.")
        return version, kind, "LIBTORCH=%s" % asked
    newest = prepared(kind)[-1]
    for version in reversed(prepared(kind)):
        if not version.missing(here):
            why = "the newest for %s" % ("GPUs" if kind == "cuda" else "CPUs")
            if version.number != newest.number:
                why = "the newest that runs here; %s does not: %s" % (newest.number, newest.missing(here))
            return version, kind, why
    fail("no supported libtorch runs on this GPU: %s: %s" % (newest.number, newest.missing(here)), "Install a newer driver, or set CUDA=0 to use the CPU.")


def wheels_file(version, kind):
    return HERE / "libtorch" / ("%s-%s.txt" % (version.number, kind))


def prepared(kind):
    """Returns the supported versions whose wheels are listed, the oldest first."""
    return [v for v in supported() if wheels_file(v, kind).exists()]


def check_machine():
    system, _, _, _, machine = os.uname()
    if (system, machine) != ("Linux", "x86_64"):
        fail("this is %s on %s, and libtorch is prepared for Linux on x86_64 only" % (system, machine), "Use such a machine or container.")
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        libc = None
    if not libc:
        fail("the C library is not glibc, for which libtorch is built", "Use a distribution with glibc (Debian, Ubuntu, Fedora), not Alpine.")


def check_go():
    """Returns the settings of the go command: GOFLAGS, CC, CXX."""
    need = re.search(r"^go (\d+)\.(\d+)", (HERE.parent / "go.mod").read_text(), re.M).groups()
    install = "Install Go %s.%s or newer and put its bin folder into PATH." % need
    go = shutil.which("go")
    if not go:
        fail("go is not installed, or not in PATH", install)
    asked = ["GOVERSION", "GOFLAGS", "CGO_ENABLED", "CC", "CXX"]
    p = subprocess.run([go, "env"] + asked, cwd=str(HERE.parent), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    have = dict(zip(asked, p.stdout.split("\n")))
    found = re.search(r"go(\d+)\.(\d+)", have.get("GOVERSION", ""))
    if p.returncode or not found or tuple(map(int, found.groups())) < tuple(map(int, need)):
        fail("%s is %s, and %s.%s is needed" % (go, have.get("GOVERSION") or p.stderr.strip() or "of an unknown version", *need), install)
    for key, default in ("CC", "gcc"), ("CXX", "g++"):
        command = shlex.split(have[key] or default)
        if not shutil.which(command[0]):
            fail("the compiler %s is not installed" % command[0], "Install g++ 8 or newer (Debian, Ubuntu: apt-get install g++), or name a compiler with %s." % key)
    if have["CGO_ENABLED"] == "0":
        fail("CGO_ENABLED=0 switches cgo off, and libtorch is a C++ library", "Unset CGO_ENABLED (go env -u CGO_ENABLED, if go env -w set it).")
    return have


def check_compiler(cxx, version):
    header = {17: "optional", 20: "concepts"}[version.standard]
    p = subprocess.run(shlex.split(cxx) + ["-std=c++%d" % version.standard, "-fopenmp", "-x", "c++", "-fsyntax-only", "-"],
                       input=b"#include <%s>\n" % header.encode(), stderr=subprocess.PIPE)
    if p.returncode:
        older = [v for v in supported() if v.standard < version.standard]
        fail("%s does not compile C++%d with OpenMP: %s" % (cxx, version.standard, p.stderr.decode(errors="replace").strip()[:300]),
             "Install g++ %d or newer (Debian, Ubuntu: apt-get install g++), or name a compiler with CXX%s." % (
                 {17: 8, 20: 11}[version.standard], ", or an older libtorch with LIBTORCH=%s" % older[-1].number if older else ""))


# What else helps if a Python package cannot be fetched.
INSTEAD = {"libtorch": "name an existing libtorch with LIBTORCH",
           "libjpeg-turbo": "install libjpeg-turbo (Debian, Ubuntu: apt-get install libjpeg-dev), or set LIBJPEG=0"}


def check_pip(what):
    import importlib.metadata
    import importlib.util
    if not importlib.util.find_spec("pip"):
        fail("%s has no pip, and %s comes as a Python package" % (sys.executable, what),
             "Install pip (Debian, Ubuntu: apt-get install python3-pip), or %s." % INSTEAD[what])
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return
    if int(version.split(".")[0]) < 20:
        fail("pip is %s, and 20 or newer is needed" % version, "Run: %s -m pip install --user --upgrade pip" % sys.executable)


def check_space(home, kind, wheels):
    """Checks the free disk space. A wheel is on disk twice while pip saves it and once while it is unpacked; then only its kept files."""
    need = kept = 0
    for w in wheels:
        need = max(need, kept + 2 * w.size, kept + w.size + w.kept)
        kept += w.kept
    need = need * 1.02 + 5e7  # for blocks and folders
    free = shutil.disk_usage(str(home)).free
    if free < need:
        cure = "Free some space, or name a folder on a larger disk with HDAS_CACHE."
        if kind == "cuda":
            cure += " CUDA=0 takes the CPU's libtorch, which needs 1.5 GB."
        fail("%.1f GB are free in %s, and libtorch needs %.1f GB" % (free / 1e9, home, need / 1e9), cure)


class Wheel:
    """A line of libtorch/*.txt or libjpeg/wheel.txt: NAME==VERSION --hash=sha256:HASH  # SIZE bytes, KEPT kept."""

    def __init__(self, line):
        m = re.match(r"((\S+)==(\S+) --hash=sha256:([0-9a-f]{64}))  # (\d+) bytes, (\d+) kept$", line)
        if not m:
            raise ValueError("not a wheel: " + line)
        self.requirement, self.name, self.version, self.hash = m.group(1, 2, 3, 4)
        self.size, self.kept = int(m.group(5)), int(m.group(6))


def wheels_of(file):
    return [Wheel(line) for line in file.read_text().splitlines() if line and not line.startswith("#")]


def download(wheel, folder, what="libtorch", python="3.11", options=()):
    """Downloads one wheel with pip, which verifies the hash and uses the user's proxy and mirror."""
    (folder / "list.txt").write_text(wheel.requirement + "\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--implementation", "cp",
               "--python-version", python, "--abi", "cp" + python.replace(".", "")] + PLATFORMS + ["--require-hashes", "--disable-pip-version-check",
               "-r", str(folder / "list.txt"), "-d", str(folder)] + list(options)
    if not sys.stderr.isatty():
        command.append("--quiet")
    # pip writes its temporary files to the disk whose space was checked; /tmp may be on another one.
    env = dict(os.environ, TMPDIR=str(folder), PIP_REQUIRE_VIRTUALENV="0")
    with subprocess.Popen(command, env=env, stdout=sys.stderr, stderr=subprocess.PIPE) as p:
        words = b""
        for line in p.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
            words += line
    got = list(folder.glob("*.whl"))
    if p.returncode == 0 and len(got) == 1 and got[0].stat().st_size == wheel.size:
        return got[0]
    if b"No space left" in words:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if p.returncode == 0 or b"DO NOT MATCH THE HASHES" in words:
        fail("what pip downloaded for %s %s is not the file that is pinned" % (wheel.name, wheel.version),
             "Run again. If it stays so, a proxy or mirror serves another file: see PIP_INDEX_URL and HTTPS_PROXY, or %s." % INSTEAD[what])
    fail("pip could not download %s %s; its own words are above" % (wheel.name, wheel.version),
         "Check the network and pip's settings (a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run again, or %s." % INSTEAD[what])


def target(name, kind):
    """Returns the path for a file of a wheel, None if it is not needed for compiling, linking or running and is no licence."""
    if kind == "libjpeg":
        found = re.search(r"/libjpeg/install/((include|lib)/[^/]+)$", name)
        return found and found.group(1)
    licence = re.match(r"([^/]+)-[^/]+\.dist-info/(?:.*/)?((?:LICENSE|License|NOTICE)[^/]*)$", name)
    if licence:
        package = re.sub(r"^nvidia_(.*?)(_cu\d+)?$", r"nvidia/\1", licence.group(1))
        return "%s/%s" % (package, licence.group(2))
    keep = [r"torch/include/", r"torch/version\.py$", r"torch/lib/lib(c10|torch_cpu)\.so$", r"torch/lib/libgomp"]
    if kind == "cpu":
        keep += [r"nvidia/[^/]+/lib/lib(cudart|cupti)\.so"]  # libtorch_cpu.so names them
    else:
        keep += [r"torch/lib/lib(torch|torch_cuda|torch_cuda_linalg|torch_nvshmem|c10_cuda|caffe2_nvrtc)\.so$", r"nvidia/[^/]+/lib/lib",
                 r"cusparselt/(lib/lib|LICENSE)"]  # of 2.8
    if not name.endswith("/") and any(re.match(k, name) for k in keep):
        return name
    return None


def unpack(wheel, tree, kind):
    """Unpacks a wheel. zipfile verifies the CRC of each file."""
    import zipfile
    try:
        with zipfile.ZipFile(str(wheel)) as z:
            for name in z.namelist():
                to = target(name, kind)
                if to:
                    (tree / to).parent.mkdir(parents=True, exist_ok=True)
                    with z.open(name) as src, open(str(tree / to), "wb") as dst:
                        shutil.copyfileobj(src, dst, 1 << 20)
    except zipfile.BadZipFile as e:
        raise OSError(str(e))


def needed(path):
    """Returns the libraries that an x86-64 ELF file needs, its own name (None if it has none), and the offset of that entry."""
    with open(str(path), "rb") as f:
        def at(offset, form):
            f.seek(offset)
            return struct.unpack(form, f.read(struct.calcsize(form)))
        table, = at(32, "<Q")
        size, count = at(54, "<HH")
        segments = [at(table + i * size, "<IIQQQQ") for i in range(count)]  # type, flags, offset, address, physical, length
        entry = next(s[2] for s in segments if s[0] == 2)  # PT_DYNAMIC
        entries = []
        while not entries or entries[-1][1]:
            entries.append((entry,) + at(entry, "<qQ"))
            entry += 16
        strings = next(value for _, tag, value in entries if tag == 5)  # DT_STRTAB, an address
        strings = next(strings - s[3] + s[2] for s in segments if s[0] == 1 and s[3] <= strings < s[3] + s[5])

        def text(offset):
            f.seek(strings + offset)
            return f.read(4096).split(b"\0", 1)[0].decode()
        names = [text(value) for _, tag, value in entries if tag == 1]  # DT_NEEDED
        own = [(text(value), where) for where, tag, value in entries if tag == 14]  # DT_SONAME
        return (names,) + (own[0] if own else (None, 0))


def stand_ins(torch):
    """Returns the content of stand-in files by name: empty archives, and libgomp_torch.so, which links to the OpenMP runtime of libtorch.

    PyTorch's wheel renames the file of libgomp, but not the name in it (DT_SONAME). A program linked with that file would load the
    system's libgomp.so.1 and run with two OpenMP runtimes. The linker uses the name of the file if there is none in it.
    """
    files = {"lib%s.a" % name: b"!<arch>\n" for name in NAMED}
    libraries, _, _ = needed(torch / "lib" / "libtorch_cpu.so")
    omp = next((n for n in libraries if re.match(r"lib(gomp|iomp|omp)\b", n)), "")
    script = "INPUT(-lgomp)\n"  # the compiler's OpenMP runtime
    if (torch / "lib" / omp).is_file():
        script = "INPUT(-l:%s)\n" % omp
        _, own, where = needed(torch / "lib" / omp)
        if own not in (None, omp):
            data = bytearray((torch / "lib" / omp).read_bytes())
            struct.pack_into("<q", data, where, 21)  # DT_DEBUG, which the linker does not read
            files[omp] = bytes(data)
    files["libgomp_torch.so"] = script.encode()
    return files


def write_stand_ins(folder, torch):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in sorted(stand_ins(torch).items()):
        part = folder / ("%s.%d" % (name, os.getpid()))
        part.write_bytes(data)
        part.rename(folder / name)


def check_loads(torch, kind):
    for name in ["libtorch_cpu.so"] + (["libtorch_cuda.so"] if kind == "cuda" else []):
        load = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(torch / "lib" / name)]
        p = subprocess.run(load, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if p.returncode:
            fail("%s does not load on this machine: %s" % (torch / "lib" / name, (p.stderr.strip().splitlines() or ["signal %d" % -p.returncode])[-1]),
                 "Install the library that is named, or name another libtorch with LIBTORCH.")


def sizes(folder):
    return {str(f.relative_to(folder)): f.stat().st_size for sub in ("torch/lib", "nvidia", "cusparselt", "empty")
            for f in sorted((folder / sub).rglob("lib*")) if f.is_file()}


def complete(folder, version, kind):
    """Reports whether the folder is complete and still has every library."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
        return (stamp["version"], stamp["kind"], stamp["layout"]) == (version.number, kind, LAYOUT) and \
            all(os.stat(str(folder / name)).st_size == size for name, size in stamp["libraries"].items())
    except (OSError, ValueError, KeyError):
        return False


@contextlib.contextmanager
def locked(home):
    import fcntl
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(str(home / ".lock"), "w")
    except OSError as e:
        fail("%s cannot be written: %s" % (home, e.strerror), "Name another folder with HDAS_CACHE.")
    with lock:  # the kernel releases the lock when the process ends, for whatever reason
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another setup is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as e:
            say("%s cannot be locked (%s); run one setup at a time" % (home, e.strerror))
        yield


def prepare(version, kind, cxx):
    """Returns the folder of the prepared libtorch. It is built under another name and renamed, so that a folder of this name is complete."""
    home = cache()
    folder = home / ("libtorch-%s-%s" % (version.number, kind))
    if complete(folder, version, kind):
        return folder
    check_compiler(cxx, version)
    check_pip("libtorch")
    with locked(home):
        if complete(folder, version, kind):
            return folder
        work = home / (".unfinished-%s-%d" % (folder.name, LAYOUT))
        for leftover in home.glob(".unfinished-*"):
            if leftover != work:
                shutil.rmtree(str(leftover), ignore_errors=True)
        try:
            fetch(home, work, version, kind)
            check_loads(work / "tree" / "torch", kind)
            write_stand_ins(work / "tree" / "empty", work / "tree" / "torch")
            stamp = {"version": version.number, "kind": kind, "layout": LAYOUT, "libraries": sizes(work / "tree")}
            os.sync()  # a power cut after the rename must not find empty files
            (work / "tree" / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
            if folder.exists():
                folder.rename(work / "old")
            (work / "tree").rename(folder)
        except OSError as e:
            shutil.rmtree(str(work), ignore_errors=True)
            full = e.errno in (errno.ENOSPC, errno.EDQUOT)
            fail("libtorch could not be unpacked into %s: %s" % (home, e.strerror or e),
                 ("Free some space, or name" if full else "Run again, or name") + " a folder on a larger disk with HDAS_CACHE.")
        shutil.rmtree(str(work), ignore_errors=True)
    return folder


def fetch(home, work, version, kind):
    """Downloads and unpacks the wheels one by one. After an interruption it continues with the first wheel that is not finished."""
    done = work / "done"
    done.mkdir(parents=True, exist_ok=True)
    wheels = wheels_of(wheels_file(version, kind))
    left = [w for w in wheels if not (done / w.hash).exists()]
    for rest in work.glob("wheel-*"):
        shutil.rmtree(str(rest), ignore_errors=True)
    check_space(home, kind, left)
    if left:
        say("libtorch %s for %s: %.1f GB to download into %s" % (version.number, kind.upper(), sum(w.size for w in left) / 1e9, home))
    for w in left:
        say("%s %s, %.0f MB (%d of %d)" % (w.name, w.version, w.size / 1e6, wheels.index(w) + 1, len(wheels)))
        with tempfile.TemporaryDirectory(prefix="wheel-", dir=str(work)) as part:
            unpack(download(w, pathlib.Path(part)), work / "tree", kind)
        (done / w.hash).touch()


def asked_python():
    """Returns the path of $PYTHON or python3."""
    python = os.environ.get("PYTHON") or "python3"
    return os.path.abspath(shutil.which(python) or python)


def installed():
    """Returns the folder torch of the PyTorch that is installed for $PYTHON or python3."""
    python = asked_python()
    find = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    try:
        # Not in the current folder: Python would take a folder torch there for PyTorch.
        p = subprocess.run([python, "-c", find], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    except OSError as e:
        fail("LIBTORCH=python: %s does not run: %s" % (python, e.strerror), "Name the Python that has PyTorch with PYTHON=COMMAND, or leave LIBTORCH out.")
    if p.returncode or not p.stdout.strip():
        fail("LIBTORCH=python: %s has no PyTorch" % python,
             "Activate the environment that has it, name its Python with PYTHON=COMMAND, or leave LIBTORCH out.")
    return p.stdout.strip()


def abi_of(torch):
    """Returns the C++ ABI of a libtorch: 1 with the strings of C++11, else 0."""
    # The constructor of c10::Error takes a std::string; its symbol tells the ABI of the string.
    symbols = (torch / "lib" / "libc10.so").read_bytes()
    constructor = b"_ZN3c105ErrorC1ENS_14SourceLocationE"
    if constructor + b"NSt7__cxx1112basic_string" in symbols:
        return 1
    if constructor + b"Ss\0" not in symbols:
        fail("the C++ ABI of %s cannot be found out" % (torch / "lib" / "libc10.so"), "Name a libtorch as PyTorch publishes it, or leave LIBTORCH out.")
    return 0


def own(path):
    """Returns (torch folder, folder of stand-ins, kind, version) for a libtorch that the user has."""
    check_path(os.path.expanduser(path), "LIBTORCH")
    torch = pathlib.Path(os.path.abspath(os.path.expanduser(path)))
    header, c10, cpu = "include/torch/csrc/api/include/torch/version.h", "lib/libc10.so", "lib/libtorch_cpu.so"
    for file in header, c10, cpu:
        if not (torch / file).is_file():
            fail("LIBTORCH=%s has no %s" % (path, file), "Name the folder of a libtorch that has include/ and lib/, or leave LIBTORCH out.")
    headers = [torch / header, torch / "include/torch/headeronly/version.h"]  # newer versions have the number in the second
    found = re.search(r'define\s+TORCH_VERSION\s[\s\\]*"([^"]+)"', "".join(h.read_text() for h in headers if h.is_file()))
    number = found.group(1) if found else "of an unknown version"
    version = of(number)
    if not version:
        fail("LIBTORCH=%s is %s, and the supported versions are %s" % (path, number, names(supported())), "Name one of these, or leave LIBTORCH out.")
    asked = os.environ.get("CUDA", "")
    kind = "cuda" if (torch / "lib/libtorch_cuda.so").exists() and asked != "0" else "cpu"
    if asked == "1" and kind == "cpu":
        fail("CUDA=1, but LIBTORCH=%s has no libtorch_cuda.so" % path, "Name a libtorch with CUDA, or set CUDA=0.")
    about = (torch / cpu).stat()
    key = hashlib.sha256(("%s %s %d %d %d" % (torch, kind, about.st_size, about.st_mtime_ns, LAYOUT)).encode()).hexdigest()[:12]
    folder = cache() / ("own-" + key)
    if not (folder / STAMP).exists():
        check_loads(torch, kind)
        try:
            write_stand_ins(folder, torch)
            (folder / STAMP).write_text(json.dumps({"libtorch": str(torch), "version": number, "kind": kind}) + "\n")
        except OSError as e:
            fail("%s cannot be written: %s" % (folder, e.strerror), "Name another folder with HDAS_CACHE.")
    return torch, folder, kind, version


def generated(folder, name, text):
    """Returns the path of a file with this text, whose name changes with the text, because Go's build cache does not see edits of such files."""
    stem, suffix = os.path.splitext(name)
    path = folder / ("%s-%s%s" % (stem, hashlib.sha256(text.encode()).hexdigest()[:12], suffix))
    if not path.exists():
        part = folder / ("%s.%d" % (path.name, os.getpid()))
        try:
            part.write_text(text)
            part.chmod(0o755)
            part.rename(path)
        except OSError as e:
            fail("%s cannot be written: %s" % (folder, e.strerror), "Name another folder with HDAS_CACHE.")
    return path


# gotch and package torch name C++17 after CGO_CXXFLAGS, and the compiler uses the last standard that is named. Go tries the
# linker's flags with the first word of CXX alone, so that it must be one word.
CXX20 = """#!/bin/sh
# Compiles as C++20 what asks for C++17.
for a; do
	shift
	[ "$a" = -std=c++17 ] && a=-std=c++20
	set -- "$@" "$a"
done
exec %s "$@"
"""


def compiler(cxx):
    """Returns the compiler behind a wrapper of CXX20, where one setup runs within the environment of another."""
    if re.search(r"/cxx20-\w+\.sh$", cxx) and os.path.exists(cxx):
        return pathlib.Path(cxx).read_text().splitlines()[-1][len("exec "):-len(' "$@"')]
    return cxx


JPEG = b"""#include <stdio.h>
#include <jpeglib.h>
#ifndef LIBJPEG_TURBO_VERSION
#error not libjpeg-turbo
#endif
int main(void) { struct jpeg_decompress_struct d; jpeg_create_decompress(&d); jpeg_crop_scanline(&d, 0, 0); return 0; }
"""
RETRY = 24 * 3600  # seconds after which a download of libjpeg-turbo that failed is tried again


def libjpeg(cc):
    """Returns which libjpeg-turbo decodes JPEG ("installed", "static", or "" for none: JPEG is decoded in Go), the variables with which
    the compiler finds it, and what to say of it."""
    asked = os.environ.get("LIBJPEG", "")
    if asked not in ("", "0", "1", "static"):
        fail("LIBJPEG=%s is none of 0, 1 and static" % asked, "Set LIBJPEG=0 to decode JPEG in Go, 1 to insist on libjpeg-turbo, static for one "
             "that becomes a part of the program, or leave it out.")
    wheel, = wheels_of(HERE / "libjpeg" / "wheel.txt")
    folder, failed = cache() / ("libjpeg-turbo-" + wheel.version), cache() / ("libjpeg-turbo-%s.failed" % wheel.version)
    if asked in ("", "1") and not unlinked(cc, "-ljpeg", search_paths(folder, found=False)):
        return "installed", {}, "by libjpeg-turbo"
    recently = failed.exists() and time.time() - failed.stat().st_mtime < RETRY
    if asked == "0" or not asked and recently and not folder.exists():
        return "", {}, "in Go"
    paths = search_paths(folder, found=True)
    try:
        fetch_libjpeg(wheel, folder)
        words = unlinked(cc, "-l:libjpeg.a", paths)
        if words:
            fail("a program with %s cannot be linked: %s" % (folder / "lib" / "libjpeg.a", words), "Remove that folder and run again, or set LIBJPEG=0.")
    except SystemExit:  # of fail
        if asked:
            raise
        say("libjpeg-turbo is neither installed nor downloaded, so JPEG is decoded in Go, at a quarter of the speed; LIBJPEG=1 tries again and says why")
        with contextlib.suppress(OSError):
            failed.touch()
        return "", {}, "in Go"
    return "static", paths, "by libjpeg-turbo in %s" % folder


def search_paths(folder, found):
    """Returns the compiler's variables so that it finds the libjpeg-turbo in a folder, or does not. Unlike flags, they are not part of
    what Go's build cache compares: gotch and package torch, which take minutes to compile, stay what they are."""
    variables = {}
    for name, sub in ("C_INCLUDE_PATH", "include"), ("LIBRARY_PATH", "lib"):
        others = [p for p in os.environ.get(name, "").split(":") if p and p != str(folder / sub)]
        variables[name] = ":".join([str(folder / sub)] * found + others)
    return variables


def unlinked(cc, flag, paths):
    """Returns "" if a program with libjpeg-turbo can be linked, else what the compiler says."""
    p = subprocess.run(shlex.split(cc) + ["-x", "c", "-", flag, "-o", os.devnull], input=JPEG, env=dict(os.environ, **paths),
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return p.stderr.decode(errors="replace").strip()[:300] or "it fails" if p.returncode else ""


def fetch_libjpeg(wheel, folder):
    """Downloads and unpacks the static libjpeg-turbo. It is renamed when it is complete."""
    if folder.exists():
        return
    check_pip("libjpeg-turbo")
    with locked(folder.parent), tempfile.TemporaryDirectory(prefix=".libjpeg-", dir=str(folder.parent)) as part:
        part = pathlib.Path(part)
        if folder.exists():
            return
        say("libjpeg-turbo: %s %s, %.1f MB" % (wheel.name, wheel.version, wheel.size / 1e6))
        try:
            unpack(download(wheel, part, "libjpeg-turbo", "3.12", ["--retries", "1"]), part / "tree", "libjpeg")
            (part / "tree").rename(folder)
        except OSError as e:
            fail("libjpeg-turbo could not be unpacked into %s: %s" % (folder.parent, e.strerror or e), "Free some space, or name another folder with HDAS_CACHE.")


def goflags(flags, **wanted):
    """Returns the user's GOFLAGS with build tags added or removed, and with -trimpath: then all checkouts share what is compiled."""
    words, tags = [], []
    for word in flags.split():
        m = re.match(r"--?tags=(.*)", word)
        if m:
            tags = [t for t in m.group(1).split(",") if t]  # go uses the last one
        else:
            words.append(word)
    if not any(re.match("--?trimpath", word) for word in words):
        words.append("-trimpath")
    tags = [t for t in tags if wanted.get(t, True)] + [t for t, want in wanted.items() if want and t not in tags]
    return " ".join(words + (["-tags=" + ",".join(tags)] if tags else []))


def environment():
    """Prepares; returns the variables and what to say of the libtorch. The -l flags stand in package torch: here they would be
    linked into every test binary that uses cgo at all."""
    check_machine()
    go = check_go()
    jpeg, paths, by = libjpeg(go["CC"] or "gcc")
    asked, cxx = os.environ.get("LIBTORCH"), compiler(go["CXX"] or "g++")
    if asked and asked not in [v.number for v in supported()]:
        torch, empty, kind, version = own(installed() if asked == "python" else asked)
        check_compiler(cxx, version)
        why = "LIBTORCH=%s" % asked
    else:
        version, kind, why = choose(asked)
        folder = prepare(version, kind, cxx)
        torch, empty = folder / "torch", folder / "empty"
    flags = "-O2 -D_GLIBCXX_USE_CXX11_ABI=%d -I%s/include -I%s/include/torch/csrc/api/include -include %s" % (
        abi_of(torch), torch, torch, generated(empty, COMPAT.name, COMPAT.read_text()))
    env = {"CGO_CXXFLAGS": flags, "CGO_LDFLAGS": "-L%s -L%s/lib -Wl,-rpath,%s/lib" % (empty, torch, torch)}
    if version.standard == 20:
        env["CXX"] = str(generated(empty, "cxx20.sh", CXX20 % cxx))
    elif cxx != (go["CXX"] or "g++"):
        env["CXX"] = cxx
    env.update(paths)
    env["GOFLAGS"] = goflags(go["GOFLAGS"], nocuda=os.environ.get("CUDA") == "0", libjpeg=jpeg != "", libjpeg_static=jpeg == "static")
    return env, "libtorch %s for %s is ready in %s (%s); JPEG is decoded %s" % (version.number, kind.upper(), torch, why, by)


def main(args):
    if sys.version_info < (3, 8):
        fail("python3 is %d.%d, and 3.8 or newer is needed" % sys.version_info[:2], "Install a newer Python 3 with pip and put it first in PATH.")
    if args[:2] == ["run", "--"] and args[2:]:
        env = dict(os.environ, **environment()[0])
        try:
            os.execvpe(args[2], args[2:], env)
        except OSError as e:
            fail("%s cannot be run: %s" % (args[2], e.strerror), "Install it, or put it into PATH.")
    elif args == ["env"]:
        for key, value in environment()[0].items():
            print("export %s=%s" % (key, shlex.quote(value)))
    elif not args:
        say(environment()[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; the next run goes on from here")
        sys.exit(130)
