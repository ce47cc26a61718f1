#!/usr/bin/env python3
"""Writes the lists of wheels from which setup.py and environment.py prepare a version: pin.py 2.15.0 [cpu|cuda|pytorch ...]

It downloads PyTorch of that version and all that it requires (about 3 GB). libtorch/VERSION-cpu.txt and -cuda.txt list the wheels
that a build for the CPU or for CUDA needs, with their hashes and sizes; -pytorch.txt lists all packages of a comparison.
"""
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

from environment import PACKAGES
from setup import HERE, PLATFORMS, target

WHAT = {"cpu": "What a CPU build needs of libtorch %s: PyTorch's wheel, and the two small CUDA libraries that libtorch_cpu.so names.",
        "cuda": "What a CUDA build needs of libtorch %s: PyTorch's wheel and the CUDA libraries that it requires.",
        "pytorch": "What a Python environment with PyTorch %s needs for a comparison."}


def kept(wheel, kind):
    """Returns the bytes of a wheel that setup.py keeps, 0 if these are only licences."""
    with zipfile.ZipFile(str(wheel)) as z:
        files = [(i.filename, i.file_size) for i in z.infolist() if target(i.filename, kind)]
    return sum(size for _, size in files) if any(".dist-info/" not in name for name, _ in files) else 0


def line(wheel, kind):
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return "%s==%s --hash=sha256:%s  # %d bytes, %d kept\n" % (name.replace("_", "-"), re.sub(r"\+.*", "", version), digest, wheel.stat().st_size, kept(wheel, kind))


def package(wheel):
    return "%s==%s\n" % tuple(re.sub(r"\+.*", "", word) for word in wheel.name.split("-")[:2])


def main(version, kinds):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11",
                        "--abi", "cp311", "--abi", "abi3", "--abi", "none"] + PLATFORMS + ["-d", folder, "torch==" + version] + PACKAGES.split(), check=True)
        wheels = sorted(pathlib.Path(folder).glob("*.whl"), key=lambda w: (not w.name.startswith("torch-"), w.name))
        for kind in kinds:
            lines = [package(w) for w in wheels] if kind == "pytorch" else [line(w, kind) for w in wheels if kept(w, kind)]
            (HERE / "libtorch" / ("%s-%s.txt" % (version, kind))).write_text("# " + WHAT[kind] % version + "\n" + "".join(lines))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(WHAT):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or list(WHAT))
