package space_test

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/testseed"
	"hdas/models/genotype"
	"hdas/search/space"
)

func null(op string) bool { return op == "none" }
func skip(op string) bool { return op == "skip_connect" }

// ops are "none" and n operations beside it.
func ops(n int) []string {
	all := []string{"none", "skip_connect"}
	for i := 1; i < n; i++ {
		all = append(all, fmt.Sprintf("op%d", i))
	}
	return all[:n+1]
}

func must(t interface{ Fatal(...any) }, s space.Space, err error) space.Space {
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The sizes that the paper reports (section 3 and Table 4), and as exact integers.
func TestSizesOfThePaper(t *testing.T) {
	two, five := space.Cells(space.ChainCells(false), 4, ops(7)), space.Cells(space.ChainCells(true), 4, ops(7))
	stages := func(over space.Space, lengths []int, window, least int) space.Space {
		s, err := layout{Lengths: lengths, Window: window, Ops: ops(3), MinCells: least}.over(over)
		return must(t, s, err)
	}
	fixed := space.Fixed(genotype.Genotype{Version: 1, Name: "fixed", Cells: map[string]genotype.DAG{"normal": {}, "reduce": {}}})
	for name, c := range map[string]struct {
		space.Space
		paper, exact string // exact: (180 * 49^4)^2 by hand
	}{
		"DARTS":                       {two, "1.0767e+18", "1076746950455072400"},
		"Hc":                          {five, "1.2031e+45", ""},
		"one stage, m = 7":            {stages(fixed, []int{6}, 7, 0), "3.0133e+10", ""},
		"Hs, m = 3":                   {stages(fixed, []int{6, 6, 6}, 3, 0), "2.1537e+24", ""},
		"distribution, m = 3":         {stages(fixed, []int{8, 8, 8}, 3, 4), "9.3441e+32", ""},
		"full":                        {stages(two, []int{6, 6, 6}, 3, 0), "2.3190e+42", ""},
		"full, with the distribution": {stages(two, []int{8, 8, 8}, 3, 4), "1.0061e+51", ""},
	} {
		n := c.Size(null)
		if got := new(big.Float).SetInt(n).Text('e', 4); got != c.paper {
			t.Errorf("%s: %s, the paper has %s", name, got, c.paper)
		}
		if c.exact != "" && n.String() != c.exact {
			t.Errorf("%s: %s, not %s", name, n, c.exact)
		}
	}
}

// layout draws stages of few cells.
func layouts(t *rapid.T) layout {
	l := layout{Ops: ops(rapid.IntRange(1, 4).Draw(t, "ops")), Shared: rapid.Bool().Draw(t, "shared")}
	shortest := 100
	for range rapid.IntRange(2, 4).Draw(t, "stages") {
		n := rapid.IntRange(2, 7).Draw(t, "cells")
		if l.Shared && len(l.Lengths) > 0 {
			n = l.Lengths[0]
		}
		l.Lengths, shortest = append(l.Lengths, n), min(shortest, n)
	}
	l.Window = rapid.IntRange(2, shortest+1).Draw(t, "window")
	if rapid.Bool().Draw(t, "distribution") {
		l.MinCells = rapid.IntRange(2, shortest).Draw(t, "min_cells")
	}
	return l
}

// Whatever the stages and the weights: a cell reads two different states out of the window before
// it, of the window's heaviest edges, nothing null, in order; a stage has the cells that its
// outputs allow and ends with its last two; shared stages are the same.
func TestWindowAndDerivation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := layouts(t)
		specific := len(l.Lengths) <= 3 && rapid.Bool().Draw(t, "specific") // there are cells for three stages
		over := space.Cells(space.ChainCells(specific), rapid.IntRange(1, 4).Draw(t, "nodes"), ops(3))
		under, err := l.over(over)
		s := must(t, under, err)
		w := draw(t, s)
		g, err := s.Derive("derived", w, space.Rules{Null: null, MaxSkips: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Validate(genotype.Ops{}); err != nil {
			t.Fatal(err)
		}
		for i, stage := range g.Stages {
			n := len(stage.Nodes)
			if n > l.Lengths[i] || l.MinCells == 0 && n != l.Lengths[i] || l.MinCells > 0 && n < l.MinCells {
				t.Fatalf("stage %d has %d cells", i, n)
			}
			if !slices.Equal(stage.Out, []int{n, n + 1}) {
				t.Fatalf("stage %d puts out %v", i, stage.Out)
			}
			if l.Shared && !reflect.DeepEqual(stage.DAG, g.Stages[0].DAG) {
				t.Fatalf("shared stage %d is %v, the first %v", i, stage.DAG, g.Stages[0].DAG)
			}
			for k, node := range stage.Nodes {
				for _, e := range node.In {
					if e.From < max(0, k+2-l.Window) || e.From > k+1 || null(e.Op) {
						t.Fatalf("cell %d reads %v with a window of %d", k, e, l.Window)
					}
				}
				if len(node.In) != 2 || node.In[0].From >= node.In[1].From {
					t.Fatalf("cell %d reads %v", k, node.In)
				}
			}
		}
		for _, d := range s.DAGs() {
			heaviest(t, d, w.Alpha[d.Name], g)
		}
	})
}

// draw returns random parameters for every undecided DAG, out of few values, so that ties occur.
func draw(t *rapid.T, s space.Space) space.Parameters {
	w := space.Parameters{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	value := rapid.Map(rapid.IntRange(-9, 9), func(n int) float64 { return float64(n) })
	for _, d := range s.DAGs() {
		for range d.Rows() {
			w.Alpha[d.Name] = append(w.Alpha[d.Name], rapid.SliceOfN(value, len(d.Ops), len(d.Ops)).Draw(t, "alpha"))
		}
		if d.Stages != nil {
			w.Beta[d.Name] = rapid.SliceOfN(value, s.Pairs(len(d.Nodes)), s.Pairs(len(d.Nodes))).Draw(t, "beta")
		}
	}
	return w
}

// heaviest checks that no removed edge has a larger value than one that was kept.
func heaviest(t *rapid.T, d space.DAG, alpha [][]float64, g genotype.Genotype) {
	derived := g.Cells[d.Name]
	if d.Stages != nil {
		derived = g.Stages[d.Stages[0]].DAG
	}
	row := 0
	for i, node := range d.Nodes {
		var weights, kept []float64
		for _, e := range node.In {
			best := -100.0
			for k, op := range d.Ops {
				if !null(op) {
					best = max(best, alpha[row][k])
				}
			}
			weights = append(weights, best)
			if i < len(derived.Nodes) && slices.ContainsFunc(derived.Nodes[i].In, func(k genotype.Edge) bool { return k.From == e.From }) {
				kept = append(kept, best)
			}
			row++
		}
		if i >= len(derived.Nodes) {
			continue
		}
		slices.Sort(weights)
		slices.Sort(kept)
		if !slices.Equal(kept, weights[len(weights)-2:]) {
			t.Fatalf("node %d of %s keeps edges of %v, out of %v", i, d.Name, kept, weights)
		}
	}
}

// The limit of skips holds in every normal cell, removes the skips of the smallest values, and changes
// nothing if there are no more skips than that.
func TestMaxSkips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := space.Cells(space.ChainCells(false), 4, ops(3))
		w, limit := draw(t, s), rapid.IntRange(0, 3).Draw(t, "max_skips")
		rules := space.Rules{Null: null, Skip: skip, MaxSkips: -1}
		free, err := s.Derive("free", w, rules)
		if err != nil {
			t.Fatal(err)
		}
		rules.MaxSkips = limit
		limited, err := s.Derive("free", w, rules)
		if err != nil {
			t.Fatal(err)
		}
		count := func(g genotype.Genotype, cell string) (n int) {
			for _, node := range g.Cells[cell].Nodes {
				for _, e := range node.In {
					if skip(e.Op) {
						n++
					}
				}
			}
			return n
		}
		if !reflect.DeepEqual(free.Cells["reduce"], limited.Cells["reduce"]) {
			t.Fatal("the limit changed a reduction cell")
		}
		if count(free, "normal") <= limit && !reflect.DeepEqual(free, limited) {
			t.Fatal("the limit changed a cell that keeps it")
		}
		if n := count(limited, "normal"); n > limit || count(free, "normal") > limit && n < limit && limit <= 0 {
			t.Fatalf("%d skips, at most %d", n, limit)
		}
	})
}

// In small spaces, every genotype is drawn about equally often, and their number is Size.
func TestRandomIsUniform(t *testing.T) {
	cells := space.Cells([]string{"normal", "reduce"}, 1, ops(2))
	fixed := space.Fixed(genotype.Genotype{Version: 1, Name: "fixed", Cells: map[string]genotype.DAG{"normal": {}, "reduce": {}}})
	under, err := layout{Lengths: []int{3}, Window: 3, Ops: ops(1), MinCells: 2}.over(fixed)
	stages := must(t, under, err)
	shared, err := layout{Lengths: []int{2, 2}, Window: 2, Ops: ops(2), Shared: true}.over(fixed)
	for name, s := range map[string]space.Space{"cells": cells, "stages of 2 or 3 cells": stages, "shared stages": must(t, shared, err)} {
		n := int(s.Size(null).Int64())
		r, seen := testseed.Rand(t, 1), map[string]int{}
		const each = 400
		for range n * each {
			g, err := s.Random("random", r, null)
			if err != nil {
				t.Fatal(err)
			}
			seen[fmt.Sprint(g.Cells, g.Stages)]++
		}
		if len(seen) != n {
			t.Errorf("%s: %d genotypes drawn, there are %d", name, len(seen), n)
		}
		for g, times := range seen {
			if times < each*7/10 || times > each*13/10 { // 6 standard deviations
				t.Errorf("%s: %s drawn %d times, about %d are expected", name, g, times, each)
			}
		}
	}
}

func TestImpossibleStages(t *testing.T) {
	fixed := space.Cells(space.ChainCells(false), 2, ops(2))
	for name, l := range map[string]layout{
		"at least 2":       {Lengths: []int{1, 2}, Window: 2},
		"window 5":         {Lengths: []int{3, 3}, Window: 5},
		"window 1":         {Lengths: []int{3, 3}, Window: 1},
		"min_cells 1":      {Lengths: []int{3, 3}, Window: 2, MinCells: 1},
		"min_cells 4":      {Lengths: []int{3, 3}, Window: 2, MinCells: 4},
		"one and the same": {Lengths: []int{3, 4}, Window: 2, Shared: true},
	} {
		if _, err := l.over(fixed); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v does not say %q", l, err, name)
		}
	}
}

// layout says which stages are laid over cells.
type layout struct {
	Lengths          []int
	Window, MinCells int
	Ops              []string
	Shared           bool
}

func (l layout) over(s space.Space) (space.Space, error) {
	return s.Under(l.Lengths, l.Window, genotype.Candidates{Stage: l.Ops, MinCells: l.MinCells, Shared: l.Shared})
}
