"""hdas, built for the libtorch of PyTorch @TORCH@."""
import importlib.util
import os
import pathlib
import re
import sys

TORCH = "@TORCH@"  # the major and minor version of PyTorch
SUPPORTED = "@SUPPORTED@"


def main():
    """Runs the program with the libtorch of the PyTorch that is installed in this environment."""
    spec = importlib.util.find_spec("torch")
    if not spec or not spec.origin:
        sys.exit("hdas: PyTorch is not installed for %s; run: %s -m pip install torch==%s.*" % (sys.executable, sys.executable, TORCH))
    torch = pathlib.Path(spec.origin).parent
    found = re.search(r"__version__ = '([^']+)'", (torch / "version.py").read_text())
    version = found.group(1) if found else "of an unknown version"
    if version.split(".")[:2] != TORCH.split("."):
        sys.exit("hdas: this wheel is for PyTorch %s, and %s is installed in %s; install the wheel of that version (there is one for each of %s),"
                 " or run: %s -m pip install torch==%s.*" % (TORCH, version, torch, SUPPORTED, sys.executable, TORCH))
    here = pathlib.Path(__file__).resolve().parent
    if torch.parent != here.parent:  # else the program finds the libraries itself
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([str(torch / "lib")] + os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)).rstrip(os.pathsep)
    os.environ["PYTHON"] = os.environ.get("PYTHON") or sys.executable  # the PyTorch that hdas compares with
    program = str(here / "bin" / "hdas")
    os.execv(program, [program] + sys.argv[1:])
