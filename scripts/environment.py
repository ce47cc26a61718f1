#!/usr/bin/env python3
"""Prepares a Python with what hdas is compared with, once for each user and version, in the cache folder of setup.py.

    setup.sh pytorch        prepare PyTorch, and print the path of that Python
    setup.sh pytorch ARGS   prepare PyTorch, and run that Python with ARGS
    setup.sh onnx [ARGS]    the same for ONNX, its runtime and TensorBoard, which read what the tests write

LIBTORCH=python   use the installed PyTorch instead, of $PYTHON or python3
LIBTORCH=2.11.0   the version of PyTorch; default: the one of the libtorch that setup.py prepares
PYTHON=COMMAND    the Python to use; default: the first one for which the packages are published
HDAS_CACHE=DIR    see setup.py
"""
import json
import os
import re
import shutil
import subprocess
import sys

from setup import HERE, STAMP, asked_python, cache, check_machine, choose, fail, installed, locked, of, own, say, supported

LAYOUT = 1  # version of the prepared folder's layout; folders of another version are prepared again
TRIAL = "import torch, numpy, safetensors.torch, yaml; torch.optim.SGD([torch.zeros(1)], 0.1).step()"
PACKAGES = "numpy safetensors PyYAML"  # what the comparison needs beside PyTorch


class Environment:
    """A folder with a Python and pinned packages."""

    def __init__(self, what, folder, file, pythons, need, download, trial):
        self.what, self.folder = what, folder
        self.pins = pins(file)
        self.oldest, self.newest = pythons
        self.need = need  # disk space in bytes: the wheels, their unpacked content, and pip's temporary copy
        self.download = download  # in words
        self.trial = trial  # a program that imports the packages


def pins(file):
    return [line for line in file.read_text().splitlines() if not line.startswith("#")]


def pytorch(version):
    return Environment("PyTorch " + version.number, "pytorch-" + version.number, pins_file(version), version.pythons, 9e9, "3 GB", TRIAL)


def onnx():
    file = HERE / "onnx.txt"
    number = re.match(r"onnxruntime==(\S+)", pins(file)[0]).group(1)
    return Environment("onnxruntime " + number, "onnxruntime-" + number, file, [(3, 11), (3, 14)], 5e8, "70 MB", "import onnx, onnxruntime, tensorboard")


def version_of(command):
    """Returns (major, minor) of a Python, None if it does not run."""
    try:
        p = subprocess.run([command, "-c", "import sys; print(*sys.version_info[:2])"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return tuple(map(int, p.stdout.split()))
    except (OSError, ValueError):
        return None


def base(e):
    """Returns the Python to use and its version."""
    asked = os.environ.get("PYTHON")
    tried = [asked] if asked else ["python3"] + ["python3.%d" % minor for minor in range(e.newest[1], e.oldest[1] - 1, -1)]
    found = {c: version_of(c) for c in tried if shutil.which(c)}
    for command, have in found.items():
        if have and e.oldest <= have <= e.newest:
            return shutil.which(command), have
    have = ", ".join("%s is %s" % (c, "%d.%d" % v if v else "broken") for c, v in found.items()) or "%s is not installed" % " or ".join(tried)
    fail("%s needs a Python %d.%d to %d.%d, and %s" % ((e.what,) + e.oldest + e.newest + (have,)), "Install one with pip, and name it with PYTHON=COMMAND.")


def run(command, what, cure):
    p = subprocess.run(command, stdout=sys.stderr, env=dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", PIP_ROOT_USER_ACTION="ignore"))
    if p.returncode:
        fail("%s failed; its own words are above" % what, cure)


def complete(folder, e):
    """Reports whether the folder is complete with the pins, and the Python that it was made from still exists."""
    try:
        return json.loads((folder / STAMP).read_text()) == {"layout": LAYOUT, "pins": e.pins} and (folder / "bin" / "python").exists()
    except (OSError, ValueError):
        return False


def pins_file(version):
    return HERE / "libtorch" / (version.number + "-pytorch.txt")


def wanted():
    """Returns the version of PyTorch that belongs to the libtorch of a build."""
    asked = os.environ.get("LIBTORCH")
    version = choose("")[0] if not asked else of(asked) if re.fullmatch(r"[\d.]+", asked) else own(asked)[-1]
    if not version or not pins_file(version).exists():
        have = ", ".join(v.number for v in supported() if pins_file(v).exists())
        fail("LIBTORCH=%s names no PyTorch that can be prepared" % asked, "Choose one of %s, set LIBTORCH=python to use the installed one, or leave LIBTORCH out." % have)
    return version


def prepare(e):
    """Returns the prepared Python. Its folder is built under another name and renamed, so that a folder of this name is complete."""
    home = cache()
    folder = home / e.folder
    if complete(folder, e):
        return folder / "bin" / "python"
    check_machine()
    python, number = base(e)
    if subprocess.run([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        fail("%s has no pip" % python, "Install it (Debian, Ubuntu: apt-get install python3-pip), or name another Python with PYTHON=COMMAND.")
    with locked(home):
        if complete(folder, e):
            return folder / "bin" / "python"
        free = shutil.disk_usage(str(home)).free
        if free < e.need:
            fail("%.1f GB are free in %s, and %s needs %.1f GB on the way" % (free / 1e9, home, e.what, e.need / 1e9),
                 "Free some space, or name a folder on a larger disk with HDAS_CACHE.")
        work = home / (".unfinished-" + folder.name)
        shutil.rmtree(str(work), ignore_errors=True)
        say("%s for %s, to compare with: about %s to download into %s" % (e.what, python, e.download, home))
        try:
            # The environment has no pip, because Debian's Python cannot install one. The pip of the Python it is made from installs its packages.
            run([python, "-m", "venv", "--without-pip", str(work / "tree")], "%s -m venv" % python, "Install Python's venv module, or name another Python with PYTHON=COMMAND.")
            packages = work / "tree" / "lib" / ("python%d.%d" % number) / "site-packages"
            (work / "tmp").mkdir()
            os.environ["TMPDIR"] = str(work / "tmp")
            quiet = [] if sys.stderr.isatty() else ["--quiet"]
            run([python, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--no-compile", "--only-binary=:all:", "--disable-pip-version-check",
                 "--target", str(packages)] + quiet + e.pins, "pip",
                "Check the network and pip's settings (a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and the space in %s, and run again." % home)
            run([str(work / "tree" / "bin" / "python"), "-c", e.trial], "the import of the installed packages", "Install the library that is named, or name another Python with PYTHON=COMMAND.")
            os.sync()  # a power cut after the rename must not find empty files
            (work / "tree" / STAMP).write_text(json.dumps({"layout": LAYOUT, "pins": e.pins}) + "\n")
            if folder.exists():
                folder.rename(work / "old")
            (work / "tree").rename(folder)
        except OSError as error:
            fail("%s could not be put into %s: %s" % (e.what, home, error.strerror or error), "Run again, or name a folder on another disk with HDAS_CACHE.")
        finally:
            shutil.rmtree(str(work), ignore_errors=True)
    return folder / "bin" / "python"


def present():
    """Returns the Python of the installed PyTorch."""
    installed()
    python = asked_python()
    p = subprocess.run([python, "-c", TRIAL], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if p.returncode:
        fail("the installed PyTorch cannot be compared with: %s" % (p.stderr.strip().splitlines() or ["it does not run"])[-1],
             "Install what is missing there: %s -m pip install %s" % (python, PACKAGES))
    return python


def main(which, *args):
    if which == "onnx":
        python = str(prepare(onnx()))
    else:
        python = str(present() if os.environ.get("LIBTORCH") == "python" else prepare(pytorch(wanted())))
    if not args:
        print(python)
        return
    os.execv(python, (python,) + args)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; the next run starts from here anew")
        sys.exit(130)
