package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/lab"
	"hdas/models/genotype"
	"hdas/run"
)

// quick makes a search of the embedded digits one of seconds: the large stem leaves 4x4 pixels.
func quick(more ...string) []string {
	return append([]string{"--set", "search.epochs=1", "--set", "search.batch=500", "--set", "data.size=28", "--set", "network.preset=imagenet", "--set", "network.channels=2",
		"--set", "search.weights.lr=0.01", "--set", "search.weights.min_lr=0"}, more...)
}

// Every search, from its tiny configuration to a genotype that can be shown in both wirings.
func TestEverySearch(t *testing.T) {
	for _, c := range []struct {
		kind configs.Kind
		more []string
	}{
		{configs.CellSearch, []string{"--set", "network.preset=cifar", "--set", "network.layers=3", "--set", "search.nodes=1", "--set", "search.cell_primitives=[none,skip_connect,avg_pool_3x3]"}},
		{configs.DistributionSearch, []string{"--set", "search.theta=latency", "--set", "search.lengths=[3,3,3]", "--set", "search.depth_weights=edge_softmax"}},
		{configs.StageSearch, []string{"--set", "search.order=second", "--set", "search.shared=true", "--set", "search.cells=Hc_DAS_cells", "--set", "search.lengths=[2,2,2]"}},
		{configs.JointSearch, []string{"--set", "search.min_cells=2", "--set", "search.lengths=[3,3,3]", "--set", "search.nodes=1", "--set", "search.edge_normalization=true"}},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			must(t, append([]string{"search", string(c.kind), "--config", "tiny-" + string(c.kind), "--out", out}, quick(c.more...)...)...)
			must(t, "search", string(c.kind), "--resume", "--out", out) // done already
			g, err := run.LoadGenotype(out)
			if err != nil {
				t.Fatal(err)
			}
			if (len(g.Stages) > 0) != (c.kind != configs.CellSearch) {
				t.Errorf("%d stages", len(g.Stages))
			}
			must(t, "show", out)
			if len(g.Stages) > 0 {
				must(t, "show", out, "--wiring", "paired", "--stage-output", "last", "--preset", "imagenet")
			}
		})
	}
}

// Several seeds in processes of their own, two at once; their spread, agreement and selection; and
// going on with them, which finds all done.
func TestSeeds(t *testing.T) {
	t.Setenv(asProgram, "yes")
	out := filepath.Join(t.TempDir(), "seeds")
	begin := append([]string{"search", "stage", "--config", "tiny-stage", "--seeds", "2", "--jobs", "2", "--seed", "5", "--out", out, "--json",
		"--select", "tiny-train", "--select-set", "train.epochs=1", "--select-set", "train.batch=500", "--select-set", "network.preset=imagenet", "--select-set", "network.channels=2"},
		quick("--set", "search.lengths=[2,2,2]")...)
	var first, second lab.Summary
	code, text, log := call(t, begin...)
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, log)
	}
	for _, seed := range []string{"seed 5", "seed 6"} {
		if !strings.Contains(log, seed+`"`) {
			t.Errorf("no line of %s in %s", seed, log)
		}
	}
	for _, line := range torchtest.Notes(slices.Collect(strings.Lines(log))) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a whole line: %q", line)
		}
	}
	if len(first.Seeds) != 2 || first.Seeds[1].Seed != 6 || first.Valid.N != 2 || first.Agreement.N != 1 || first.Agreement.Mean < 0 || first.Agreement.Mean > 1 {
		t.Errorf("%+v", first)
	}
	best := first.Seeds[0]
	for _, r := range first.Seeds {
		if r.Selected == nil || r.Selected.Samples != 2000 { // half of the training images
			t.Fatalf("selection %+v", r.Selected)
		}
		if r.Selected.Top1 > best.Selected.Top1 {
			best = r
		}
	}
	a, aerr := os.ReadFile(filepath.Join(out, "genotype.yaml"))
	b, berr := os.ReadFile(filepath.Join(best.Run, "genotype.yaml"))
	if aerr != nil || berr != nil || string(a) != string(b) {
		t.Error("the genotype is not that of the best training")
	}
	if err := json.Unmarshal([]byte(must(t, "search", "stage", "--resume", "--out", out, "--json")), &second); err != nil {
		t.Fatal(err)
	}
	if first.Valid != second.Valid || first.Seeds[1].Run != second.Seeds[1].Run || *first.Seeds[0].Selected != *second.Seeds[0].Selected {
		t.Errorf("%+v, then %+v", first, second)
	}
	if text := must(t, "eval", filepath.Join(best.Run, "selection")); !strings.Contains(text, "1000 images") { // the data set's own test images
		t.Errorf("the selecting training is scored as %s", text)
	}
}

// If a child process fails, the parent fails with the child's error message.
func TestFailingSeed(t *testing.T) {
	t.Setenv(asProgram, "yes")
	out := filepath.Join(t.TempDir(), "seeds")
	args := append([]string{"search", "stage", "--config", "tiny-stage", "--seeds", "2", "--out", out}, quick("--set", "search.weights.lr=1000", "--set", "search.weights.weight_decay=1000", "--set", "search.epochs=6")...)
	if code, _, errs := call(t, args...); code != exitFailed || !strings.Contains(errs, "seed 0") || !strings.Contains(errs, "training loss") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// An invalid selecting training is an error before any search begins.
func TestSelectionThatCannotBe(t *testing.T) {
	t.Setenv(asProgram, "yes")
	for words, settings := range map[string][]string{
		"auxiliary head does not fit": {"network.auxiliary=true"},
		"/nowhere":                    {"data.name=cifar10", "data.dir=/nowhere"},
	} {
		out := filepath.Join(t.TempDir(), "seeds")
		args := append([]string{"search", "stage", "--config", "tiny-stage", "--seeds", "2", "--out", out, "--select", "tiny-train"}, quick()...)
		for _, s := range settings {
			args = append(args, "--select-set", s)
		}
		if code, _, errs := call(t, args...); code == 0 || !strings.Contains(errs, words) || !strings.Contains(errs, "--select tiny-train") {
			t.Errorf("%s: exit %d, %s", settings, code, errs)
		}
		if found, _ := filepath.Glob(filepath.Join(out, "seed-*")); len(found) > 0 {
			t.Errorf("%s: searches were begun: %v", settings, found)
		}
	}
}

func TestSpaceSizes(t *testing.T) {
	for args, want := range map[string]string{
		"":     "1076746950455072400",
		"cell": "1076746950455072400",
		"cell --cells 1 --nodes 1 --cell-primitives 2":                                                         "1",
		"stage --lengths 6 --window 7":                                                                         "30132704700", // 56700 * 9^6
		"stage --lengths 2,3 --window 2 --stage-primitives 3":                                                  "1024",        // 4^5
		"distribution --lengths 3,3,3 --min-cells 2 --window 2 --stage-primitives 3":                           "512000",      // (16+64)^3
		"joint --lengths 2,2 --nodes 1 --cells 2 --cell-primitives 3 --window 2 --stage-primitives 2 --shared": "16",
	} {
		line := append([]string{"space"}, strings.Fields(args)...)
		if out := must(t, line...); !strings.Contains(out, " "+want+" ") {
			t.Errorf("hdas space %s: %s does not say %s", args, out, want)
		}
	}
	if out := must(t, "space"); strings.Count(out, "paper") != 7 {
		t.Errorf("%s", out)
	}
	for args, words := range map[string]string{
		"everything":                   "unknown",
		"cell --window 3":              "stage, distribution or joint",
		"stage --nodes 3":              "cell or joint",
		"stage --min-cells 3":          "distribution or joint",
		"stage --window 9":             "window 9",
		"--window 3":                   "the name of a space",
		"cell --cell-primitives 1":     "is not in 2..",
		"distribution --min-cells 100": "min_cells 100",
	} {
		line := append([]string{"space"}, strings.Fields(args)...)
		if code, _, errs := call(t, line...); code != exitUsage || !strings.Contains(errs, words) {
			t.Errorf("hdas space %s: exit %d, %q does not say %q", args, code, errs, words)
		}
	}
}

// Drawn genotypes are those of the space, the same for the same seed.
func TestRandomGenotypes(t *testing.T) {
	out := t.TempDir()
	must(t, "search", "random", "distribution", "--config", "tiny-distribution", "-n", "3", "--seed", "4", "--out", filepath.Join(out, "a"))
	must(t, "search", "random", "distribution", "--config", "tiny-distribution", "-n", "2", "--seed", "4", "--out", filepath.Join(out, "b"))
	for _, name := range []string{"random-1.yaml", "random-2.yaml"} {
		a, aerr := os.ReadFile(filepath.Join(out, "a", name))
		b, berr := os.ReadFile(filepath.Join(out, "b", name))
		if aerr != nil || berr != nil || string(a) != string(b) {
			t.Errorf("%s: %v, %v, or not the same", name, aerr, berr)
		}
		if g, err := genotype.Load(filepath.Join(out, "a", name)); err != nil || len(g.Stages) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A comparison trains the found genotype and random ones of its space, and after a stop it resumes with
// the same random genotypes.
func TestCompare(t *testing.T) {
	out := filepath.Join(t.TempDir(), "compared")
	small := []string{"--set", "train.epochs=1", "--set", "train.batch=500", "--set", "data.size=28", "--set", "network.preset=imagenet", "--set", "network.channels=2"}
	must(t, "search", "random", "stage", "--config", "tiny-stage", "--set", "search.lengths=[2,2,2]", "--out", filepath.Dir(out))
	var first, second lab.Comparison
	text := must(t, append([]string{"compare", filepath.Join(filepath.Dir(out), "random-1.yaml"), "--random", "2", "--config", "tiny-train", "--out", out, "--json"}, small...)...)
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		t.Fatal(err)
	}
	want := 100 * (first.Found.Mean - first.Random.Mean) / first.Random.Mean
	if len(first.Networks) != 3 || first.Random.N != 2 || first.RI.Mean != want || first.Space.Kind != "stage" {
		t.Errorf("%+v", first)
	}
	if err := json.Unmarshal([]byte(must(t, "compare", "--resume", "--out", out, "--json")), &second); err != nil {
		t.Fatal(err)
	}
	if *first.RI != *second.RI {
		t.Errorf("RI %v, then %v", first.RI, second.RI)
	}
	found, err := run.LoadGenotype(filepath.Join(out, "found-1"))
	if err != nil {
		t.Fatal(err)
	}
	random, err := run.LoadGenotype(filepath.Join(out, "random-1"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range found.Cells { // the cells are held, the stages drawn
		if len(random.Cells[name].Nodes) != len(found.Cells[name].Nodes) {
			t.Errorf("cell %s is another", name)
		}
	}
	for args, words := range map[string]string{
		"compare":                                       "--resume",
		"compare NOTHING":                               "DARTS_V1",
		"compare DARTS_V1 --random -1":                  "is not in 0..",
		"compare DARTS_V1 --window 3":                   "is for stages",
		"compare --resume --out " + out + " --random 3": "cannot change",
	} {
		if code, _, errs := call(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errs, words) {
			t.Errorf("hdas %s: exit %d, %q does not say %q", args, code, errs, words)
		}
	}
}
