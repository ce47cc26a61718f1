package recipe

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/models/genotype"
)

func graph(t *testing.T, r Recipe, c Choice) Graph {
	t.Helper()
	g, err := r.Graph(c)
	if err != nil {
		t.Fatalf("%s, %s: %v", r.Name, c.Scale, err)
	}
	return g
}

// Every built-in experiment has a graph at every scale, in which each run comes after those that it needs.
func TestBuiltIn(t *testing.T) {
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		for _, scale := range []string{"paper", "small", "tiny"} {
			g := graph(t, r, Choice{Scale: scale, Root: "r"})
			before := map[string]bool{}
			for _, n := range g.Nodes {
				for _, id := range n.Needs {
					if !before[id] {
						t.Errorf("%s needs %s, which comes later", n.ID, id)
					}
				}
				before[n.ID] = true
			}
			t.Log(r.Name, scale, len(g.Nodes))
		}
	}
}

// Tables share the runs that compute the same, and no others.
func TestShared(t *testing.T) {
	ids := func(name string, rows ...string) (ids []string) {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range graph(t, r, Choice{Scale: "paper", Root: "r", Rows: rows}).Nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	if one, three := ids("table1", "Hs over cells of P-DARTS"), ids("table3", "Hs"); !slices.Equal(one, three) || len(one) != 6 {
		t.Errorf("%v and %v", one, three)
	}
	if two, three := ids("table2", "Hs over cells of P-DARTS"), ids("table3", "Hs, ImageNet"); !slices.Equal(two, three) {
		t.Errorf("%v and %v", two, three)
	}
	for _, id := range ids("table4") {
		if slices.Contains(ids("table5"), id) {
			t.Errorf("tables 4 and 5 share %s, over other cells", id)
		}
	}
}

// What a result does not depend on does not change the digest of its run; everything else does.
func TestDigest(t *testing.T) {
	r, err := Load("table4")
	if err != nil {
		t.Fatal(err)
	}
	of := func(set ...string) string {
		g := graph(t, r, Choice{Scale: "small", Root: "r", Rows: []string{"m = 3"}, Seeds: 1, Set: set})
		return g.Nodes[0].ID + " " + g.Nodes[1].ID
	}
	was := of()
	for _, set := range []string{"device=elsewhere", "threads=3", "data.workers=2", "cuda.graphs=false", "train.checkpoint_steps=7"} {
		if is := of(set); is != was {
			t.Errorf("%s changes %s to %s", set, was, is)
		}
	}
	search, training, _ := strings.Cut(was, " ")
	for set, both := range map[string]bool{"train.lr=0.1": false, "search.delta=0.5": true, "network.channels=6": true} {
		s, tr, _ := strings.Cut(of(set), " ")
		if (s != search) != both || tr == training {
			t.Errorf("%s: %s %s of %s", set, s, tr, was)
		}
	}
}

// Runs over the same cells are the same, wherever the cells come from.
func TestCellsByContent(t *testing.T) {
	g, err := genotype.Load("PDARTS")
	if err != nil {
		t.Fatal(err)
	}
	g.Name = "another"
	var text bytes.Buffer
	file := filepath.Join(t.TempDir(), "cells.yaml")
	if err := errors.Join(g.Encode(&text), os.WriteFile(file, text.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	of := func(cells string) (ids []string) {
		r, err := Decode(strings.NewReader("name: a\ntrainings: {t: {config: tiny-train}}\nsearches: {s: {kind: stage, config: tiny-stage, set: {search.cells: "+cells+"}}}\nrows: [{name: r, search: s, train: t}]"), "own.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range graph(t, r, Choice{Scale: "tiny", Root: "r", Seeds: 1}).Nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	if named, read, other := of("PDARTS"), of(file), of("DARTS_V1"); !slices.Equal(named, read) || slices.Equal(named, other) || len(named) != 2 {
		t.Errorf("%v, %v and %v", named, read, other)
	}
}

// A recipe that says something wrongly is refused with words that name it.
func TestRefused(t *testing.T) {
	const head, train = "name: a\n", "trainings: {t: {config: tiny-train}}\n"
	for text, words := range map[string]string{
		"":                         "EOF",
		"name: a":                  "has a name and rows",
		head + "rows: [{name: r}]": "one of search, genotype, random and unknown",
		head + "rows: [{name: r, genotype: DARTS_V1, search: s}]":                                                "one of search",
		head + "rows: [{name: r, search: s}]":                                                                    `there is no search "s"`,
		head + "rows: [{name: r, genotype: DARTS_V1, train: t}]":                                                 `there is no training "t"`,
		head + "rows: [{name: r, genotype: DARTS_V1}, {name: r, unknown: x}]":                                    "another row's",
		head + "reference: q\nrows: [{name: r, genotype: DARTS_V1}]":                                             `there is no row "q"`,
		head + "rows: [{name: r, genotype: DARTS_V1, colour: red}]":                                              "field colour not found",
		head + "searches: {s: {kind: cells}}\nrows: [{name: r, search: s}]":                                      `"cells" is unknown`,
		head + "searches: {s: {kind: stage, cells: q}}\nrows: [{name: r, search: s}]":                            `there is no search "q"`,
		head + "searches: {s: {kind: stage, cells: s}}\nrows: [{name: r, search: s}]":                            "does not find cells alone",
		head + "searches: {c: {kind: cell}, s: {kind: cell, cells: c}}\nrows: [{name: r, search: s}]":            "finds its own",
		head + train + "searches: {s: {kind: cell, best_of: 1, by: t}}\nrows: [{name: r, search: s}]":            "a selection has at least two searches",
		head + "searches: {s: {kind: cell, best_of: 2}}\nrows: [{name: r, search: s}]":                           "a selection has",
		head + "searches: {s: {kind: stage}}\nrows: [{name: r, random: s}]":                                      "draws 0",
		head + "searches: {s: {kind: stage}}\nrows: [{name: r, random: s, draws: 1000000}]":                      "draws 1000000",
		head + "searches: {c: {kind: cell}, s: {kind: stage, cells: c}}\nrows: [{name: r, random: s, draws: 2}]": "before any search has run",
		head + "searches: {s: {kind: stage}}\nrows: [{name: r, search: s, operations: none}]":                    "operations is for a row with genotype",
		head + train + "rows: [{name: r, genotype: DARTS_V1, train: t, preset: imagenet}]":                       "preset is for a row without training",
		head + "scales: {x: {seeds: -1}}\nrows: [{name: r, genotype: DARTS_V1}]":                                 "-1 seeds",
	} {
		_, err := Decode(strings.NewReader(text), "own.yaml")
		if err == nil || !strings.Contains(err.Error(), words) || !strings.HasPrefix(err.Error(), "own.yaml: ") {
			t.Errorf("%s: %v lacks %q", text, err, words)
		}
	}
	for text, words := range map[string]string{
		head + "searches: {s: {kind: stage, config: no-such}}\nrows: [{name: r, search: s}]":                             `row "r": search s: configuration "no-such"`,
		head + "searches: {s: {kind: stage, config: tiny-stage, set: {search.windw: 3}}}\nrows: [{name: r, search: s}]":  "search.windw",
		head + "rows: [{name: r, genotype: DARTS_V9}]":                                                                   `row "r": genotype "DARTS_V9" is unknown`,
		head + train + "rows: [{name: r, genotype: DARTS_V1, train: t}]\nscales: {paper: {train: {train.epochs: many}}}": "train.epochs",
	} {
		r, err := Decode(strings.NewReader(text), "own.yaml")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, err := r.Graph(Choice{Scale: "paper", Root: "r"}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v lacks %q", text, err, words)
		}
	}
}

// A search over the cells of another one needs it, and replaced operations leave the connections as they are.
func TestCellsOfAnotherSearch(t *testing.T) {
	r, err := Decode(strings.NewReader("name: a\nsearches: {c: {kind: cell, config: tiny-cell}, s: {kind: stage, config: tiny-stage, cells: c}}\nrows: [{name: r, search: s}]"), "own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g := graph(t, r, Choice{Scale: "tiny", Root: "r", Seeds: 1, Found: "found.yaml"})
	if len(g.Nodes) != 2 || !slices.Equal(g.Nodes[1].Needs, []string{g.Nodes[0].ID}) || !slices.Contains(g.Nodes[1].Args, "search.cells=r/"+g.Nodes[0].ID+"/found.yaml") {
		t.Errorf("%+v", g.Nodes)
	}
	stages, err := genotype.Load("Hs_DAS_CIFAR_stages")
	if err != nil {
		t.Fatal(err)
	}
	skips := replaced(stages, "skip_connect")
	for i, s := range skips.Stages {
		if s.Topology() != stages.Stages[i].Topology() || s.Nodes[2].In[1].Op != "skip_connect" {
			t.Errorf("stage %d: %+v", i, s)
		}
	}
	if stages.Stages[0].Nodes[2].In[1].Op != "max_pool_3x3" {
		t.Error("the original was changed")
	}
}
