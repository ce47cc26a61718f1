package scripts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The entry point of the wheel runs the program with the libtorch of the PyTorch beside it, or of one elsewhere, and refuses a
// version for which it was not built.
func TestWheelEntry(t *testing.T) {
	t.Parallel()
	site, other := t.TempDir(), t.TempDir()
	entry := strings.NewReplacer("@TORCH@", "2.11", "@SUPPORTED@", "2.1.2, 2.11.0").Replace(readFile(t, "wheel/__init__.py"))
	writeFile(t, filepath.Join(site, "hdas", "__init__.py"), []byte(entry))
	writeFile(t, filepath.Join(site, "hdas", "bin", "hdas"), []byte("#!/bin/sh\necho \"$@\" LIBRARIES=$LD_LIBRARY_PATH PYTHON=$PYTHON\n"))
	install := func(folder, version string) {
		writeFile(t, filepath.Join(folder, "torch", "__init__.py"), nil)
		writeFile(t, filepath.Join(folder, "torch", "version.py"), []byte("__version__ = '"+version+"'\n"))
	}
	run := func(path string) string {
		c := exec.Command("python3", "-B", "-S", "-c", "from hdas import main; main()", "doctor", "--json")
		c.Dir = t.TempDir()
		c.Env = append(os.Environ(), "PYTHONPATH="+path, "PYTHON=", "LD_LIBRARY_PATH=")
		out, _ := c.CombinedOutput()
		return string(out)
	}
	if got := run(site); !strings.Contains(got, "PyTorch is not installed") || !strings.Contains(got, "pip install torch==2.11.*") {
		t.Errorf("no PyTorch: %s", got)
	}
	install(other, "2.11.1+cpu")
	if got := run(site + ":" + other); !strings.HasPrefix(got, "doctor --json LIBRARIES="+other+"/torch/lib PYTHON=/") {
		t.Errorf("PyTorch elsewhere: %s", got)
	}
	install(site, "2.11.0+cu130")
	if got := run(site); !strings.HasPrefix(got, "doctor --json LIBRARIES= PYTHON=/") {
		t.Errorf("PyTorch beside it: %s", got)
	}
	install(site, "2.4.1+cu121")
	if got := run(site); !strings.Contains(got, "this wheel is for PyTorch 2.11, and 2.4.1+cu121 is installed") || !strings.Contains(got, "2.1.2, 2.11.0") {
		t.Errorf("another PyTorch: %s", got)
	}
}

// pip installs the wheel, which needs nothing else, and its command runs the program.
func TestWheelInstalls(t *testing.T) {
	t.Parallel()
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("python3 has no pip")
	}
	folder, site := t.TempDir(), t.TempDir()
	program := filepath.Join(folder, "program")
	writeFile(t, program, []byte("#!/bin/sh\necho it got \"$@\"\nexit\n\x00GLIBC_2.5\x00GLIBC_2.17\x00"))
	run := func(command string, args ...string) string {
		t.Helper()
		c := exec.Command(command, args...)
		c.Env = append(os.Environ(), "PYTHONPATH="+site, "PYTHON=")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v, %s", command, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	pack := "import pathlib, runpy, sys, setup; print(runpy.run_path('wheel.py')['make'](setup.of('2.11'), *map(pathlib.Path, sys.argv[1:])))"
	wheel := run("python3", "-B", "-c", pack, program, folder)
	if !strings.Contains(wheel, "+torch2.11-py3-none-manylinux_2_17_x86_64.whl") {
		t.Errorf("the wheel is %s", wheel)
	}
	run("python3", "-m", "pip", "install", "--quiet", "--no-index", "--target", site, wheel)
	writeFile(t, filepath.Join(site, "torch", "__init__.py"), nil)
	writeFile(t, filepath.Join(site, "torch", "version.py"), []byte("__version__ = '2.11.0+cpu'\n"))
	if got := run(filepath.Join(site, "bin", "hdas"), "doctor", "--json"); got != "it got doctor --json" {
		t.Errorf("hdas printed %q", got)
	}
}
