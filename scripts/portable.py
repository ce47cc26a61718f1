"""Builds programs that use the libtorch of a PyTorch that is installed elsewhere. libjpeg-turbo, which may be missing there, is a part of
them; with LIBJPEG=0 they decode JPEG in Go."""
import os
import re
import subprocess

import setup

ROOT = setup.HERE.parent
NOTICE = setup.HERE / "libjpeg" / "NOTICE"  # of what is linked into the programs


def environment(libtorch):
    """Returns the environment of a build for a version of libtorch, and the folder of its libraries."""
    os.environ.update(LIBTORCH=libtorch, CUDA="", LIBJPEG="0" if os.environ.get("LIBJPEG") == "0" else "static")
    env = dict(os.environ, **setup.environment()[0])
    return env, re.search(r"-Wl,-rpath,(\S+)", env["CGO_LDFLAGS"]).group(1)


def relocate(program, libraries, to):
    """Replaces the path in which a program looks for libtorch."""
    data, old = program.read_bytes(), libraries.encode() + b"\0"
    if data.count(old) != 1 or len(to) >= len(old):
        setup.fail("the path of libtorch, %s, is not in the program once, or too short to be replaced" % libraries, "Name a longer cache folder with HDAS_CACHE.")
    program.write_bytes(data.replace(old, to.ljust(len(old), b"\0")))


def number():
    """Returns the version of the project: the count of its commits."""
    p = subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    return "0.1.%d" % int(p.stdout or 0)
