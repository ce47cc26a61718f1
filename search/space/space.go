// Package space says what a search may find, and reads the genotype off what it found. It makes
// no tensors.
package space

import (
	"fmt"
	"maps"
	"slices"

	"hdas/models/genotype"
)

// Space is a dense genotype: every candidate edge is in it, and those to be decided have the
// operation genotype.Any.
type Space struct {
	Dense       genotype.Genotype
	Cell, Stage []string // candidate operations of an undecided edge, in the order of alpha's columns
	// MinCells, where not 0, lets a stage end with any two neighbours from cells MinCells-1 and
	// MinCells on, counted from 1: the search for the distribution of cells.
	MinCells int
}

// ChainCells are the names of the cells of a chain: stage-specific as in Hc-DAS, or DARTS' two.
func ChainCells(specific bool) []string {
	if specific {
		return []string{"normal1", "reduce1", "normal2", "reduce2", "normal3"}
	}
	return []string{"normal", "reduce"}
}

// Cells is the space of the cells of those names, each with that many nodes, which may read every
// state before them.
func Cells(names []string, nodes int, ops []string) Space {
	s := Space{Dense: genotype.Genotype{Version: 1, Name: "cells", Cells: map[string]genotype.DAG{}}, Cell: ops}
	for _, name := range names {
		s.Dense.Cells[name] = dense(nodes, nodes+1, seq(genotype.Inputs, nodes))
	}
	return s
}

// Stages is the space of stages of that many cells each. Cell i, from 0, may read the `window`
// states before it, states 0 and 1 being the stage's inputs, and the first cell both (Rule 3);
// the output is the last two cells (Rule 2).
func Stages(cells genotype.Genotype, lengths []int, window int, ops []string) (Space, error) {
	s := Space{Stage: ops}
	g := genotype.Genotype{Version: 1, Name: "stages"}
	for i, n := range lengths {
		if n < 2 {
			return s, fmt.Errorf("stage %d of %d cells has no last two; at least 2", i+1, n)
		}
		if window < 2 || window > n+1 {
			return s, fmt.Errorf("window %d is not in 2..%d for a stage of %d cells", window, n+1, n)
		}
		stage := genotype.Stage{Cell: "normal", DAG: dense(n, window, []int{n, n + 1})}
		if i < len(lengths)-1 {
			stage.Reduce = "reduce"
		}
		g.Stages = append(g.Stages, stage)
	}
	cells.Stages = nil
	var err error
	s.Dense, err = genotype.Combine(cells, g)
	return s, err
}

// Distribution is the space of how many cells each stage keeps: at least `least` of as many as
// lengths gives it.
func Distribution(cells genotype.Genotype, lengths []int, least, window int, ops []string) (Space, error) {
	s, err := Stages(cells, lengths, window, ops)
	if err != nil {
		return s, err
	}
	for i, n := range lengths {
		if least < 2 || least > n {
			return s, fmt.Errorf("min_cells %d is not in 2..%d, the cells of stage %d", least, n, i+1)
		}
	}
	s.MinCells = least
	return s, nil
}

// dense is a DAG whose node i has an undecided edge from each of the `window` states before it.
func dense(nodes, window int, out []int) genotype.DAG {
	d := genotype.DAG{Out: out}
	for i := range nodes {
		var n genotype.Node
		for from := max(0, i+genotype.Inputs-window); from < i+genotype.Inputs; from++ {
			n.In = append(n.In, genotype.Edge{From: from, Op: genotype.Any})
		}
		d.Nodes = append(d.Nodes, n)
	}
	return d
}

func seq(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}

// DAGs are the undecided DAGs by name, with their candidates: cells by their names, stages as
// genotype.StageDAG names them. Names are in a fixed order.
func (s Space) DAGs() []DAG {
	var dags []DAG
	for _, name := range slices.Sorted(maps.Keys(s.Dense.Cells)) {
		if d := s.Dense.Cells[name]; d.Undecided() {
			dags = append(dags, DAG{Name: name, DAG: d, Ops: s.Cell, Stage: -1})
		}
	}
	for i, stage := range s.Dense.Stages {
		if stage.Undecided() {
			dags = append(dags, DAG{Name: genotype.StageDAG(i), DAG: stage.DAG, Ops: s.Stage, Stage: i})
		}
	}
	return dags
}

// DAG is one undecided DAG of a space.
type DAG struct {
	Name string
	genotype.DAG
	Ops   []string // a column of alpha each
	Stage int      // its number from 0; -1 for a cell
}

// Rows is the number of its edges, a row of alpha each.
func (d DAG) Rows() int {
	n := 0
	for _, node := range d.Nodes {
		n += len(node.In)
	}
	return n
}

// Pairs is how many outputs a stage of n cells may choose from: one, unless the distribution of
// cells is searched.
func (s Space) Pairs(n int) int {
	if s.MinCells == 0 {
		return 1
	}
	return n - s.MinCells + 1
}
