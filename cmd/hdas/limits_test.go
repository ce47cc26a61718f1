package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every flag that takes a number refuses one that is out of its range, and says the range.
func TestEveryFlagHasARange(t *testing.T) {
	tested := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !numeric(f.Value) {
				return
			}
			for _, text := range []string{"9223372036854775807", "-9223372036854775808", "2,9223372036854775807"} {
				if strings.Contains(text, ",") && !strings.HasSuffix(f.Value.Type(), "Slice") {
					continue
				}
				tested++
				allowed, _ := rangeOf(c, f)
				if err := c.Flags().Set(f.Name, text); err == nil || allowed == "" || !strings.Contains(err.Error(), "is not in "+allowed) {
					t.Errorf("%s --%s %s: %v", c.CommandPath(), f.Name, text, err)
				}
			}
			if def := strings.Trim(f.DefValue, "[]"); def != "" && c.Flags().Set(f.Name, def) != nil {
				t.Errorf("%s --%s %s: the default is out of range", c.CommandPath(), f.Name, def)
			}
		})
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit((&program{}).root())
	if tested < 50 {
		t.Errorf("only %d numbers", tested)
	}
}

// Devices and pipes without a writer in the place of files, and numbers that ask for much, are errors that
// name the file or the key; nothing is read without end.
func TestSmallInputsThatAskForMuch(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("range.txt"), []byte("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=range(0, 3000000000), reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"))
	put(t, at("classes/a/1.png"), nil)
	for _, pipe := range []string{"pipe", "classes/b/1.png", "classes/b/2.png", "classes/a/2.png", "cifar-10-binary.tar.gz", "ILSVRC2012_img_train.tar"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(at(pipe)), 0o700), syscall.Mkfifo(at(pipe), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("hole"), nil, 0o600); err != nil || os.Truncate(at("hole"), 1<<40) != nil {
		t.Fatal(err)
	}
	for _, special := range []string{"/dev/zero", at("pipe"), at("hole")} {
		for _, args := range []string{
			"search cell --out " + at("out") + " --config", "train --genotype DARTS_V1 --out " + at("out") + " --config", "train --out " + at("out") + " --genotype",
			"show", "draw", "compare", "eval", "predict --input x -o y", "export -o " + at("x.pt"), "import --genotype DARTS_V1 -o " + at("x"),
			"import --genotype DARTS_V1 -o " + at("x") + " x --classes", "import -o " + at("x.yaml") + " --genotype-text", "data check",
			"search cell --resume --out", "search stage --out " + at("out") + " --set search.cells=NAME",
		} {
			words := strings.Fields(args)
			if strings.HasSuffix(args, "=NAME") {
				words[len(words)-1] = strings.Replace(words[len(words)-1], "NAME", special, 1)
			} else {
				words = append(words, special)
			}
			code, _, errs := call(t, words...)
			if code != exitFailed && code != exitUsage || errs == "" {
				t.Errorf("hdas %s: exit %d, %s", strings.Join(words, " "), code, errs)
			}
		}
	}
	for args, word := range map[string]string{
		"show " + at("range.txt"): "3000000000",
		"search stage --out " + at("out") + " --set search.lengths=[300000000,3,3]":                                                                "is not in 2..1000",
		"search stage --out " + at("out") + " --set search.lengths=[1000,1000] --set search.window=1001":                                           "search.lengths",
		"search cell --out " + at("out") + " --set search.batch=9223372036854775807":                                                               "is not in 2..65536",
		"train --genotype DARTS_V1 --out " + at("out") + " --set train.batch=9223372036854775807":                                                  "is not in 2..65536",
		"train --genotype DARTS_V1 --out " + at("out") + " --set data.size=4096":                                                                   "is not in 0..2048",
		"train --genotype DARTS_V1 --out " + at("out") + " --config tiny-train --set data.size=2048 --set train.batch=65536 --set data.workers=64": "data.size",
		"eval x --batch 9223372036854775807":                                                                                                       "is not in 1..65536",
		"search random cell -n 1000000000 --out " + at("out"):                                                                                      "is not in 1..100000",
		"space cell --cells 1000 --nodes 100 --cell-primitives 100":                                                                                "1..100",
		"space stage --lengths 1000,1000,1000 --window 1001":                                                                                       "lengths",
		"show DARTS_V1 --channels 4096 --layers 1000 --classes 1000000000":                                                                         "is not in 0..1000000",
		"data check " + at("classes"):                                                                                                              "damaged files in train: 2",
		"data check --name cifar10 " + dir:                                                                                                         "cifar10 not found",
		"train --genotype DARTS_V1 --out " + at("out") + " --set data.name=imagenet --set network.preset=imagenet --data-dir " + dir:               "ILSVRC2012_img_train.tar is not a file",
		"train --genotype DARTS_V1 --config tiny-train --set data.name=folder --data-dir " + at("classes") + " --out " + at("out"):                 "not a regular file",
	} {
		if code, _, errs := call(t, strings.Fields(args)...); code == 0 || !strings.Contains(errs, word) {
			t.Errorf("hdas %s: exit %d, %q does not say %q", args, code, errs, word)
		}
		os.RemoveAll(at("out"))
	}
}

// full is a standard output on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A result that cannot be written is a failure, as a table and as JSON.
func TestResultsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for _, args := range []string{
		"show DARTS_V1", "show DARTS_V1 --text", "show genotypes", "space", "space cell", "doctor --data-dir " + dir, "draw DARTS_V1 -o -", "draw DARTS_V1 -o " + dir + "/x.svg",
		"search random stage --config tiny-stage --set search.lengths=[2,2,2] --out " + dir + "/random", "data check --name digits", "--help", "search --help", "completion bash",
	} {
		for _, form := range []string{"", " --json"} {
			var errs bytes.Buffer
			if code := execute(context.Background(), strings.Fields(args+form), full{}, &errs); code != exitFailed || !strings.Contains(errs.String(), syscall.ENOSPC.Error()) {
				t.Errorf("hdas %s: exit %d, %s", args+form, code, &errs)
			}
		}
	}
	// As a process: a full disk, and a pipe whose reader has gone.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer disk.Close()
	for word, out := range map[string]*os.File{"no space left": disk, "broken pipe": w} {
		for _, form := range []string{"show DARTS_V1", "show DARTS_V1 --json"} {
			c, errs := process(t, "yes", strings.Fields(form)...)
			c.Stdout = out
			if err := c.Run(); fmt.Sprint(err) != "exit status 1" || !strings.Contains(errs.String(), word) {
				t.Errorf("%s, %s: %v: %s", form, word, err, errs)
			}
		}
	}
}
