#!/usr/bin/env python3
"""Prepares a Python with the PyTorch that hdas is compared with, once for each user and version, in the cache folder of setup.py.

    setup.sh pytorch        prepare, and print the path of that Python
    setup.sh pytorch ARGS   prepare, and run that Python with ARGS

LIBTORCH=python   use the installed PyTorch instead, of $PYTHON or python3
LIBTORCH=2.11.0   the version of PyTorch; default: the one of the libtorch that setup.py prepares
PYTHON=COMMAND    the Python to use; default: the first one for which this PyTorch is published
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
NEED = 9e9  # disk space in bytes: the wheels, their unpacked content, and pip's temporary copy
TRIAL = "import torch, numpy, safetensors.torch, yaml; torch.optim.SGD([torch.zeros(1)], 0.1).step()"
PACKAGES = "numpy safetensors PyYAML"  # what the comparison needs beside PyTorch


def version_of(command):
    """Returns (major, minor) of a Python, None if it does not run."""
    try:
        p = subprocess.run([command, "-c", "import sys; print(*sys.version_info[:2])"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return tuple(map(int, p.stdout.split()))
    except (OSError, ValueError):
        return None


def base(version):
    """Returns the Python to use and its version."""
    oldest, newest = version.pythons
    asked = os.environ.get("PYTHON")
    tried = [asked] if asked else ["python3"] + ["python3.%d" % minor for minor in range(newest[1], oldest[1] - 1, -1)]
    found = {c: version_of(c) for c in tried if shutil.which(c)}
    for command, have in found.items():
        if have and oldest <= have <= newest:
            return shutil.which(command), have
    have = ", ".join("%s is %s" % (c, "%d.%d" % v if v else "broken") for c, v in found.items()) or "%s is not installed" % " or ".join(tried)
    fail("PyTorch %s needs a Python %d.%d to %d.%d, and %s" % ((version.number,) + oldest + newest + (have,)), "Install one with pip, and name it with PYTHON=COMMAND.")


def run(command, what, cure):
    p = subprocess.run(command, stdout=sys.stderr, env=dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", PIP_ROOT_USER_ACTION="ignore"))
    if p.returncode:
        fail("%s failed; its own words are above" % what, cure)


def complete(folder, pins):
    """Reports whether the folder is complete with those pins, and the Python that it was made from still exists."""
    try:
        return json.loads((folder / STAMP).read_text()) == {"layout": LAYOUT, "pins": pins} and (folder / "bin" / "python").exists()
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


def prepare(version):
    """Returns the prepared Python. Its folder is built under another name and renamed, so that a folder of this name is complete."""
    home = cache()
    folder = home / ("pytorch-" + version.number)
    pins = [line for line in pins_file(version).read_text().splitlines() if not line.startswith("#")]
    if complete(folder, pins):
        return folder / "bin" / "python"
    check_machine()
    python, number = base(version)
    if subprocess.run([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        fail("%s has no pip" % python, "Install it (Debian, Ubuntu: apt-get install python3-pip), or name another Python with PYTHON=COMMAND.")
    with locked(home):
        if complete(folder, pins):
            return folder / "bin" / "python"
        free = shutil.disk_usage(str(home)).free
        if free < NEED:
            fail("%.1f GB are free in %s, and PyTorch needs %.1f GB on the way" % (free / 1e9, home, NEED / 1e9),
                 "Free some space, or name a folder on a larger disk with HDAS_CACHE.")
        work = home / (".unfinished-" + folder.name)
        shutil.rmtree(str(work), ignore_errors=True)
        say("PyTorch %s for %s, to compare with: about 3 GB to download into %s" % (version.number, python, home))
        try:
            # The environment has no pip, because Debian's Python cannot install one. The pip of the Python it is made from installs its packages.
            run([python, "-m", "venv", "--without-pip", str(work / "tree")], "%s -m venv" % python, "Install Python's venv module, or name another Python with PYTHON=COMMAND.")
            packages = work / "tree" / "lib" / ("python%d.%d" % number) / "site-packages"
            (work / "tmp").mkdir()
            os.environ["TMPDIR"] = str(work / "tmp")
            quiet = [] if sys.stderr.isatty() else ["--quiet"]
            run([python, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--no-compile", "--only-binary=:all:", "--disable-pip-version-check",
                 "--target", str(packages)] + quiet + pins, "pip",
                "Check the network and pip's settings (a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and the space in %s, and run again." % home)
            run([str(work / "tree" / "bin" / "python"), "-c", TRIAL], "a step of the installed PyTorch", "Install the library that is named, or name another Python with PYTHON=COMMAND.")
            os.sync()  # a power cut after the rename must not find empty files
            (work / "tree" / STAMP).write_text(json.dumps({"layout": LAYOUT, "pins": pins}) + "\n")
            if folder.exists():
                folder.rename(work / "old")
            (work / "tree").rename(folder)
        except OSError as e:
            fail("PyTorch could not be put into %s: %s" % (home, e.strerror or e), "Run again, or name a folder on another disk with HDAS_CACHE.")
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


def main(args):
    python = str(present() if os.environ.get("LIBTORCH") == "python" else prepare(wanted()))
    if not args:
        print(python)
        return
    os.execv(python, [python] + args)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; the next run starts from here anew")
        sys.exit(130)
