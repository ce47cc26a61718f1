package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// makePyTorch writes tiny wheels of everything that the Python with PyTorch consists of, under the
// names and versions that are pinned; what is imported once it is installed is in three of them.
func (s *setup) makePyTorch() {
	s.t.Helper()
	python := []string{"python3", "-c", "import sys, pip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 11))"}
	if exec.Command(python[0], python[1:]...).Run() != nil {
		s.t.Skip("python3 has no pip, or is none that PyTorch 2.1 was published for")
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.t.TempDir(), &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < 8e9 {
		s.t.Skip("the disk has not the 8 GB that PyTorch takes on the way")
	}
	contents := map[string]map[string]string{
		"torch": {"torch/__init__.py": "from . import optim\n__version__ = '2.1.2'\ndef zeros(n): return n\n",
			"torch/optim.py": "class SGD:\n    def __init__(self, p, lr): pass\n    def step(self): pass\n"},
		"safetensors": {"safetensors/__init__.py": "", "safetensors/torch.py": ""},
		"numpy":       {"numpy/__init__.py": ""}, "PyYAML": {"yaml/__init__.py": ""},
	}
	s.makeEnvironment("libtorch/2.1.2-pytorch.txt", contents)
}

// makeEnvironment writes a tiny wheel of every package in a list, with the files of contents or with a module of another name.
func (s *setup) makeEnvironment(list string, contents map[string]map[string]string) {
	s.t.Helper()
	pins := readFile(s.t, list)
	writeFile(s.t, filepath.Join(s.dir, list), []byte(pins))
	copyFile(s.t, "environment.py", filepath.Join(s.dir, "environment.py"))
	for line := range strings.Lines(pins) {
		requirement, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, version, ok := strings.Cut(requirement, "==")
		if !ok {
			continue
		}
		plain := strings.ReplaceAll(name, "-", "_")
		files := contents[name]
		if files == nil {
			files = map[string]string{plain + "_/__init__.py": ""}
		}
		info := fmt.Sprintf("%s-%s.dist-info/", plain, version)
		files[info+"METADATA"] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
		files[info+"WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
		files[info+"RECORD"] = ""
		writeFile(s.t, filepath.Join(s.wheels, fmt.Sprintf("%s-%s-py3-none-any.whl", plain, version)), zipped(s.t, files))
	}
}

// The Python with ONNX is prepared in the same way. Where that fails, the cure is said: the tests that need it show these words.
func TestONNX(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if exec.Command("python3", "-c", "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))").Run() != nil {
		t.Skip("python3 has no pip, or is none that the pinned onnxruntime was published for")
	}
	s.makeEnvironment("onnx.txt", map[string]map[string]string{"onnx": {"onnx/__init__.py": "print('there')\n"}, "onnxruntime": {"onnxruntime/__init__.py": ""}, "tensorboard": {"tensorboard/__init__.py": ""}})
	s.fails([]string{"onnx"}, "Check the network and pip's settings", "PIP_FIND_LINKS=")
	other := filepath.Join(t.TempDir(), "python")
	writeFile(t, other, []byte("#!/bin/sh\necho 3 9\n"))
	s.fails([]string{"onnx"}, "needs a Python 3.11 to 3.14, and "+other+" is 3.9", "PYTHON="+other)
	if got, _ := s.passes([]string{"onnx", "-c", "import onnx"}); got != "there\n" {
		t.Errorf("%q", got)
	}
	if got, stderr := s.passes([]string{"onnx"}, "PIP_FIND_LINKS="); !strings.HasPrefix(got, filepath.Join(s.cache, "onnxruntime-")) || stderr != "" {
		t.Errorf("%q %q", got, stderr)
	}
}

func TestPyTorch(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.makePyTorch()
	home := filepath.Join(s.cache, "pytorch-2.1.2")
	wheel := filepath.Join(s.wheels, "safetensors-0.4.5-py3-none-any.whl")
	aside := filepath.Join(t.TempDir(), filepath.Base(wheel))

	// Without one of the packages there is nothing, and nothing is left over.
	rename(t, wheel, aside)
	s.fails([]string{"pytorch"}, "pip failed; its own words are above")
	// What a killed run leaves is not taken for whole.
	writeFile(t, filepath.Join(s.cache, ".unfinished-pytorch-2.1.2", "tree", "bin", "python"), nil)
	s.fails([]string{"pytorch"}, "pip failed; its own words are above")
	if left, err := filepath.Glob(filepath.Join(s.cache, "*pytorch*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}

	// It prints its path, is there at once the next time, and runs programs.
	rename(t, aside, wheel)
	if got, _ := s.passes([]string{"pytorch"}); got != filepath.Join(home, "bin", "python")+"\n" {
		t.Errorf("path %q", got)
	}
	program := filepath.Join(t.TempDir(), "program.py")
	writeFile(t, program, []byte("import sys, torch, yaml\nprint(torch.__version__, sys.argv[1])\n"))
	if got, stderr := s.passes([]string{"pytorch", program, "given"}, "PIP_FIND_LINKS="); got != "2.1.2 given\n" || stderr != "" {
		t.Errorf("%q %q", got, stderr)
	}

	// Other pins, or a Python below that is gone, have it prepared anew.
	remove(t, filepath.Join(home, "bin", "python"))
	s.passes([]string{"pytorch"})
	list := filepath.Join(s.dir, "libtorch", "2.1.2-pytorch.txt")
	writeFile(t, list, []byte(readFile(t, list)+"absent==1\n"))
	s.fails([]string{"pytorch"}, "pip failed")
	if _, err := os.Stat(filepath.Join(home, "complete.json")); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
}

func TestPyTorchNeedsAPython(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.makePyTorch()
	s.fails([]string{"pytorch"}, "none-such is not installed", "PYTHON=none-such")
	other := filepath.Join(t.TempDir(), "python")
	writeFile(t, other, []byte("#!/bin/sh\necho 3 13\n"))
	s.fails([]string{"pytorch"}, "PyTorch 2.1.2 needs a Python 3.8 to 3.11, and "+other+" is 3.13", "PYTHON="+other)
	writeFile(t, other, []byte("#!/bin/sh\nexit 1\n"))
	s.fails([]string{"pytorch"}, other+" is broken", "PYTHON="+other)
	writeFile(t, other, []byte("#!/bin/sh\ntest \"$1\" = -c && echo 3 11\n"))
	s.fails([]string{"pytorch"}, "has no pip", "PYTHON="+other)
}
