#!/usr/bin/env python3
"""Makes hdas a Python wheel for people who have PyTorch: wheel.py [VERSION ...], one wheel for each supported version of PyTorch.

The wheels are written to dist/. They hold the program without libtorch: it uses the libraries of the PyTorch beside which it is
installed, with CUDA if that has it.
The wheel does not require torch, because pip would then replace a PyTorch of another version; its entry point says what is missing.
"""
import base64
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

import portable
import setup
from portable import ROOT

BESIDE = b"$ORIGIN/../../torch/lib"  # from hdas/bin/hdas, in the same folder of packages


def build(version, program):
    """Builds the program for a version, to find libtorch beside itself."""
    env, libraries = portable.environment(version.number)
    subprocess.run(["go", "build", "-ldflags=-s -w", "-o", str(program), "./cmd/hdas"], cwd=str(ROOT), env=env, check=True)
    portable.relocate(program, libraries, BESIDE)


def glibc(program):
    """Returns the minor version of glibc 2 that the program needs, from the names of the versions of its symbols."""
    return max(int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)", program.read_bytes()))


def make(version, program, folder):
    """Writes the wheel of a program and returns its path."""
    torch = ".".join(version.number.split(".")[:2])
    name, tag = "hdas-%s+torch%s" % (portable.number(), torch), "py3-none-manylinux_2_%d_x86_64" % glibc(program)
    supported = setup.names(setup.supported())
    entry = (setup.HERE / "wheel" / "__init__.py").read_text().replace("@TORCH@", torch).replace("@SUPPORTED@", supported)
    info = name + ".dist-info/"
    files = {
        "hdas/__init__.py": entry.encode(),
        "hdas/__main__.py": b"from hdas import main\n\nmain()\n",
        "hdas/bin/hdas": program.read_bytes(),
        info + "METADATA": ("Metadata-Version: 2.1\nName: hdas\nVersion: %s\nSummary: hierarchical differentiable architecture search\n"
                            "License: Apache-2.0\nRequires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n" % name[5:]).encode()
        + (ROOT / "README.md").read_bytes(),
        info + "LICENSE": (ROOT / "LICENSE").read_bytes(),
        info + "NOTICE": portable.NOTICE.read_bytes(),
        info + "WHEEL": ("Wheel-Version: 1.0\nGenerator: hdas\nRoot-Is-Purelib: false\nTag: %s\n" % tag).encode(),
        info + "entry_points.txt": b"[console_scripts]\nhdas = hdas:main\n",
    }
    record = "".join("%s,sha256=%s,%d\n" % (file, base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("="), len(data)) for file, data in files.items())
    files[info + "RECORD"] = (record + info + "RECORD,,\n").encode()
    folder.mkdir(exist_ok=True)
    path = folder / ("%s-%s.whl" % (name, tag))
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as z:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if file == "hdas/bin/hdas" else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data)
    return path


def main(asked):
    versions = [v for v in setup.supported() if not asked or v.number in asked]
    if len(versions) < len(asked):
        setup.fail("of %s not all are supported versions of PyTorch" % ", ".join(asked), "Choose from %s." % setup.names(setup.supported()))
    for version in versions:
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "hdas"
            build(version, program)
            path = make(version, program, ROOT / "dist")
        print("%s (%.1f MB)" % (path, path.stat().st_size / 1e6))


if __name__ == "__main__":
    main(sys.argv[1:])
