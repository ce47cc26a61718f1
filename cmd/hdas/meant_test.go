package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/internal/golden"
	"hdas/lab"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/search"
)

// A misspelt command, flag, name or setting is told with the one that is meant, on one line.
func TestMisspelt(t *testing.T) {
	for args, words := range map[string]string{
		"serach":                              `command "serach" is unknown; known are bench, `,
		"evla x":                              "did you mean eval?",
		"search cells":                        `search "cells" is unknown; known are cell, distribution, joint, random, stage; did you mean cell?`,
		"data gat":                            "did you mean get?",
		"space cells":                         "did you mean cell?",
		"search random stages":                "did you mean stage?",
		"train DARTS_V2 --confg x":            "did you mean --config?",
		"train DARTS_V2 --epochs 3":           "did you mean --set train.epochs=...?",
		"train DARTS_V2 --epocs 3":            "did you mean --set train.epochs=...?",
		"search cell --epochs 3":              "did you mean --set search.epochs=...?",
		"search cell --window 3":              "did you mean --set search.window=...?",
		"bench drats":                         "did you mean darts?",
		"data get cifar-10":                   "did you mean cifar10?",
		"show DARTS_V2 --preset imagnet":      "did you mean imagenet?",
		"show PDART":                          "did you mean PDARTS?",
		"train DARTS_V3":                      "did you mean DARTS_V1?",
		"train DARTS_V2 --config tiny-trian":  "did you mean tiny-train?",
		"train DARTS_V2 --set trian.epochs=1": "did you mean train.epochs?",
		"train DARTS_V2 --genotype PDARTS":    "name one",
		"import x --genotype DARTS_V2 --dataset cifar -o x.safetensors": "did you mean cifar10?",
		"train DARTS_V2 --seed abc":                                     `--seed "abc" is not an integer of at least 0`,
		"predict x y --top 1.5":                                         `--top "1.5" is not an integer`,
		"space stage --lengths a,b":                                     `is not a list of integers, as 1,2`,
		"train DARTS_V2 --resume=perhaps":                               `--resume "perhaps" is not true or false`,
		"data check --test-fraction x":                                  `--test-fraction "x" is not a number`,
		"compare pytorch --only chian":                                  "did you mean chain?",
	} {
		code, _, errs := call(t, strings.Fields(args)...)
		if code != exitUsage || !strings.Contains(errs, words) || strings.Count(errs, "\n") != 1 {
			t.Errorf("hdas %s: exit %d, %q does not say %q", args, code, errs, words)
		}
	}
	if _, _, errs := call(t, "train", "--zzzzzzzz"); strings.Contains(errs, "did you mean") {
		t.Errorf("a flag like no other: %s", errs)
	}
}

// Names of files, classes and genotypes, keys and values cannot control the terminal: no output has a control
// character, and no name a line of its own.
func TestNamesDoNotControlTheTerminal(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	const evil = "a\x1b[31m\u009b2J\u202e\rb\x7f"
	photo, err := os.ReadFile("../../datasets/testdata/photos/china.jpg")
	if err != nil {
		t.Fatal(err)
	}
	g, err := genotype.Load("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	g.Name, g.Source = evil+"\nforged", evil
	for name, data := range map[string][]byte{
		evil + "\nforged.jpg": photo, evil + "-damaged.jpg": photo[:300], "classes.txt": []byte(strings.Repeat(evil+"\n", 10)),
		evil + ".yaml": []byte("train: {\"epo\\x1bchs\": 3, epochs: \"\\x1b]0;x\\x07\"}\n"),
	} {
		if err := os.WriteFile(at(name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeGenotype(at("g.yaml"), g); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"import", golden.Path("darts/cifar_checkpoint.pth.tar"), "--genotype", at("g.yaml"), "--classes", at("classes.txt"), "-o", at("in.safetensors")},
		{"predict", at("in.safetensors"), at(evil + "\nforged.jpg"), at(evil + "-damaged.jpg"), "--top", "2"},
		{"predict", at("in.safetensors"), at(evil + "\nforged.jpg"), "--json"},
		{"show", at("g.yaml")}, {"show", at("in.safetensors")}, {"show", at(evil)}, {"draw", at("g.yaml"), "-o", "-"}, {"draw", at("g.yaml"), "-o", at(evil + ".png")},
		{"import", "--genotype-text", at(evil + ".yaml"), "-o", "-"},
		{"train", "DARTS_V2", "--config", at(evil + ".yaml")}, {"train", "DARTS_V2", "--set", evil + "=3"}, {"train", "DARTS_V2", "--set", "train.epochs=" + evil},
		{"train", evil}, {evil}, {"search", evil}, {"eval", at(evil)}, {"train", "--" + evil},
	} {
		_, out, errs := call(t, args...)
		if out+errs == "" {
			t.Errorf("%q prints nothing", args)
		}
		for _, text := range []string{out, errs} {
			if strings.ContainsAny(text, "\x1b\u009b\u202e\r\x7f") || strings.Contains(text, "\nforged") {
				t.Errorf("%q: %q", args, text)
			}
		}
	}
	t.Chdir(t.TempDir())
	must(t, "draw", at("g.yaml"))
	if files, err := os.ReadDir("."); err != nil || len(files) != 1 || files[0].Name() != "a--31m-2J--b--forged.svg" {
		t.Errorf("the drawing is %v, %v", files, err)
	}
	for s, want := range map[string]string{"a\xffb": `a\xffb`, "\ufffd": "\ufffd", "tschüß\t漢": "tschüß\t漢", "\x00\n": `\u0000` + "\n", "\xc2": `\xc2`} {
		var b bytes.Buffer
		if n, err := (plainWriter{&b}).Write([]byte(s)); n != len(s) || err != nil || b.String() != want {
			t.Errorf("%q is written as %q, %v", s, b.String(), err)
		}
	}
}

// A stopped command says so once, with one command that resumes it.
func TestReport(t *testing.T) {
	for want, err := range map[string]error{
		"hdas: stopped\n": errors.Join(context.Canceled, context.Canceled),
		"hdas: x.part: stopped; the same command continues from there\n":                          fmt.Errorf("x.part: %w; the same command continues from there", context.Canceled),
		"hdas: stopped; --resume continues: hdas compare --resume --out runs/c\n":                 &lab.Stopped{Kind: "compare", Folder: "runs/c", Err: &lab.Stopped{Kind: "train", Folder: "runs/c/found-1", Err: run.ErrStopped}},
		"hdas: stopped; --resume continues: hdas search cell --resume --out 'my runs/it'\\''s'\n": &lab.Stopped{Kind: "search cell", Folder: "my runs/it's", Err: run.ErrStopped},
	} {
		var b bytes.Buffer
		if printError(&b, err); b.String() != want || exitCode(err) != exitStopped {
			t.Errorf("%q, exit %d, not %q", b.String(), exitCode(err), want)
		}
	}
}

// A distribution search ends with the command that searches the connections of the stages it found.
func TestNextSearch(t *testing.T) {
	g, err := genotype.Load("DARTS_V1+Hs_DAS_CIFAR_stages")
	if err != nil {
		t.Fatal(err)
	}
	found := search.Result{Genotype: g}
	for file, want := range map[string]string{
		"tiny-distribution": "hdas search stage --config tiny-stage --set search.lengths=[6,6,6] --set network.channels=2 --set search.cells=PDARTS",
		"":                  "hdas search stage --config stage-search --set search.lengths=[6,6,6] --set network.channels=2 --set search.cells=PDARTS",
	} {
		c, err := configs.LoadSearch(configs.DistributionSearch, configs.Overrides{File: file, Alone: true, Set: []string{"network.channels=2", "search.cells=PDARTS", "search.gamma=0.2"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := nextSearch(file, c, found); got != want {
			t.Errorf("%s: %s, not %s", file, got, want)
		}
		c, err = configs.LoadSearch(configs.DistributionSearch, configs.Overrides{File: file, Alone: true, Set: []string{
			"data.name=folder", "data.dir=my images", "data.mean=[0.5,0.5,0.5]", "data.std=[1,1,1]", "data.size=64", "seed=3", "search.delta=0.5"}})
		if err != nil {
			t.Fatal(err)
		}
		args := strings.Split(nextSearch(file, c, found), " --set ")
		var set []string
		for _, a := range args[1:] {
			set = append(set, strings.Trim(a, "'"))
		}
		again, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: strings.Fields(args[0])[4], Alone: true, Set: set})
		if err != nil || fmt.Sprint(again.Common) != fmt.Sprint(c.Common) || again.Search.Delta != 0.5 || again.Search.Alpha != c.Search.Alpha {
			t.Errorf("%q gives %+v, not %+v, %v", args, again.Common, c.Common, err)
		}
	}
	c, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Alone: true})
	if err != nil || nextSearch("tiny-stage", c, found) != "" {
		t.Errorf("a stage search has a next one, %v", err)
	}
}
