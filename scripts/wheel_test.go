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
