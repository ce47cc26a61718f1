// Package genotype is the architecture as data: cells and stages, which are DAGs of one type. It
// holds no size, no tensor and no arithmetic of networks.
package genotype

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Version is that of the files written here.
const Version = 1

// Inputs is the number of inputs of every DAG: they are its states 0 and 1, and its node i is
// state i+Inputs.
const Inputs = 2

// Genotype is an architecture. One without Stages is a chain: its cells are stacked in a row, all
// cells "normal" but two "reduce", or each stage with its own (normal1, reduce1, normal2, reduce2,
// normal3). One without Cells is the connections of stages alone, to be combined with cells.
type Genotype struct {
	Version int
	Name    string
	Source  string // where it comes from
	Cells   map[string]DAG
	Stages  []Stage
}

// DAG is a cell, whose nodes sum their edges, or a stage, whose nodes are cells.
type DAG struct {
	Nodes []Node
	Out   []int // the states whose concatenation is the output
}

// Node is what reads earlier states.
type Node struct{ In []Edge }

// Edge runs an operation on an earlier state.
type Edge struct {
	From int
	Op   string
}

// Stage is a DAG of cells, and the reduction cell behind it.
type Stage struct {
	Cell string // the name of the cell that every node runs
	DAG
	Reduce string // the name of the reduction cell that follows; none after the last stage
}

// Ops says which operations an edge of a cell, and one of a stage, can be.
type Ops struct{ Cell, Stage func(op string) bool }

// chains are the names that the cells of a chain have: one set or the other.
var chains = [][]string{{"normal", "reduce"}, {"normal1", "reduce1", "normal2", "reduce2", "normal3"}}

// Validate names every fault.
func (g Genotype) Validate(known Ops) error {
	var f faults
	if g.Version != Version {
		f.add("version", "is %d; this program reads version %d", g.Version, Version)
	}
	if g.Name == "" {
		f.add("name", "is missing")
	}
	if len(g.Cells) == 0 && len(g.Stages) == 0 {
		f.add("cells", "are missing, and so are stages")
	}
	for _, name := range slices.Sorted(maps.Keys(g.Cells)) {
		g.Cells[name].validate(&f, "cells."+name, known.Cell, 0)
	}
	for i, s := range g.Stages {
		place := fmt.Sprintf("stages[%d]", i)
		s.DAG.validate(&f, place, known.Stage, 1)
		if len(s.Nodes) == 0 {
			f.add(place+".nodes", "are missing; a stage has at least one cell")
		}
		last := i == len(g.Stages)-1
		if last && s.Reduce != "" {
			f.add(place+".reduce", "is %q, but no reduction cell follows the last stage", s.Reduce)
		}
		if !last && s.Reduce == "" {
			f.add(place+".reduce", "is missing; a reduction cell follows every stage but the last")
		}
		g.refers(&f, place+".cell", s.Cell)
		if s.Reduce != "" {
			g.refers(&f, place+".reduce", s.Reduce)
		}
	}
	if len(g.Cells) > 0 && len(g.Stages) == 0 && !slices.ContainsFunc(chains, g.has) {
		f.add("cells", "are %s; a chain needs %s, or %s", strings.Join(slices.Sorted(maps.Keys(g.Cells)), " "), strings.Join(chains[0], " "), strings.Join(chains[1], " "))
	}
	if err := errors.Join(f...); err != nil {
		return fmt.Errorf("genotype %s: %w", g.Name, err)
	}
	return nil
}

func (g Genotype) has(cells []string) bool {
	return !slices.ContainsFunc(cells, func(name string) bool { _, ok := g.Cells[name]; return !ok })
}

func (g Genotype) refers(f *faults, place, cell string) {
	switch _, ok := g.Cells[cell]; {
	case cell == "":
		f.add(place, "is missing")
	case len(g.Cells) > 0 && !ok:
		f.add(place, "is %q; there are %s", cell, strings.Join(slices.Sorted(maps.Keys(g.Cells)), " "))
	}
}

func (d DAG) validate(f *faults, place string, known func(string) bool, least int) {
	for i, n := range d.Nodes {
		at := fmt.Sprintf("%s.nodes[%d]", place, i)
		if len(n.In) < least {
			f.add(at, "has no edge")
		}
		for j, e := range n.In {
			at := fmt.Sprintf("%s[%d]", at, j)
			if e.From < 0 || e.From >= i+Inputs {
				f.add(at, "reads state %d; it may read 0 to %d", e.From, i+Inputs-1)
			} else if e.From >= Inputs && len(d.Nodes[e.From-Inputs].In) == 0 {
				f.add(at, "reads state %d, which has no edge", e.From)
			}
			if !known(e.Op) {
				f.add(at, "has the operation %q, which is unknown here", e.Op)
			}
		}
	}
	if len(d.Out) == 0 {
		f.add(place+".out", "is missing")
	}
	for i, s := range d.Out {
		at := fmt.Sprintf("%s.out[%d]", place, i)
		switch {
		case s < Inputs || s >= Inputs+len(d.Nodes):
			f.add(at, "is state %d; the nodes are %d to %d", s, Inputs, Inputs+len(d.Nodes)-1)
		case len(d.Nodes[s-Inputs].In) == 0:
			f.add(at, "is state %d, which has no edge", s)
		case slices.Contains(d.Out[:i], s):
			f.add(at, "is state %d a second time", s)
		}
	}
}

// faults are those of one document, each with its place.
type faults []error

func (f *faults) add(place, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s %s", place, fmt.Sprintf(format, args...)))
}

// Combine puts the stages of one genotype over the cells of another. Where the cells are
// stage-specific, "normal" in stage s stands for normal{s} and "reduce" for reduce{s}.
func Combine(cells, stages Genotype) (Genotype, error) {
	if len(cells.Cells) == 0 {
		return Genotype{}, fmt.Errorf("genotype %s has no cells to put stages over", cells.Name)
	}
	if len(stages.Stages) == 0 {
		return Genotype{}, fmt.Errorf("genotype %s has no stages to put over cells", stages.Name)
	}
	g := Genotype{Version: Version, Name: cells.Name + "+" + stages.Name, Cells: cells.Cells}
	g.Source = strings.Join(slices.DeleteFunc([]string{cells.Source, stages.Source}, func(s string) bool { return s == "" }), "; ")
	var f faults
	for i, s := range stages.Stages {
		own := func(place string, name *string) {
			if specific := fmt.Sprintf("%s%d", *name, i+1); *name != "" && !g.has([]string{*name}) && g.has([]string{specific}) {
				*name = specific
			}
			if *name != "" {
				g.refers(&f, fmt.Sprintf("stages[%d].%s", i, place), *name)
			}
		}
		own("cell", &s.Cell)
		own("reduce", &s.Reduce)
		g.Stages = append(g.Stages, s)
	}
	if err := errors.Join(f...); err != nil {
		return Genotype{}, fmt.Errorf("%s: %w", g.Name, err)
	}
	return g, nil
}
