package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hdas/lab"
	"hdas/torch"
	"hdas/torch/versions"
)

// call runs a command line in process.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(context.Background(), args, &o, &e)
	return code, o.String(), e.String()
}

// must is call of a command line that has to work; it returns what that printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(t, args...)
	if code != 0 {
		t.Fatalf("hdas %s: exit %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func TestShowJSON(t *testing.T) {
	for args, want := range map[string][3]float64{
		"DARTS_V2":                   {3349342, 3825768, 528359040},
		"darts-v2 --preset imagenet": {4718752, 5979528, 529911552},
		"DARTS_V1 --channels 36 --layers 20 --classes 10": {3169414, 3645840, 500987520},
	} {
		code, out, errs := call(t, append([]string{"show", "--json"}, strings.Fields(args)...)...)
		if code != 0 {
			t.Fatalf("show %s: exit %d, %s", args, code, errs)
		}
		var r map[string]any
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r["parameters"] != want[0] || r["parameters_auxiliary"] != want[1] || r["macs"] != want[2] {
			t.Errorf("show %s: %v", args, r)
		}
		if stages := r["stages"].([]any); len(stages) != 3 {
			t.Errorf("show %s: %d stages", args, len(stages))
		}
	}
}

// Figure 8: 5/4/4 and 3.353/3.067/3.278, no dead cell.
func TestShowStages(t *testing.T) {
	_, out, _ := call(t, "show", "Hs_DAS_CIFAR_stages", "--json")
	var r struct {
		Stages []struct {
			Cells, Dead int
			Longest     int     `json:"longest_path"`
			Mean        float64 `json:"mean_path"`
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		longest int
		mean    float64
	}{{5, 3.353}, {4, 3.067}, {4, 3.278}} {
		s := r.Stages[i]
		if s.Cells != 6 || s.Dead != 0 || s.Longest != want.longest || s.Mean < want.mean-5e-4 || s.Mean > want.mean+5e-4 {
			t.Errorf("stage %d: %+v", i+1, s)
		}
	}
}

func TestShowGenotypes(t *testing.T) {
	for preset, presets := range map[string]int{"": 2, "--preset=imagenet": 1} {
		_, out, errs := call(t, append([]string{"show", "genotypes", "--json"}, strings.Fields(preset)...)...)
		var rows []listed
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err, errs)
		}
		if len(rows) != 34 {
			t.Errorf("%d genotypes, not the 31 and the three of H-DAS' figures", len(rows))
		}
		for _, r := range rows {
			if r.Source == "" || r.Reported.Source == "" || len(r.Sizes) != presets || r.Sizes["imagenet"].MACs == 0 {
				t.Errorf("%+v", r)
			}
			if r.Name == "DARTS_V2" && (r.Reported.CIFAR10 != 2.76 || r.Sizes["imagenet"].Parameters != 4718752) {
				t.Errorf("%+v", r)
			}
		}
	}
	if _, out, _ := call(t, "show", "genotypes"); strings.Count(out, "\n") != 35 || !strings.Contains(out, "3,349,342") {
		t.Errorf("the table is\n%s", out)
	}
}

// What show prints as text comes back through import, as a file that show takes.
func TestImportText(t *testing.T) {
	folder := t.TempDir()
	file, yaml := filepath.Join(folder, "mine.txt"), filepath.Join(folder, "mine.yaml")
	_, notation, _ := call(t, "show", "FairDARTS_g", "--text")
	if err := os.WriteFile(file, []byte(strings.TrimPrefix(notation, "FairDARTS_g = ")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{"mine": nil, "ours": {"--name", "ours"}} {
		if code, out, errs := call(t, append([]string{"import", "--genotype-text", file, "-o", yaml}, flags...)...); code != 0 || !strings.Contains(out, name) {
			t.Fatalf("exit %d, %s%s", code, out, errs)
		}
		_, out, errs := call(t, "show", yaml, "--json")
		var r lab.Size
		// The count of PyTorch's modules.
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Name != name || r.Parameters != 2899054 {
			t.Errorf("%+v, %v, %s", r, err, errs)
		}
	}
	if code, out, errs := call(t, "import", "--genotype-text", file, "-o", "-"); code != 0 || !strings.HasPrefix(out, "version: 1\nname: mine\n") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// Wrong usage has exit code 2 and says what is allowed.
func TestUsageErrors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct{ args, words string }{
		{"frobnicate", "hdas --help"},
		{"search", "cell distribution stage"},
		{"search everything", "usage: hdas search cell|distribution|stage"},
		{"show", "usage: hdas show"},
		{"show NOTHING", "DARTS_V1"},
		{"show DARTS_V1 --layers 1", "at least 2"},
		{"show DARTS_V1 --cells PDARTS", "cells of its own"},
		{"show DARTS_V1 --wiring paired", "--wiring is for genotypes with stages"},
		{"show Hs_DAS_CIFAR_stages --wiring other", "summed, paired"},
		{"show Hs_DAS_CIFAR_stages --stage-output last", "Rule 2"},
		{"show --colour red DARTS_V1", "--help"},
		{"show genotypes --layers 3", "--layers is for one genotype"},
		{"show genotypes --preset other", "cifar, imagenet"},
		{"show genotypes --cells Hs_DAS_CIFAR_stages", "no cells to put stages over"},
		{"import", "--genotype-text FILE"},
		{"import --genotype-text main_test.go", "usage: hdas import"},
		{"import --genotype-text main_test.go -o " + out + "0", "main_test.go: genotype text: line 1, column 1: expected"},
		{"import --genotype-text nowhere.txt -o " + out + "0", "no such file"},
		{"train --out " + out, "--genotype"},
		{"train --resume --genotype DARTS_V1", "--genotype"},
		{"train --resume", "--out"},
		{"search cell --resume", "--out"},
		{"search cell --config nowhere --out " + out + "1", "tiny-cell"},
		{"search cell --set search.epoch=1 --out " + out + "2", "search.epochs"},
		{"search cell --set search.epochs=0 --out " + out + "3", "is not in 1.."},
		{"search cell --set search.epochs=1.5 --out " + out + "4", "integer"},
		{"search cell --set search.gamma=1 --out " + out + "5", "distribution search only"},
		{"search stage --set network.layers=8 --out " + out + "6", "search.lengths"},
		{"search stage --config tiny-cell --out " + out + "7", "search"},
		{"search cell --device tpu --config tiny-cell --out " + out + "8", "cuda:N"},
		{"search cell --set search --out " + out + "9", "key=value"},
	} {
		code, _, errs := call(t, strings.Fields(c.args)...)
		if code != exitUsage || !strings.Contains(errs, c.words) {
			t.Errorf("hdas %s: exit %d, %q does not say %q", c.args, code, errs, c.words)
		}
	}
	if left, _ := filepath.Glob(out + "*"); len(left) > 1 { // the device is looked for in the run
		t.Errorf("a mistake leaves the folders %v", left)
	}
}

// The whole way on the embedded digits, at the scale of seconds: a search, the training of what it
// found, the score of the checkpoint, its drawing; and a stop that tells how to go on.
func TestSearchTrainEval(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	quick := []string{"--set", "network.channels=2", "--set", "search.epochs=1", "--set", "search.batch=500", "--seed", "3"}
	must(t, append([]string{"search", "stage", "--config", "tiny-stage", "--out", at("stages"), "--set", "search.lengths=[2,2,2]"}, quick...)...)
	for _, name := range []string{"config.yaml", "genotype.yaml", "genotype.svg", "genotypes/epoch-001.yaml", "epochs.jsonl", "checkpoint.safetensors"} {
		if _, err := os.Stat(filepath.Join(at("stages"), name)); err != nil {
			t.Error(err)
		}
	}
	must(t, "train", "--genotype", at("stages"), "--config", "tiny-train", "--out", at("trained"),
		"--set", "network.channels=2", "--set", "train.epochs=1", "--set", "train.batch=500")
	var score struct {
		Top1, Loss float64
		Samples    int
	}
	if err := json.Unmarshal([]byte(must(t, "eval", at("trained"), "--json")), &score); err != nil || score.Samples != 1000 {
		t.Errorf("score %+v, %v", score, err)
	}
	if code, _, errs := call(t, "eval", at("trained"), "--data-dir", folder); code != exitUsage || !strings.Contains(errs, "digits, which are embedded") {
		t.Errorf("images beside the digits: exit %d, %s", code, errs)
	}
	must(t, "draw", at("stages"), "-o", at("drawn.svg"))
	var runs []lab.Run
	if err := json.Unmarshal([]byte(must(t, "runs", folder, "--sort", "-kind", "--json")), &runs); err != nil || len(runs) != 2 {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	for i, want := range []lab.Run{
		{Path: at("trained"), Kind: "training", Of: "test"}, {Path: at("stages"), Kind: "stage search", Of: "validation"},
	} {
		r := runs[i]
		if r.Path != want.Path || r.Kind != want.Kind || r.Of != want.Of || r.Data != "digits" || !strings.HasPrefix(r.Genotype, "stage-search-digits") || r.State != lab.Done ||
			r.Progress != (lab.Progress{Epoch: 1, Epochs: 1, Done: true}) || r.Best == nil || *r.Best != *r.Last || r.Seconds <= 0 || time.Since(r.Changed) > time.Hour {
			t.Errorf("run %+v", r)
		}
	}
	if r := runs[0]; *r.Last != score.Top1 {
		t.Errorf("the table says %v, eval %v", *r.Last, score.Top1)
	}
	if code, _, errs := call(t, "eval", at("stages")); code != exitFailed || !strings.Contains(errs, "train its genotype first") {
		t.Errorf("eval of a search: exit %d, %s", code, errs)
	}
	if code, _, errs := call(t, "search", "cell", "--config", "tiny-cell", "--out", at("stages")); code == 0 || !strings.Contains(errs, "begin another run with another --out") {
		t.Errorf("a second run in one folder: exit %d, %s", code, errs)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	stopped := append([]string{"search", "cell", "--config", "tiny-cell", "--out", at("stopped"), "--set", "network.layers=3", "--set", "search.cell_primitives=[none,skip_connect]"}, quick...)
	if code := execute(ctx, stopped, &out, &errs); code != exitStopped || !strings.Contains(errs.String(), "hdas search cell --resume --out "+at("stopped")) {
		t.Fatalf("stopped: exit %d, %s", code, errs.String())
	}
	must(t, "search", "cell", "--resume", "--out", at("stopped"))

	// show has the sizes of a run, and eval says how far an unfinished training is.
	train := []string{"train", "DARTS_V2", "--config", "tiny-train", "--out", at("unfinished"), "--set", "network.channels=2", "--set", "network.layers=3", "--set", "train.batch=500"}
	if code := execute(ctx, train, &out, &errs); code != exitStopped {
		t.Fatalf("stopped: exit %d, %s", code, errs.String())
	}
	sizes := map[string]int{"training": 16, "search": 12} // of the images of tiny-train and of the tiny searches
	for _, c := range []struct {
		path, kind              string
		channels, layers, epoch int
	}{
		{at("trained"), "training", 2, 8, 1}, {at("trained/checkpoint.safetensors"), "training", 2, 8, 1},
		{at("stages"), "search", 2, 8, 1}, {at("unfinished"), "training", 2, 3, 0}, {at("stopped"), "search", 2, 3, 1},
	} {
		var r struct {
			Channels, Layers, Classes int
			Image                     []int
			Run                       struct {
				Kind, Dataset string
				Epoch, Epochs int
			}
		}
		if err := json.Unmarshal([]byte(must(t, "show", c.path, "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if r.Channels != c.channels || r.Layers != c.layers || r.Classes != 10 || r.Image[0] != sizes[c.kind] || r.Run.Kind != c.kind || r.Run.Dataset != "digits" || r.Run.Epoch != c.epoch || r.Run.Epochs < 1 {
			t.Errorf("show %s: %+v", c.path, r)
		}
	}
	if text := must(t, "show", at("trained"), "--preset", "imagenet"); !strings.Contains(text, "C=39") || strings.Contains(text, "training") {
		t.Errorf("with the sizes of a preset:\n%s", text)
	}
	if text := must(t, "show", at("trained"), "--channels", "4"); !strings.Contains(text, "C=4,") || !strings.Contains(text, "epoch 1 of 1") {
		t.Errorf("with other channels:\n%s", text)
	}
	if text := must(t, "eval", at("unfinished")); !strings.Contains(text, "after step 1 of epoch 1 of 9 (the training has not ended)") {
		t.Errorf("the score of a training that has not ended: %s", text)
	}
	if text := must(t, "eval", at("trained")); strings.Contains(text, "not ended") {
		t.Errorf("the score of a training that has ended: %s", text)
	}
}

// The advice on versions names what a newer one needs of a GPU.
func TestVersionAdvice(t *testing.T) {
	newest := versions.Supported[len(versions.Supported)-1]
	for _, c := range []struct {
		libtorch, driver, words string
	}{
		{newest.Number + "+cu132", "580.1", "the newest supported version; of 2.1.2, "},
		{"2.1.2", "", newest.Number + " is supported, too; of"},
		{"2.1.2", "535.1.2", "driver 580, which here is 535.1.2, and compute capability 7.5 to"},
		{"2.0.0", "", "not a supported version"},
	} {
		if got := versionAdvice(c.libtorch, c.driver, true); strings.Contains(got, "make") {
			t.Errorf("in a wheel: %s", got)
		}
		if got := versionAdvice(c.libtorch, c.driver, false); !strings.Contains(got, c.words) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestDoctor(t *testing.T) {
	code, out, errs := call(t, "doctor", "--json", "--data-dir", t.TempDir())
	var h health
	if err := json.Unmarshal([]byte(out), &h); code != 0 || err != nil {
		t.Fatalf("exit %d, %v, %s", code, err, errs)
	}
	if h.Libtorch != torch.Version() || !strings.Contains(h.Versions, versions.Names()) || h.Library == "" || h.Threads < 1 || h.MemoryGB <= 0 || h.Computes["cpu"] != "passes" || len(h.Computes) != len(h.Devices) || h.Data["digits"] != "found" || !strings.Contains(h.Data["cifar10"], "hdas data get cifar10") {
		t.Errorf("%+v", h)
	}
	if err := json.Unmarshal([]byte(must(t, "doctor", "--json", "--device", "cpu", "--threads", "1")), &h); err != nil || h.Threads != 1 || !slices.Equal(h.Devices, []string{"cpu"}) {
		t.Errorf("%+v, %v", h, err)
	}
	if code, _, errs := call(t, "doctor", "--device", "gpu"); code != exitUsage || !strings.Contains(errs, "gpu") {
		t.Errorf("%d, %s", code, errs)
	}
}
