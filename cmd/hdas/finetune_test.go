package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/lab"
	"hdas/model"
	"hdas/run"
)

// little makes a training one of seconds.
func little(images, out string, more ...string) []string {
	return append([]string{"--data-dir", images, "--out", out, "--set", "train.epochs=2", "--set", "train.batch=8", "--threads", "1"}, more...)
}

// sized is little for a network with new weights.
func sized(images, out string, more ...string) []string {
	return little(images, out, append([]string{"--set", "data.name=folder", "--set", "data.size=16", "--set", "network.preset=cifar", "--set", "network.channels=2", "--set", "network.layers=3",
		"--set", "network.auxiliary=false"}, more...)...)
}

// A trained network is trained further on other classes, from a run and from a file of another program, is
// resumed, evaluated, and probed; it keeps its classifier for the same classes.
func TestFinetune(t *testing.T) {
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	first, base := ownImages(t, 10), at("base")
	must(t, append([]string{"train", "DARTS_V1"}, sized(first, base)...)...)
	second := ownImages(t, 10)
	if err := os.Rename(filepath.Join(second, "red"), filepath.Join(second, "green")); err != nil {
		t.Fatal(err)
	}
	pt := at("base.pt")
	must(t, "export", base, "-o", pt)
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"others":  {[]string{base}, []string{"because the 2 classes have other names", "made anew: classifier"}},
		"the run": {[]string{filepath.Join(base, run.CheckpointFile), "--seed", "3"}, []string{"made anew: classifier"}},
		"foreign": {[]string{pt, "--genotype", "DARTS_V1"}, []string{"made anew: classifier"}},
		"probe":   {[]string{base, "--probe"}, []string{"made anew: classifier"}},
		"options": {[]string{base, "--set", "train.freeze_epochs=1", "--set", "train.freeze_norm=true", "--set", "data.validation=0.2", "--set", "train.ema.decay=0.5", "--set", "train.accumulate=2",
			"--set", "data.balanced=true", "--set", "data.size=24"}, []string{"made anew: classifier"}},
	} {
		out := at(name)
		more := []string{}
		if name != "options" && name != "probe" {
			more = []string{"--set", "train.freeze_epochs=1"}
		}
		code, _, errs := call(t, append(append([]string{"finetune"}, c.args...), little(second, out, more...)...)...)
		if code != 0 {
			t.Fatalf("%s: exit %d, %s", name, code, errs)
		}
		for _, w := range c.words {
			if !strings.Contains(errs, w) {
				t.Errorf("%s: %s does not say %q", name, errs, w)
			}
		}
		var taken model.Taken
		text, err := os.ReadFile(filepath.Join(out, run.StartFile))
		if err != nil || json.Unmarshal(text, &taken) != nil || taken.Taken < 50 || len(taken.Anew) != 2 {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		must(t, "finetune", "--resume", "--out", out) // done already
		var r lab.Evaluation
		if err := json.Unmarshal([]byte(must(t, "eval", out, "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Classes) != 2 || r.Classes[1].Name != "green" || len(r.Confusion) != 2 || len(r.Bins) != 15 || r.Top[1] != 1 || r.Samples != 4 {
			t.Errorf("%s: %+v", name, r)
		}
		if table := must(t, "eval", out, "--top", "2"); !strings.Contains(table, "green") || !strings.Contains(table, "calibration error") || !strings.Contains(table, "top-2 100.00 %") {
			t.Errorf("%s: %s", name, table)
		}
		if name == "options" {
			must(t, "eval", out, "--ema")
			for split, want := range map[string]int64{"validation": 3, "train": 13} { // a fifth of 16 images
				if err := json.Unmarshal([]byte(must(t, "eval", out, "--split", split, "--json")), &r); err != nil || r.Samples != want {
					t.Errorf("%d images in %s, not %d, %v", r.Samples, split, want, err)
				}
			}
			averaged := at("averaged")
			if code, _, errs := call(t, append([]string{"finetune", out, "--ema", "--set", "train.freeze_epochs=1"}, little(second, averaged)...)...); code != 0 || !strings.Contains(errs, "averaged tensors from") {
				t.Errorf("averaged: exit %d, %s", code, errs)
			}
			for _, name := range []string{"raw.pt", "ema.pt"} {
				must(t, append([]string{"export", out, "-o", filepath.Join(out, name)}, map[string][]string{"ema.pt": {"--ema"}}[name]...)...)
			}
			raw, err := os.ReadFile(filepath.Join(out, "raw.pt"))
			if ema, other := os.ReadFile(filepath.Join(out, "ema.pt")); err != nil || other != nil || string(raw[len(raw)/2:]) == string(ema[len(ema)/2:]) {
				t.Errorf("the averages are exported as the weights, %v, %v", err, other)
			}
			must(t, "eval", filepath.Join(out, run.BestFile))
		} else if code, _, errs := call(t, "eval", out, "--split", "validation"); code != exitFailed || !strings.Contains(errs, "trained without data.validation") {
			t.Errorf("%s: a validation part that there is not: exit %d, %s", name, code, errs)
		} else if code, _, errs := call(t, "eval", out, "--ema"); code != exitFailed || !strings.Contains(errs, "no averaged weights") {
			t.Errorf("%s: averages that there are not: exit %d, %s", name, code, errs)
		}
	}
	if code, _, errs := call(t, append([]string{"train", "--set", "train.init=" + base, "--set", "data.name=folder"}, little(first, at("same"))...)...); code != 0 || !strings.Contains(errs, "the classifier is kept") {
		t.Errorf("the same classes: exit %d, %s", code, errs)
	}
	// After an error the folder can be used again.
	again := at("again")
	if code, _, _ := call(t, append([]string{"finetune", pt, "--genotype", "DARTS_V1"}, little(at("nowhere"), again)...)...); code == 0 {
		t.Error("images that are nowhere are found")
	}
	must(t, append([]string{"finetune", pt, "--genotype", "DARTS_V1", "--seeds", "1"}, little(second, again, "--set", "train.epochs=3")...)...)
	if out := must(t, "finetune", base, "--dry-run", "--data-dir", second); !strings.Contains(out, "train.batch=") {
		t.Errorf("a dry run prints %s", out)
	}
	t.Run("refused", func(t *testing.T) { refuseStarts(t, base, pt, second) })
}

// What cannot be a start is one line with its cause and its cure.
func refuseStarts(t *testing.T, base, pt, images string) {
	nothing := t.TempDir()
	text := filepath.Join(nothing, "text")
	put(t, text, []byte("hello"))
	onnx := filepath.Join(nothing, "x.onnx")
	must(t, "export", base, "-o", onnx)
	empty := ownImages(t, 3)
	if err := os.Mkdir(filepath.Join(empty, "grey"), 0o755); err != nil {
		t.Fatal(err)
	}
	for args, words := range map[string]string{
		"finetune":                                  "name either a network",
		"finetune " + base + " --resume --out x":    "name either a network",
		"finetune " + nothing:                       "holds no checkpoint",
		"finetune " + text:                          "is a text, not a checkpoint",
		"finetune " + onnx:                          "is an ONNX model, not a checkpoint",
		"finetune " + onnx + " --genotype DARTS_V1": "it is an ONNX model; weights are read from PyTorch files",
		"finetune " + pt:                            "--genotype NAME",
		"finetune " + pt + " --genotype DARTS_V2":   "nearer to --genotype DARTS_V1|all fit --genotype DARTS_V1",
		"finetune " + pt + " --genotype DARTS_V1 --preset imagenet":      "all fit --genotype DARTS_V1 --preset cifar",
		"finetune " + base + " --genotype DARTS_V1":                      "leave --genotype out",
		"finetune " + base + " --set network.channels=4":                 "is not that of the checkpoint to start from, 2; leave it out",
		"finetune " + base + " --set train.freeze_epochs=60":             "is not in 0..50 epochs",
		"train DARTS_V2 --set train.init=" + base:                        "is not the network to train, DARTS_V2",
		"train DARTS_V1 --set train.freeze_epochs=1":                     "it is used with the weights of a checkpoint (train.init) only",
		"train DARTS_V1 --set train.patience=1":                          "a validation part (data.validation)",
		"train --set data.name=folder":                                   "name either a genotype",
		"finetune " + base + " --data-dir " + empty:                      "grey has no images",
		"finetune " + base + " --probe --set train.freeze_norm=true":     "a linear probe (train.probe) learns from features",
		"train DARTS_V1 --set train.schedule=multistep":                  "milestones",
		"train DARTS_V1 --set train.warmup=1 --set train.warmup_steps=1": "is a second warm-up",
	} {
		line := strings.Fields(args)
		if !strings.Contains(args, "--data-dir") {
			line = append(line, "--data-dir", images)
		}
		if !strings.Contains(args, "--out") {
			line = append(line, "--out", filepath.Join(t.TempDir(), "out"))
		}
		if strings.HasPrefix(args, "train") && !strings.Contains(args, "data.name") {
			line = append(line, "--set", "data.name=folder")
		}
		code, _, errs := call(t, line...)
		said := false
		for _, w := range strings.Split(words, "|") {
			said = said || strings.Contains(errs, w)
		}
		if code == 0 || !said {
			t.Errorf("hdas %s: exit %d, %q does not say %q", args, code, errs, words)
		}
	}
}

// Several trainings in processes of their own, two at once; their spread, and going on with them, which finds all
// done. A comparison without random genotypes is the spread of the found one.
func TestTrainSeeds(t *testing.T) {
	t.Setenv(asProgram, "yes")
	images, out := ownImages(t, 10), filepath.Join(t.TempDir(), "seeds")
	begin := append([]string{"train", "DARTS_V1", "--seeds", "3", "--jobs", "2", "--seed", "5", "--json"}, sized(images, out, "--set", "data.validation=0.2")...)
	var first, second lab.Trainings
	code, text, log := call(t, begin...)
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, log)
	}
	if len(first.Seeds) != 3 || first.Seeds[2].Seed != 7 || first.Top1.N != 3 || first.Seeds[0].Epoch.Epoch != 2 {
		t.Errorf("%+v", first)
	}
	if err := json.Unmarshal([]byte(must(t, "train", "--resume", "--out", out, "--json")), &second); err != nil {
		t.Fatal(err)
	}
	if first.Top1 != second.Top1 {
		t.Errorf("%+v, then %+v", first.Top1, second.Top1)
	}
	must(t, "eval", filepath.Join(out, "seed-6"))
	if code, _, errs := call(t, "train", "--resume", "--seeds", "4", "--out", out); code != exitUsage || !strings.Contains(errs, "cannot change") {
		t.Errorf("another number of seeds: exit %d, %s", code, errs)
	}
	alone := filepath.Join(t.TempDir(), "alone")
	text = must(t, append([]string{"compare", "DARTS_V1", "--random", "0", "--repeats", "2", "--json"}, sized(images, alone)...)...)
	var c lab.Comparison
	if err := json.Unmarshal([]byte(text), &c); err != nil || len(c.Networks) != 2 || c.Found.N != 2 || c.Random != nil || c.RI != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if table := must(t, "compare", "--resume", "--out", alone); strings.Contains(table, "RI") || !strings.Contains(table, "found") {
		t.Errorf("it prints %s", table)
	}
}
