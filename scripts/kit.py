#!/usr/bin/env python3
"""Makes an archive of hdas and its tests for machines with a GPU: kit.py [VERSION|python|DIR], by default for PyTorch 2.11.0.

dist/hdas-kit-*.tar.xz runs beside an installed PyTorch of that version, without a network, Go or a compiler: unpack it, and
./run-checks lists what it does (scripts/kit). It holds the program, the test programs of the packages that use tensors, and the
files that these read.
"""
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import portable
import setup
from portable import ROOT

LARGEST = 45e6  # bytes of the archive

# The packages whose tests use tensors, by part of the checks, and about how long a part takes on a GPU.
TESTS = {
    "tests-tensors": ("torch torch/nn torch/optim torch/dist internal/looptest internal/golden metric", "4 min"),
    "tests-models": ("models model predict", "4 min"),
    "tests-search": ("search", "6 min"),
    "tests-runs": ("train run lab internal/parity", "4 min"),
    "tests-commands": ("cmd/hdas", "9 min"),
}

# What tests read besides testdata of their own packages.
READ = ["internal/golden/data", "datasets/testdata", "cmd/hdas/main_test.go"]


def compile(env, libraries, root):
    """Builds the program and the test programs."""
    packages = " ".join(folders for folders, _ in TESTS.values()).split()
    for folder in "bin", "tests":
        (root / folder).mkdir()
    quiet = ["-trimpath", "-ldflags=-s -w"]
    subprocess.run(["go", "build"] + quiet + ["-o", str(root / "bin" / "hdas"), "./cmd/hdas"], cwd=str(ROOT), env=env, check=True)
    portable.relocate(root / "bin" / "hdas", libraries, b"$ORIGIN")
    subprocess.run(["go", "test", "-c"] + quiet + ["-o", str(root / "tests") + "/"] + ["./" + p for p in packages], cwd=str(ROOT), env=env, check=True)
    for package in packages:
        program = root / "src" / package / (pathlib.Path(package).name + ".test")
        program.parent.mkdir(parents=True)
        shutil.move(str(root / "tests" / program.name), str(program))
        portable.relocate(program, libraries, b"$ORIGIN")
        own = ROOT / package / "testdata"
        if own.exists():
            shutil.copytree(str(own), str(program.parent / "testdata"))
    (root / "tests").rmdir()


def fill(root, torch, name):
    """Adds everything but the programs."""
    for path in READ:
        source, target = ROOT / path, root / "src" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(str(source), str(target), ignore=shutil.ignore_patterns("*.py"))
        else:
            shutil.copy(str(source), str(target))
    for file in "run-checks", "checks.py":
        shutil.copy(str(setup.HERE / "kit" / file), str(root / file))
    shutil.copy(str(ROOT / "docs" / "gpu.md"), str(root / "README.md"))
    shutil.copy(str(ROOT / "LICENSE"), str(root / "LICENSE"))
    shutil.copy(str(portable.NOTICE), str(root / "NOTICE"))
    about = {"torch": torch, "version": name, "tests": {part: folders.split() for part, (folders, _) in TESTS.items()},
             "minutes": {part: minutes for part, (_, minutes) in TESTS.items()}}
    (root / "kit.json").write_text(json.dumps(about, indent=1) + "\n")


def pack(root, path):
    """Writes the archive. The programs share code, which a dictionary larger than all of them finds again."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 512 << 20}]
    programs = sorted(p for p in root.rglob("*") if p.suffix == ".test" or p.name == "hdas" and p.is_file())
    others = sorted(p for p in root.rglob("*") if p.is_file() and p not in programs)

    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry
    with lzma.open(str(path), "wb", format=lzma.FORMAT_XZ, filters=filters) as out, tarfile.open(fileobj=out, mode="w") as tar:
        for file in programs + others:
            tar.add(str(file), str(file.relative_to(root.parent)), filter=plain)


def main(asked):
    env, libraries = portable.environment(asked)
    number = re.search(r"__version__ = '([^']+)'", (pathlib.Path(libraries).parent / "version.py").read_text()).group(1)
    torch = ".".join(number.split(".")[:2])
    name = "hdas-kit-%s-torch%s" % (portable.number(), torch)
    path = ROOT / "dist" / (name + ".tar.xz")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / name
        root.mkdir()
        compile(env, libraries, root)
        fill(root, torch, name)
        path.parent.mkdir(exist_ok=True)
        pack(root, path)
    size = path.stat().st_size
    print("%s (%.1f MB)" % (path, size / 1e6))
    if size > LARGEST:
        setup.fail("the archive is larger than %.0f MB" % (LARGEST / 1e6), "Leave out a package or a file in scripts/kit.py.")


if __name__ == "__main__":
    main((sys.argv[1:] or [os.environ.get("LIBTORCH") or "2.11.0"])[0])
