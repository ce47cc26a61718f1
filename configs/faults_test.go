package configs

import (
	"slices"
	"strings"
	"testing"

	"hdas/setting"
)

// A file that would lose one of its values is refused, with the place.
func TestNothingIsDropped(t *testing.T) {
	for text, words := range map[string]string{
		"Search: {epochs: 3}\nsearch: {batch: 4}":        `search: it is given twice, as "Search" and as "search"`,
		"search: {Epochs: 3, epochs: 4}":                 `search.epochs: it is given twice`,
		"search: {alpha: {LR: 1, lr: 2}}":                `search.alpha.lr: it is given twice`,
		"search.epochs: 3\nsearch: {epochs: 4}":          `search.epochs: it is given twice`,
		"search: {epochs: 3}\nsearch: {batch: 4}":        `"search" already defined at line 1`,
		`{"search": {"epochs": 3, "EPOCHS": 4}}`:         `search.epochs: it is given twice`,
		"search: {epochs: 3}\n---\nsearch: {epochs: 4}":  "second YAML document",
		"search: {epochs: 3}\n---\n":                     "second YAML document",
		"search: {epochs: 3}\n...\n[":                    "yaml: line 2",
		"search: {epochs: ~}":                            "search.epochs: it is null",
		"search: {epochs: }":                             "search.epochs: it is null",
		"search:":                                        "search: it is null",
		"search: {weights: {lr: null}}":                  "search.weights.lr: it is null",
		"search: {lengths: [3, ~, 3]}":                   "search.lengths [3 <nil> 3] holds null",
		"~":                                              "it is null",
		"1: 2":                                           `"1" is no key of one`,
		"[search]\nepochs = 3":                           "a configuration is one document of YAML",
		"epochs = 3":                                     "keys with values are needed",
		"x: &a {epochs: 3}\nsearch: {<<: *a, Epochs: 4}": "search.epochs: it is given twice",
		"version: 1\nname: x\ncells: {normal: {nodes: [], out: []}}": "this is no configuration",
	} {
		_, err := LoadSearch(JointSearch, Overrides{File: file(t, []byte(text))})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v does not say %q", text, err, words)
		}
	}
	for set, words := range map[string]string{
		"search.epochs=~":        `search.epochs "~": it is null`,
		"search.epochs=null":     `search.epochs "null": it is null`,
		"search.epochs=# 3":      `search.epochs: it is null`,
		"search.epochs=3\n--- 4": "second YAML document",
		"search={epochs: ~}":     "search.epochs: it is null",
		"data.mean=[1,~,1]":      "holds null",
	} {
		if _, err := LoadSearch(CellSearch, Overrides{Set: []string{set}}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("--set %q: %v does not say %q", set, err, words)
		}
	}
	for _, text := range []string{"", "# comments only\n", "---\nSEARCH: {Epochs: 7}\n...\n", "search: {}\n", "search.epochs: 7"} {
		if c, err := LoadSearch(CellSearch, Overrides{File: file(t, []byte(text))}); err != nil || strings.Contains(text, "7") != (c.Search.Epochs == 7) {
			t.Errorf("%q: %d epochs, %v", text, c.Search.Epochs, err)
		}
	}
	t.Setenv("hdas_search_epochs", "3")
	if _, err := LoadSearch(CellSearch, Overrides{}); err == nil || !strings.Contains(err.Error(), "hdas_search_epochs: no setting has this environment variable; did you mean HDAS_SEARCH_EPOCHS?") {
		t.Errorf("a variable in small letters: %v", err)
	}
}

// A setting that a training does not use is refused if the user gives it, and dropped if it is that of a
// built-in configuration or of a saved run.
func TestUnusedInTraining(t *testing.T) {
	for _, c := range []struct{ form, set, key string }{
		{"stages", "network.layers=8", "network.layers"},
		{"chain", "network.wiring=paired", "network.wiring"},
		{"chain", "network.stage_output=last_two", "network.stage_output"},
		{"", "train.step_every=2", "train.step_every"},
		{"", "train.schedule=step train.min_lr=0.001", "train.min_lr"},
		{"", "train.warmup_from=0.1", "train.warmup_from"},
		{"", "network.auxiliary=false train.auxiliary_weight=1", "train.auxiliary_weight"},
		{"", "data.randaugment.magnitude=3", "data.randaugment.magnitude"},
		{"", "data.interpolation=bicubic", "data.interpolation"},
		{"", "data.damaged=skip", "data.damaged"},
		{"", "data.name=digits data.dir=x", "data.dir"},
	} {
		set := strings.Fields(c.set)
		_, err := LoadTrain(Overrides{Set: set, Form: Form(c.form)})
		if faults := setting.All(err); len(faults) != 1 || faults[0].Key != c.key {
			t.Errorf("%s %s: %v is no fault of %s", c.form, c.set, err, c.key)
		}
		section, last, _ := strings.Cut(set[len(set)-1], ".")
		key, value, _ := strings.Cut(last, "=")
		own := file(t, []byte(section+"."+key+": "+value))
		if _, err := LoadTrain(Overrides{File: own, Set: set[:len(set)-1], Form: Form(c.form)}); err == nil {
			t.Errorf("%s %s: a file with it is accepted", c.form, c.set)
		}
		if _, err := LoadTrain(Overrides{File: own, Set: set[:len(set)-1], Form: Form(c.form), Alone: true}); err != nil {
			t.Errorf("%s %s: a saved configuration with it is refused: %v", c.form, c.set, err)
		}
	}
	t.Setenv("HDAS_NETWORK_LAYERS", "8")
	if _, err := LoadTrain(Overrides{Form: Staged}); err == nil || !strings.Contains(err.Error(), "network.layers") {
		t.Errorf("a variable: %v", err)
	}
}

// A key that is gone is unknown in a file of the user, and ignored in the saved configuration of an older run.
func TestRetiredKeys(t *testing.T) {
	for _, key := range retired {
		section, name, _ := strings.Cut(key, ".")
		old := file(t, []byte("seed: 1\n"+section+": {"+name+": true}\n"))
		if _, err := LoadTrain(Overrides{File: old, Form: Chain}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := LoadTrain(Overrides{File: old, Form: Chain, Alone: true}); err != nil {
			t.Errorf("saved %s: %v", key, err)
		}
	}
}

// The small training serves chains and stages: its number of cells is for chains alone.
func TestBuiltInBringsAlong(t *testing.T) {
	chain, err := LoadTrain(Overrides{File: "tiny-train", Form: Chain})
	if err != nil || chain.Network.Layers != 5 {
		t.Errorf("chain: %d cells, %v", chain.Network.Layers, err)
	}
	staged, err := LoadTrain(Overrides{File: "tiny-train", Form: Staged})
	if err != nil {
		t.Fatal(err)
	}
	text, err := staged.YAML()
	if err != nil || strings.Contains(string(text), "layers:") || strings.Contains(string(text), "step_factor") || !strings.Contains(string(text), "wiring:") {
		t.Errorf("saved as\n%s%v", text, err)
	}
}

// A preset implies the sizes that nobody gave.
func TestPresetImpliesSizes(t *testing.T) {
	for _, c := range []struct {
		file, set string
		form      Form
		channels  int64
		layers    int // 0: that of stages, which is not used
		size      int
		epochs    int
	}{
		{"hs-imagenet-train", "", Chain, 48, 14, 224, 250},
		{"hs-imagenet-train", "", Staged, 39, 0, 224, 250},
		{"hc-imagenet-train", "", Staged, 39, 0, 224, 250},
		{"hc-imagenet-train", "", Chain, 48, 14, 224, 250},
		{"hs-train", "", Chain, 36, 20, 0, 600},
		{"", "network.preset=imagenet", Chain, 48, 14, 224, 600},
		{"", "network.preset=imagenet network.layers=3 network.channels=4 data.size=64", Chain, 4, 3, 64, 600},
		{"", "data.name=folder", Chain, 48, 14, 224, 100},
		{"", "data.name=folder", Staged, 39, 0, 224, 100},
		{"", "data.name=folder data.size=64 train.epochs=7", Chain, 36, 20, 64, 7},
		{"", "data.name=folder network.preset=cifar", Chain, 36, 20, 32, 100},
		{"", "data.name=imagenet", Chain, 48, 14, 224, 600},
		{"", "", Chain, 36, 20, 0, 600},
	} {
		got, err := LoadTrain(Overrides{File: c.file, Set: strings.Fields(c.set), Form: c.form})
		n := got.Network
		if err != nil || n.Channels != c.channels || c.layers > 0 && n.Layers != c.layers || got.Data.Size != c.size || got.Train.Epochs != c.epochs {
			t.Errorf("%s %s %s: C=%d, %d cells, %d pixels, %d epochs, %v", c.file, c.set, c.form, n.Channels, n.Layers, got.Data.Size, got.Train.Epochs, err)
		}
	}
	c, err := LoadTrain(Overrides{Set: []string{"data.name=folder"}})
	if err != nil || !c.Data.ResizedCrop || c.Data.Padding != 0 || c.Data.Cutout != 0 {
		t.Errorf("a folder is augmented by %+v, %v", c.Data.Transform, err)
	}
}

// A configuration of another kind is one line that says so and names those of the right kind.
func TestWrongKindIsOneLine(t *testing.T) {
	for _, c := range []struct {
		kind, file, words string
	}{
		{"train", "tiny-stage", "this is the configuration of a stage search, not of a training; built-in ones for that are finetune, hc-"},
		{"cell", "tiny-train", "this is the configuration of a training, not of a cell search; built-in ones for that are cell-search"},
		{"cell", "tiny-stage", "of a stage search, not of a cell search"},
		{"cell", "nowhere", "built in are cell-search"},
		{"train", "tiny-trian", "neither built in nor a file; did you mean tiny-train?"},
		{"train", ".", "not a file but a folder"},
		{"train", "../datasets/testdata/photos/china.jpg", "is a JPEG image, not a text"},
		{"train", file(t, []byte("\x89PNG\r\n\x1a\n\x00")), "is a PNG image"},
		{"train", file(t, append([]byte("\x20\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\""), make([]byte, 2<<20)...)), "is a safetensors file"},
		{"train", file(t, []byte("PK\x03\x04")), "is a zip archive"},
		{"train", file(t, []byte{1, 0, 2}), "binary file"},
		{"train", file(t, []byte("train: {epochs: 3}\nsearch: {epochs: 3}")), "of a search, not of a training"},
		{"train", file(t, []byte("some: thing\nelse: here")), `"else" is no key of one, nor is any other`},
	} {
		_, err := loaders()[c.kind](Overrides{File: c.file})
		if err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
			t.Errorf("%s %s: %v is not one line with %q", c.kind, c.file, err, c.words)
		}
	}
	var many strings.Builder
	for range 300 {
		many.WriteString(strings.Repeat("x", many.Len()%50+1) + strings.Repeat("y", many.Len()%7) + ": 1\n")
	}
	lines := strings.Split(many.String(), "\n")
	slices.Sort(lines)
	text := "train: {epochs: 3}\n" + strings.Join(slices.Compact(lines), "\n")
	if _, err := LoadTrain(Overrides{File: file(t, []byte(text))}); err == nil || strings.Count(err.Error(), "\n") != most {
		t.Errorf("many unknown keys: %v", err)
	}
}

// What was meant by a misspelt key, and what a value of the wrong type must be.
func TestSaysWhatIsMeant(t *testing.T) {
	for _, c := range []struct{ kind, set, words string }{
		{"train", "train.epoch=3", "did you mean train.epochs?"},
		{"train", "trian.epochs=3", "did you mean train.epochs?"},
		{"train", "epochs=3", "did you mean train.epochs?"},
		{"train", "search.epochs=3", "did you mean train.epochs?"},
		{"cell", "lr=3", "did you mean search.alpha.lr or search.weights.lr?"},
		{"train", "data.colour_jitter.hue=0", "did you mean data.color_jitter.hue?"},
		{"train", "train=3", "train: unknown key; it is a section; known are train.accumulate, train.auxiliary_weight, "},
		{"train", "xyzzy.plugh=3", "known are device, precision, seed, threads, cuda.*, data.*, network.*, train.*"},
		{"train", "train.epochs=abc", `train.epochs "abc" is not an integer; it must be in 1..100000`},
		{"train", "train.drop_path=abc", "is not a number; it must be in [0,1)"},
		{"train", "train.schedule=3", "is not a string; known are cosine, linear, step"},
		{"train", "train.schedule=cosinus", "known are cosine, linear, step, multistep; did you mean cosine?"},
		{"train", "network.preset=imagnet", "known are cifar, imagenet; did you mean imagenet?"},
		{"train", "data.name=cifar", "did you mean cifar10?"},
		{"train", "threads=x", "is not an integer; it must be in 0..1024"},
		{"train", "seed=a", `seed "a" is not an integer of at least 0`},
		{"train", "data.flip=7", "is neither true nor false"},
		{"stage", "search.lengths=3", "is not a list; write it as [6,6,6]"},
		{"stage", "search.cells=DARTS_V3", `search.cells "DARTS_V3": genotype "DARTS_V3" is unknown: none is published under this name, and there is no such file; did you mean DARTS_V1?`},
		{"stage", "search.cells=../datasets/testdata/photos/china.jpg", "is a JPEG image, not a text"},
	} {
		if _, err := loaders()[c.kind](Overrides{Set: []string{c.set}}); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s %s: %v does not say %q", c.kind, c.set, err, c.words)
		}
	}
	if _, err := LoadSearch("cells", Overrides{}); err == nil || !strings.Contains(err.Error(), `search "cells" is unknown; known are cell, distribution, stage, joint; did you mean cell?`) {
		t.Errorf("a kind that is none: %v", err)
	}
}
