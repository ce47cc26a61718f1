package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hdas/internal/parity"
)

// smallBench is a workload at a size that takes no time.
var smallBench = []string{"bench", "--device", "auto", "--batch", "2", "--channels", "2", "--cells", "5", "--threads", "1", "--rounds", "2"}

func benched(t *testing.T, more ...string) []parity.Timed {
	t.Helper()
	return timed(t, append(slices.Clone(smallBench), more...)...)
}

// timed returns the results of a command.
func timed(t *testing.T, args ...string) []parity.Timed {
	t.Helper()
	t.Setenv(asProgram, "yes") // this test's binary is the other process, too
	code, out, errs := call(t, append(args, "--json")...)
	var results []parity.Timed
	if err := json.Unmarshal([]byte(out), &results); code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	return results
}

// Every workload is measured, with its phases; lists of sizes are combined.
func TestBench(t *testing.T) {
	results := benched(t, "darts", "cell", "stage", "distribution", "darts-second-order", "stage-second-order", "train", "amoebanet", "eval", "--recompute", "none,cell")
	if len(results) != 18 {
		t.Fatalf("%d results", len(results))
	}
	for i, r := range results {
		sum := 0.0
		for _, s := range r.Phases {
			sum += s
		}
		phases := map[string]int{"eval": 1, "train": 3, "amoebanet": 3}[r.Workload]
		if phases == 0 {
			phases = 5
		}
		if r.Seconds <= 0 || r.CPU <= 0 || r.Peak < 1e7 || len(r.Phases) != phases || sum <= 0 || r.Go < 0 {
			t.Errorf("%+v", r)
		}
		if r.Batch != 2 || r.Channels != 2 || r.Cells != 5 || r.Recompute != []string{"none", "cell"}[i%2] || r.PyTorch != nil {
			t.Errorf("%+v", r)
		}
	}
	staged := timed(t, "bench", "imagenet-staged", "--device", "auto", "--batch", "2", "--channels", "2", "--threads", "1", "--rounds", "2")
	if r := staged; len(r) != 1 || r[0].Channels != 2 || r[0].Seconds <= 0 || len(r[0].Phases) != 3 {
		t.Errorf("%+v", r)
	}
	if r := timed(t, "bench", "loader", "--rounds", "2"); len(r) != 1 || r[0].Images < 1000 || r[0].Seconds <= 0 {
		t.Errorf("%+v", r)
	}
	code, out, errs := call(t, append(smallBench, "stage", "--window", "2,3")...)
	if code != 0 || strings.Count(out, "\nstage ") != 2 || !strings.Contains(out, "alpha backward") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// The operations of a step are counted, edge by edge and with equal edges grouped, and the most frequent are printed.
func TestBenchLaunches(t *testing.T) {
	results := benched(t, "train", "--launches")
	if len(results) != 2 || results[0].Path != "operations" || results[1].Path != "grouped" {
		t.Fatalf("%+v", results)
	}
	norms := func(r parity.Timed) int {
		return r.Launches["aten::native_batch_norm"] + r.Launches["aten::cudnn_batch_norm"] // the latter on a GPU
	}
	if single, grouped := norms(results[0]), norms(results[1]); single < 30 || grouped < 10 || grouped >= single {
		t.Errorf("%d batch norms edge by edge, %d grouped", single, grouped)
	}
	// A step of the second order has five passes instead of two.
	total := func(r parity.Timed) (n int) {
		for _, of := range r.Launches {
			n += of
		}
		return n
	}
	orders := benched(t, "stage", "stage-second-order", "--launches", "--path", "operations")
	if ratio := float64(total(orders[1])) / float64(total(orders[0])); ratio < 2 || ratio > 3 {
		t.Errorf("%d operations at the first order, %d at the second", total(orders[0]), total(orders[1]))
	}
	code, out, errs := call(t, append(smallBench, "train", "--launches", "--path", "grouped")...)
	if code != 0 || !strings.Contains(out, "train, grouped: ") || !strings.Contains(out, " operations in a step") || !strings.Contains(out, " others") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// Beside another program, its steps come in turns, and ratios are of the same round.
func TestBenchBeside(t *testing.T) {
	steps := python(t, "while read line; do echo '{\"seconds\": 1000, \"cpu\": 2000, \"peak\": 1e12}'; done\n")
	r := benched(t, "train", "--pytorch", "--python", steps, "--rounds", "4")[0]
	if r.PyTorch == nil || r.PyTorch.Seconds != 1000 || r.PyTorch.CPU != 2000 || r.PyTorch.Memory != r.Peak/1e12 || r.Compiled != nil || r.Reason != "" {
		t.Fatalf("%+v", r)
	}
	if s := r.PyTorch.Speed; len(s) != 3 || s[1] > s[0] || s[0] > s[2] || s[0] < 999/r.Seconds || s[0] > 1001/r.Seconds {
		t.Errorf("%v of %v s", s, r.Seconds)
	}
	// torch.compile is a third process, whose first step is not counted; without it, the others are measured.
	compiles := python(t, "s=1000; test \"$4\" = compile && s=500; test $s = 500 && read line && echo '{\"seconds\": 7000, \"cpu\": 1, \"peak\": 1e12}'; while read line; do echo '{\"seconds\": '$s', \"cpu\": 2000, \"peak\": 1e12}'; done\n")
	r = benched(t, "train", "--pytorch", "--compile", "--python", compiles, "--rounds", "3")[0]
	if r.PyTorch == nil || r.PyTorch.Seconds != 1000 || r.Compiled == nil || r.Compiled.First != 7000 || r.Compiled.Seconds != 500 || r.Compiled.Speed[0] >= r.PyTorch.Speed[0] {
		t.Errorf("%+v", r)
	}
	without := python(t, "test \"$4\" = compile && echo 'InductorError: no compiler' >&2 && exit 1; while read line; do echo '{\"seconds\": 1000, \"cpu\": 2000, \"peak\": 1e12}'; done\n")
	r = benched(t, "train", "--pytorch", "--compile", "--python", without, "--rounds", "3")[0]
	if r.PyTorch == nil || r.Compiled != nil || !strings.Contains(r.Reason, "InductorError: no compiler") {
		t.Errorf("%+v", r)
	}
	fails := python(t, "read line; echo 'ValueError: no such thing' >&2; exit 3\n")
	code, _, errs := call(t, append(smallBench, "train", "--pytorch", "--python", fails)...)
	if code != exitFailed || !strings.Contains(errs, "exit status 3: ValueError: no such thing") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, c := range []struct{ args, words string }{
		{"all", "known are darts, cell, distribution, stage, darts-second-order, stage-second-order, train, amoebanet, imagenet, imagenet-staged, eval, loader"},
		{"loader --channels 16", "only a batch and threads"},
		{"loader --pytorch", "make bench"},
		{"darts --batch 1", "batch 1 is not at least 2"},
		{"darts --cells 4", "at least 5"},
		{"darts --window 3", "a window is of the stage and distribution searches"},
		{"distribution --cells 3", "distribution: "},
		{"imagenet-staged --cells 9", "that of its genotype"},
		{"darts-second-order --precision bf16", "takes a finite difference"},
		{"darts --rounds 1", "is not in 2.."},
		{"darts --recompute all", "known are none, edge, cell"},
		{"darts --pytorch --reference x", "choose one"},
		{"darts --compile", "--compile is for --pytorch"},
		{"stage --reference x", "quark0/darts is timed in its search alone: darts, darts-second-order"},
		{"darts --reference " + t.TempDir(), "no checkout of quark0/darts"},
		{"darts --device moon", "device \"moon\" is unknown"},
	} {
		code, _, errs := call(t, append([]string{"bench"}, strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(errs, c.words) {
			t.Errorf("bench %s: exit %d, %q does not say %q", c.args, code, errs, c.words)
		}
	}
}

// Where there is a PyTorch, the twin takes its steps.
func TestBenchLive(t *testing.T) {
	if _, err := parity.Find(context.Background(), ""); err != nil {
		t.Skip(err)
	}
	for _, r := range benched(t, "darts-second-order", "stage", "eval", "--pytorch") {
		if r.PyTorch == nil || r.PyTorch.Seconds <= 0 || r.PyTorch.Peak < 1e7 {
			t.Errorf("%+v", r)
		}
	}
}
