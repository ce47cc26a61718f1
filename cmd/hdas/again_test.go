package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The same command goes on with what it has begun, and does not begin anew what has ended. Another command is refused
// with the difference, and changes nothing.
func TestSameCommandGoesOn(t *testing.T) {
	images := ownImages(t, 4)
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	base := at("base")
	must(t, append([]string{"train", "DARTS_V1"}, sized(images, base)...)...)
	pt := at("base.pt")
	must(t, "export", base, "-o", pt)
	small := quick("--set", "search.lengths=[2,2,2]")
	for name, c := range map[string]struct {
		command []string
		other   map[string][]string // words of the refusal, and what is added to the command
	}{
		"search": {append([]string{"search", "stage", "--config", "tiny-stage"}, small...),
			map[string][]string{"search.delta": {"--set", "search.delta=0.5"}, "runs of 2 seeds": {"--seeds", "2"}}},
		"training": {append([]string{"train", "DARTS_V1"}, sized(images, "")...), map[string][]string{"seed: 7": {"--seed", "7"}, "runs of 3 seeds": {"--seeds", "3"}}},
		"foreign":  {append([]string{"finetune", pt, "--genotype", "DARTS_V1"}, little(images, "", "--set", "train.freeze_epochs=1")...), map[string][]string{"train.lr": {"--set", "train.lr=0.5"}}},
		"compare":  {append([]string{"compare", "DARTS_V1", "--random", "1"}, sized(images, "")...), map[string][]string{"something else": {"--random", "2"}, "train.lr": {"--set", "train.lr=0.5"}}},
	} {
		t.Run(name, func(t *testing.T) {
			begin := slices.Concat(c.command, []string{"--out", at(name)})
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			var out, errs bytes.Buffer
			if code := execute(ctx, begin, &out, &errs); code != exitStopped {
				t.Fatalf("stopped: exit %d, %s", code, errs.String())
			}
			for words, more := range c.other {
				before := stateOf(t, at(name))
				if code, _, errs := call(t, slices.Concat(begin, more)...); code == 0 || !strings.Contains(errs, words) || !strings.Contains(errs, "--out") {
					t.Errorf("with %v: exit %d, %s", more, code, errs)
				}
				if after := stateOf(t, at(name)); after != before {
					t.Errorf("with %v: %s has become %s", more, before, after)
				}
			}
			first := must(t, begin...)
			whole := at(name + "-whole")
			if second := must(t, begin...); second != first || first == "" {
				t.Errorf("%q, and again %q", first, second)
			}
			must(t, slices.Concat(c.command, []string{"--out", whole})...)
			if is, want := recordsIn(t, at(name)), recordsIn(t, whole); is != want {
				t.Errorf("records %s, not %s", is, want)
			}
		})
	}
	if code, _, errs := call(t, append([]string{"train", "DARTS_V2"}, sized(images, at("training"))...)...); code == 0 || !strings.Contains(errs, "was begun with DARTS_V1") {
		t.Errorf("another genotype: exit %d, %s", code, errs)
	}
	if code, _, errs := call(t, append([]string{"compare", "DARTS_V2", "--random", "1"}, sized(images, at("compare"))...)...); code == 0 || !strings.Contains(errs, "another genotype") {
		t.Errorf("another genotype to compare: exit %d, %s", code, errs)
	}
}

// A run goes on with images that were moved to another folder.
func TestMovedImages(t *testing.T) {
	images, out := ownImages(t, 4), filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	begin := append([]string{"train", "DARTS_V1"}, sized(images, out)...)
	var text bytes.Buffer
	if code := execute(ctx, begin, &text, &text); code != exitStopped {
		t.Fatalf("stopped: exit %d, %s", code, text.String())
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(images, moved); err != nil {
		t.Fatal(err)
	}
	if code := execute(ctx, []string{"train", "--resume", "--out", out, "--data-dir", moved}, &text, &text); code != exitStopped {
		t.Fatalf("stopped: exit %d, %s", code, text.String())
	}
	must(t, append(begin, "--data-dir", moved)...)
	must(t, "eval", out)
}

// stateOf returns the names of a folder's files and the times of their last change.
func stateOf(t *testing.T, folder string) (text string) {
	t.Helper()
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			text += path + info.ModTime().String() + "\n"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// recordsIn returns the records of all runs in a folder.
func recordsIn(t *testing.T, folder string) (text string) {
	t.Helper()
	for _, pattern := range []string{"", "*"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern, "epochs.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			records, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text += strings.TrimPrefix(file, folder) + string(records)
		}
	}
	if text == "" {
		t.Fatalf("%s has no records", folder)
	}
	return text
}
