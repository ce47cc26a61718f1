package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/estimate"
	"hdas/internal/torchtest"
)

// dryRun returns the estimate of a command, which may leave no file.
func dryRun(t *testing.T, args ...string) estimate.Estimate {
	t.Helper()
	out := filepath.Join(t.TempDir(), "none")
	var e estimate.Estimate
	if err := json.Unmarshal([]byte(must(t, append(args, "--dry-run", "--json", "--out", out)...)), &e); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a dry run has made its folder")
	}
	if e.Device != torchtest.Device().String() || e.Threads < 1 || e.Free <= 0 || e.Bytes.Predicted <= 0 || e.Bytes.High < e.Bytes.Predicted {
		t.Errorf("%+v", e)
	}
	for _, s := range append([]estimate.Seconds{e.Seconds}, e.Parts[0].Step, e.Parts[0].Evaluation) {
		if s.Low <= 0 || s.Median < s.Low || s.High < s.Median {
			t.Errorf("a time of %+v", s)
		}
	}
	return e
}

// brisk is a search with short steps.
func brisk(set ...string) []string {
	args := []string{"search", "stage", "--config", "tiny-stage"}
	for _, s := range append([]string{"search.batch=8", "network.channels=2", "search.lengths=[2,2,2]", "search.cells=testdata/small-cells.yaml"}, set...) {
		args = append(args, "--set", s)
	}
	return args
}

func TestDryRunOfASearch(t *testing.T) {
	e := dryRun(t, brisk("search.epochs=7")...)
	// 2000 images a half in batches of 8; three stages of 2 cells with windows 2, 3: 5 edges of 4.
	p := e.Parts[0]
	if len(e.Parts) != 1 || p.Epochs != 7 || p.Steps != 250 || p.Batch != 8 || p.Arch != 3*5*4 || p.Weights < 1000 || p.Runs != 1 || !e.Fits || p.LargestBatch < 8 || len(e.Assumed) > 0 {
		t.Errorf("%+v", e)
	}
}

// A dry run needs no images. Several seeds need the memory of those that run at once, and their time one after
// the other.
func TestDryRunOfSeeds(t *testing.T) {
	args := append(brisk("data.name=cifar10"), "--data-dir", t.TempDir(), "--seeds", "5", "--jobs", "2", "--select", "tiny-train")
	for _, set := range []string{"train.batch=8", "network.channels=2", "data.name=cifar10", "data.dir=" + t.TempDir()} {
		args = append(args, "--select-set", set)
	}
	e := dryRun(t, args...)
	p, q := e.Parts[0], e.Parts[1]
	if p.Runs != 5 || p.AtOnce != 2 || p.Steps != 25000/8 || q.Runs != 5 || q.AtOnce != 1 || q.Steps != 25000/8 {
		t.Errorf("%+v", e.Parts)
	}
	if want := 3*p.Run.Median + 5*q.Run.Median; e.Seconds.Median < 0.999*want || e.Seconds.Median > 1.001*want {
		t.Errorf("%v seconds, not %v", e.Seconds.Median, want)
	}
	if e.Bytes.Predicted != max(2*p.Memory.Bytes.Predicted, q.Memory.Bytes.Predicted) {
		t.Errorf("%d bytes for %d of each", e.Bytes.Predicted, p.Memory.Bytes.Predicted)
	}
	if len(e.Assumed) != 1 || !strings.Contains(e.Assumed[0], "cifar10 are absent") {
		t.Errorf("assumed %q", e.Assumed)
	}
}

func TestDryRunOfTrainings(t *testing.T) {
	settings := []string{"--config", "tiny-train", "--set", "network.channels=2", "--set", "network.layers=3", "--set", "train.batch=10", "--set", "train.epochs=3"}
	e := dryRun(t, append([]string{"train", "--genotype", "DARTS_V1"}, settings...)...)
	if p := e.Parts[0]; p.Epochs != 3 || p.Steps != 400 || p.Batch != 10 || !strings.Contains(p.Name, "DARTS_V1") {
		t.Errorf("%+v", p)
	}
	e = dryRun(t, append([]string{"compare", "DARTS_V1", "--random", "5", "--repeats", "2"}, settings...)...)
	var runs []int
	for _, p := range e.Parts {
		runs = append(runs, p.Runs)
	}
	if len(runs) != 4 || runs[0] != 2 || runs[1]+runs[2]+runs[3] != 5 || len(e.Assumed) != 1 {
		t.Errorf("%v runs, assumed %q", runs, e.Assumed)
	}
}

// The printed text says what was measured, what is free and which batch fits; progress is shown meanwhile.
func TestDryRunText(t *testing.T) {
	code, out, errs := call(t, append(brisk(), "--dry-run")...)
	for _, words := range []string{"stage search (" + torchtest.Device().String(), "architecture parameters", "largest batch that fits", "were measured", "that are free: it fits"} {
		if code != 0 || !strings.Contains(out, words) {
			t.Errorf("exit %d: %q is not in %s", code, words, out)
		}
	}
	if !strings.Contains(errs, "measured: batch 2: peak memory") || !strings.Contains(errs, "a step takes") {
		t.Errorf("progress: %s", errs)
	}
	for _, args := range []string{"search stage --dry-run --resume --out x", "train --dry-run --resume --out x", "compare --dry-run --resume --out x"} {
		if code, _, errs := call(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errs, "--dry-run is for a new run") {
			t.Errorf("hdas %s: exit %d, %s", args, code, errs)
		}
	}
}

// The estimate of a search that cannot fit says so and names the batch that would.
func TestDryRunThatDoesNotFit(t *testing.T) {
	e := dryRun(t, append(brisk("data.name=imagenet", "data.size=128", "search.batch=65536"), "--data-dir", t.TempDir())...)
	if p := e.Parts[0]; e.Fits || p.LargestBatch < 2 || p.LargestBatch >= 65536 || p.Memory.At(p.LargestBatch).High > e.Free || p.Memory.At(p.LargestBatch+1).High <= e.Free || p.Timed.Batch > p.LargestBatch {
		t.Errorf("%+v", e)
	}
}
