package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
)

// What show prints is a configuration that is the same.
func TestConfigShow(t *testing.T) {
	for _, name := range []string{"tiny-cell", "stage-search", "hc-imagenet-train"} {
		kept := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(kept, []byte(must(t, "config", "show", name, "--set", "seed=3", "--genotype", "DARTS_V2")), 0o644); err != nil {
			t.Fatal(err)
		}
		var list []configs.Difference
		if err := json.Unmarshal([]byte(must(t, "config", "diff", name, kept, "--genotype", "DARTS_V2", "--json")), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Key != "seed" || list[0].B != 3. {
			t.Errorf("%s: %+v", name, list)
		}
	}
	var tree struct {
		Search struct{ Alpha struct{ LR float64 } }
	}
	if err := json.Unmarshal([]byte(must(t, "config", "show", "tiny-cell", "--json")), &tree); err != nil || tree.Search.Alpha.LR != 0.05 {
		t.Errorf("%+v, %v", tree, err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "config.yaml"), []byte("search: {kind: stage, epochs: 7}"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HDAS_SEARCH_EPOCHS", "9") // not of a run
	if out := must(t, "config", "show", folder); !strings.Contains(out, "epochs: 7\n") {
		t.Error(out)
	}
	if out := must(t, "config", "check", folder); !strings.Contains(out, "stage search of 7 epochs on cifar10: hdas search stage --resume --out "+folder) {
		t.Error(out)
	}
	if code, _, errs := call(t, "config", "show", folder, "--set", "seed=3"); code != exitUsage || !strings.Contains(errs, "--set cannot change") {
		t.Errorf("%d, %s", code, errs)
	}
}

// Without a genotype, show prints what trainings of the form that the settings are for can read, or of both forms.
func TestConfigShowForms(t *testing.T) {
	for name, fits := range map[string][]string{"hs-train": {"DARTS_V2", "Hs_DAS_CIFAR_stages"}, "hc-train": {"DARTS_V2"}, "hs-train --set network.wiring=paired": {"Hs_DAS_CIFAR_stages"}} {
		out := must(t, append([]string{"config", "show"}, strings.Fields(name)...)...)
		kept := filepath.Join(t.TempDir(), "config.yaml")
		put(t, kept, []byte(out))
		for _, g := range []string{"DARTS_V2", "Hs_DAS_CIFAR_stages"} {
			code, _, errs := call(t, "config", "check", kept, "--genotype", g)
			if want := slices.Contains(fits, g); (code == 0) != want {
				t.Errorf("%s: %s can be trained with what it prints: %v, not %v: %s", name, g, code == 0, want, errs)
			}
		}
		if first, _, _ := strings.Cut(out, "\n"); !strings.HasPrefix(first, "#") || !strings.Contains(first, "--genotype") {
			t.Errorf("%s begins with %q", name, first)
		}
	}
}

func TestConfigKeys(t *testing.T) {
	if out := must(t, "config", "keys", "learning rate"); !strings.Contains(out, "train.lr\n    number in (0,1000]; default 0.025\n    first learning rate [H-DAS section 6.4]\n") {
		t.Error(out)
	}
	if out := must(t, "config", "keys", "train.lr"); !strings.Contains(out, "--set train.lr=") || !strings.Contains(out, "HDAS_TRAIN_LR") {
		t.Error(out)
	}
	var all []configs.Key
	if err := json.Unmarshal([]byte(must(t, "config", "keys", "--json")), &all); err != nil || len(all) != len(configs.Keys()) {
		t.Errorf("%d keys, %v", len(all), err)
	}
	if code, _, errs := call(t, "config", "keys", "optimiser"); code != exitUsage || !strings.Contains(errs, "did you mean optimizer?") {
		t.Errorf("%d, %s", code, errs)
	}
	var list []configs.Builtin
	if err := json.Unmarshal([]byte(must(t, "config", "list", "--json")), &list); err != nil || len(list) != len(configs.Names()) {
		t.Errorf("%+v, %v", list, err)
	}
}

// A check prints all faults, or the command that runs the configuration.
func TestConfigCheck(t *testing.T) {
	name := filepath.Join(t.TempDir(), "my config.yaml")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("train: {epoch: 3, lr: fast, batch: 1}")
	code, out, errs := call(t, "config", "check", name, "--json")
	var r checked
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitUsage || len(r.Faults) != 2 || len(r.Remain) != 1 || r.Remain[0].Key != "train.batch" {
		t.Errorf("%d, %+v, %v", code, r, err)
	}
	for _, line := range []string{"train.epoch: unknown key", "\ntrain.lr \"fast\"", "\nand without these settings:\ntrain.batch 1"} {
		if !strings.Contains(errs, line) {
			t.Errorf("%s\nhas no %q", errs, line)
		}
	}
	write("train: {epochs: 3}")
	if out := must(t, "config", "check", name); !strings.Contains(out, "a training of 3 epochs on cifar10: hdas train GENOTYPE --config '"+name+"'\n") || !regexp.MustCompile(`(?m)^train\.epochs +600 +3$`).MatchString(out) {
		t.Error(out)
	}
	write("search: {epochs: 3}")
	if code, _, errs := call(t, "config", "check", name); code != exitUsage || !strings.Contains(errs, "name one by --kind") {
		t.Errorf("%d, %s", code, errs)
	}
	must(t, "config", "check", name, "--kind", "joint")
}
