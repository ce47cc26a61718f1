package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/parity"
)

// echo returns a fake Python whose PyTorch side copies the results of this program and then runs the shell
// lines of after.
func echo(t *testing.T, after string) string {
	t.Helper()
	return python(t, `cd "$3" && cp hdas.json pytorch.json && cp hdas.safetensors pytorch.safetensors`+"\n"+after+"\n")
}

// python returns a fake Python with PyTorch: it reports the right versions, and runs those shell lines when
// it is called with a program, $2, and a folder with a task, $3.
func python(t *testing.T, lines string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "python")
	script := `#!/bin/sh
if [ "$1" = -c ]; then
	echo '{"python": "3.11", "torch": "2.1.2", "numpy": "1.24.4", "safetensors": "0.4.5"}'
	exit
fi
test -f "$2" -a -f "$3/task.json" || exit 1
` + lines
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// With a PyTorch that gives the same results, nothing differs. A single different number is found, and so
// is a side that fails.
func TestComparePyTorch(t *testing.T) {
	t.Setenv(asProgram, "yes") // this test's binary is the other process, too
	compare := func(python string, more ...string) (int, string, string) {
		return call(t, append([]string{"compare", "pytorch", "--device", "auto", "--python", python, "--genotype", "DARTS_V1", "--only", "chain",
			"--channels", "2", "--layers", "3", "--batch", "2", "--steps", "1", "--threads", "1"}, more...)...)
	}
	code, out, errs := compare(echo(t, ""), "--json")
	var results []parity.Result
	if err := json.Unmarshal([]byte(out), &results); code != 0 || err != nil || len(results) != 1 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	r := results[0]
	if r.Failed() || len(r.Groups) != 8 || len(r.Paces) != 1 || r.Paces[0].HDAS <= 0 || r.Paces[0].HDASPeak <= 0 || !strings.Contains(r.With, "twin on PyTorch") {
		t.Errorf("%+v", r)
	}
	for _, g := range r.Groups {
		if g.Difference != 0 || g.Tensors == 0 || g.Worst == "" {
			t.Errorf("%+v", g)
		}
	}

	// The last eight bytes of the file become the number 1e9.
	other := `size=$(wc -c < pytorch.safetensors)
printf '\000\000\000\000\145\315\315\101' | dd of=pytorch.safetensors bs=1 seek=$((size - 8)) conv=notrunc 2>/dev/null`
	code, out, errs = compare(echo(t, other))
	if code != exitFailed || strings.Count(out, "<- too much") != 1 || !strings.Contains(errs, "1 groups exceed their tolerance") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = compare(echo(t, other), "--tolerance", "2"); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, _, errs = compare(echo(t, "echo Traceback >&2; echo 'ValueError: no such thing' >&2; exit 1"))
	if code != exitFailed || !strings.Contains(errs, "PyTorch's side: exit status 1: ValueError: no such thing") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestComparePyTorchUsage(t *testing.T) {
	for _, c := range []struct{ args, words string }{
		{"--only all", "known are chain, staged, paired, paired-last, cell, cell-partial, distribution,"},
		{"--genotype DARTS_V1 --only staged", "--only staged, but DARTS_V1 is none"},
		{"--genotype NOTHING", "unknown"},
		{"--batch 1 --steps 0 --precision half --order third", "batch 1 is not at least 2"},
		{"--preset tiny --only chain", "preset"},
		{"--only cell --layers 4", "at least 5"},
		{"--device moon", "device \"moon\" is unknown"},
		{"--tolerance -1", "is not in [0,"},
		{"--reference " + t.TempDir(), "no checkout of quark0/darts"},
		{"--reference x --only distribution", "has no distribution network"},
		{"more", "usage"},
	} {
		code, _, errs := call(t, append([]string{"compare", "pytorch"}, strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(errs, c.words) {
			t.Errorf("compare pytorch %s: exit %d, %q does not say %q", c.args, code, errs, c.words)
		}
	}
	if code, _, errs := call(t, "compare", "pytorch", "--python", "/no/such/python"); code != exitFailed || !strings.Contains(errs, "make parity") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// Where there is a PyTorch, it agrees.
func TestComparePyTorchLive(t *testing.T) {
	if _, err := parity.Find(context.Background(), ""); err != nil {
		t.Skip(err)
	}
	t.Setenv(asProgram, "yes")
	code, out, errs := call(t, "compare", "pytorch", "--device", "auto", "--only", "chain,staged,cell", "--channels", "2", "--layers", "5", "--batch", "2", "--steps", "1", "--threads", "1")
	if code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
