package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// complete returns what a shell would offer at the end of a command line.
func complete(t *testing.T, args ...string) (words []string, directive string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(must(t, append([]string{"__complete"}, args...)...)), "\n")
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		words = append(words, word)
	}
	return words, lines[len(lines)-1]
}

// The shells complete genotypes, runs, configurations, settings and their values, and words of closed sets.
func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{"runs/cells", "runs/seeds/seed-0", "cells"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "config.yaml"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		"tra":                                   "train",
		"show Hc_":                              "Hc_DAS_cells",
		"show g":                                "genotypes",
		"draw PDARTS+Hs_DAS_C":                  "PDARTS+Hs_DAS_CIFAR_stages",
		"show DARTS_V1 ":                        "",
		"eval ":                                 "cells runs/cells",
		"eval ru":                               "runs/cells",
		"eval ./runs/s":                         "./runs/seeds/seed-0",
		"train DARTS_V1 --config ti":            "tiny-compare tiny-train",
		"search stage --config ti":              "tiny-stage",
		"search cell --select ti":               "tiny-compare tiny-train",
		"config check tiny-t":                   "tiny-train",
		"config diff tiny-cell ce":              "cell-search cells",
		"config keys train.em":                  "train.ema train.ema.decay train.ema.warmup",
		"train --set train.schedule=":           "train.schedule=cosine train.schedule=linear train.schedule=step train.schedule=multistep",
		"train --set cuda.b":                    "cuda.benchmark=",
		"train --set cuda.benchmark=":           "cuda.benchmark=true cuda.benchmark=false",
		"train --set search.al":                 "",
		"search cell --set search.alpha.l":      "search.alpha.lr=",
		"search cell --set train.lr":            "",
		"search stage --set search.cells=Hc_":   "search.cells=Hc_DAS_cells",
		"search cell --select-set train.patien": "train.patience=",
		"train --set train.init=ru":             "train.init=runs/cells",
		"train --set device=au":                 "device=auto",
		"train --device au":                     "auto",
		"train --devices cpu,cp":                "cpu,cpu",
		"bench darts sta":                       "stage stage-second-order",
		"bench --path kernels,gr":               "kernels,grouped",
		"predict runs/cells --precision ":       "float32 float64",
		"data get cifar10":                      "cifar10 cifar100",
		"space j":                               "joint",
		"search cell --epochs":                  "",
		"train --seeds ":                        "",
		"nothing ":                              "",
	} {
		got, _ := complete(t, strings.Split(line, " ")...)
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %q, not %q", line, text, want)
		}
	}
	for line, want := range map[string]string{"train --out ": ":16", "train --set tr": ":6", "import w": ":0", "train --seeds ": ":4", "predict runs/cells a": ":0", "eval x y": ":4"} {
		if _, directive := complete(t, strings.Split(line, " ")...); directive != want {
			t.Errorf("%s: directive %s, not %s", line, directive, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := must(t, "completion", shell); !strings.Contains(out, "__complete") || strings.Contains(out, `\u00`) {
			t.Errorf("%s: %.200s", shell, out)
		}
	}
}

// Every command with arguments and every flag with a text is completed, and nothing else is in the tables.
func TestCompletionHasAll(t *testing.T) {
	free := []string{"classes", "genotype-text", "import name", "input", "key", "listen", "output", "python", "url"} // names of files, or any text
	p := &program{out: io.Discard, err: io.Discard}
	root := p.root()
	used := map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		name := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "hdas"), " ")
		_, known := arguments[name]
		used[name] = true
		if takes := strings.Contains(c.Use, " ") && (!c.HasSubCommands() || name == "compare" || name == "reproduce"); takes != known {
			t.Errorf("%s: arguments of it are completed: %v", c.Use, known)
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			used[f.Name], used[name+" "+f.Name] = true, true
			if !strings.HasPrefix(f.Value.Type(), "string") || f.Hidden {
				return
			}
			_, completes := c.GetFlagCompletionFunc(f.Name)
			if completes == (slices.Contains(free, f.Name) || slices.Contains(free, name+" "+f.Name)) {
				t.Errorf("hdas %s --%s: it is completed: %v", name, f.Name, completes)
			}
		})
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(root)
	for name := range arguments {
		if !used[name] {
			t.Errorf("there is no command %s", name)
		}
	}
	for name := range values {
		if !used[name] {
			t.Errorf("there is no flag %s", name)
		}
	}
}

// The root command has every command in a group, its version, and pages for man.
func TestHelp(t *testing.T) {
	help := must(t, "help")
	if strings.Contains(help, "Additional Commands") || !strings.Contains(help, "\nTrain and evaluate networks:\n  eval ") {
		t.Error(help)
	}
	if out := must(t, "--version"); !strings.Contains(out, "\nlibtorch      ") || !strings.Contains(out, "\nCUDA          ") || !strings.Contains(out, "\ninstructions  kernels ") {
		t.Error(out)
	}
	folder := filepath.Join(t.TempDir(), "man1")
	must(t, "man", folder)
	page, err := os.ReadFile(filepath.Join(folder, "hdas-search-stage.1"))
	if err != nil || !strings.Contains(string(page), `\-\-dry\-run`) && !strings.Contains(string(page), "--dry-run") {
		t.Errorf("%v\n%s", err, page)
	}
}

// Commands that compute have --device and --threads, and those that read a data set --data-dir.
func TestSameFlags(t *testing.T) {
	root := (&program{out: io.Discard, err: io.Discard}).root()
	computes := []string{"search cell", "search random", "train", "finetune", "compare", "compare pytorch", "eval", "predict", "serve", "demo", "bench", "doctor"}
	reads := []string{"search cell", "train", "finetune", "compare", "eval", "data get", "data check", "doctor"}
	for flag, names := range map[string][]string{"device": computes, "threads": computes, "data-dir": reads} {
		for _, name := range names {
			if c, _, err := root.Find(strings.Fields(name)); err != nil || c.Flags().Lookup(flag) == nil {
				t.Errorf("hdas %s has no --%s: %v", name, flag, err)
			}
		}
	}
}
