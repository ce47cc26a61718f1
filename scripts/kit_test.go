package scripts_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The checks of the device kit: they are listed, run beside a PyTorch of the version that the kit was built for, and
// their results are written and shown again.
func TestKitChecks(t *testing.T) {
	t.Parallel()
	kit, site := t.TempDir(), t.TempDir()
	for _, name := range []string{"run-checks", "checks.py"} {
		writeFile(t, filepath.Join(kit, name), []byte(readFile(t, "kit/"+name)))
	}
	writeFile(t, filepath.Join(kit, "kit.json"), []byte(`{"torch": "2.11", "version": "kit-1", "tests": {"tests-some": ["torch", "torch/nn"]}, "minutes": {"tests-some": "1 min"}}`))
	writeFile(t, filepath.Join(kit, "bin/hdas"), []byte(`#!/bin/sh
case "$1 $2" in
"doctor --json") echo '{"libtorch": "2.11.0", "library": "'$LD_LIBRARY_PATH'", "devices": ["cpu"], "cuda": "no driver"}' ;;
"compare pytorch") echo '[{"case": "cell", "groups": [{"name": "loss", "difference": 1e-9, "bar": 1e-8, "failed": false}, {"name": "logits", "difference": 3e-8, "bar": 1e-8, "failed": true}],
 "paces": [{"seconds_hdas": 1, "seconds_pytorch": 2, "peak_bytes_hdas": 1e6, "peak_bytes_pytorch": 2e6}]}]'; exit 1 ;;
*) echo "hdas: no such thing: $*" >&2; exit 2 ;;
esac
`))
	writeFile(t, filepath.Join(kit, "src/torch/torch.test"), []byte(`#!/bin/sh
echo "=== RUN   TestA"; echo "--- PASS: TestA (0.00s)"; echo "    --- PASS: TestA/one (0.00s)"; echo "--- SKIP: TestB (0.00s)"; echo "on $HDAS_TEST_DEVICE in $PWD"; echo PASS
`))
	writeFile(t, filepath.Join(kit, "src/torch/nn/nn.test"), []byte(`#!/bin/sh
echo "--- FAIL: TestC (0.00s)"; echo "    --- FAIL: TestC/two (0.00s)"; echo "--- PASS: TestD (0.00s)"; echo FAIL; exit 1
`))
	install := func(version string) {
		writeFile(t, filepath.Join(site, "torch", "__init__.py"), nil)
		writeFile(t, filepath.Join(site, "torch", "version.py"), []byte("__version__ = '"+version+"'\n"))
	}
	run := func(code int, words string, args ...string) {
		t.Helper()
		c := exec.Command(filepath.Join(kit, "run-checks"), args...)
		c.Dir, c.Env = t.TempDir(), append(os.Environ(), "PYTHONPATH="+site, "PYTHONNOUSERSITE=1", "PYTHON=", "DEVICE=", "LD_LIBRARY_PATH=")
		out, _ := c.CombinedOutput()
		for _, line := range strings.Split(words, "|") {
			if !strings.Contains(string(out), line) {
				t.Errorf("%q: %q is not in\n%s", args, line, out)
			}
		}
		if got := c.ProcessState.ExitCode(); got != code {
			t.Errorf("%q: exit %d, not %d\n%s", args, got, code, out)
		}
	}
	run(0, "tests-some        1 min  tests of torch, torch/nn|compare-float64|prediction")
	run(1, "run-checks: nothing is no part", "nothing")
	install("2.4.1+cu121")
	run(1, "run-checks: this kit is for PyTorch 2.11, and 2.4.1+cu121 is installed", "doctor")
	install("2.11.0+cpu")
	run(1, "tests-some on cpu, PyTorch 2.11.0+cpu|FAILED|torch     1       0       1|torch/nn  1       1       0|TestC/two", "tests-some")
	run(1, "logits         3e-08|FAILED|compare pytorch  exit code 1", "compare-float64")
	run(0, "compare-float64 on cpu|tests-some on cpu", "table")

	files, _ := filepath.Glob(filepath.Join(kit, "results", "*-tests-some.json"))
	if len(files) != 1 {
		t.Fatalf("results %q", files)
	}
	var result struct {
		Part, Device, Torch string
		Failed              bool
		Output              []struct {
			Package         string
			Passed          int
			Failed, Skipped []string
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, files[0])), &result); err != nil {
		t.Fatal(err)
	}
	if result.Part != "tests-some" || !result.Failed || len(result.Output) != 2 || result.Output[0].Passed != 2 || result.Output[0].Skipped[0] != "TestB" || len(result.Output[1].Failed) != 1 {
		t.Errorf("%+v", result)
	}
	if log := readFile(t, strings.TrimSuffix(files[0], ".json")+".log"); !strings.Contains(log, "on cpu in "+filepath.Join(kit, "src/torch")) {
		t.Errorf("the log is\n%s", log)
	}
}
