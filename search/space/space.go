// Package space says what a search may find, how many genotypes that is, and reads the genotype off
// what it found. It makes no tensors.
package space

import (
	"hdas/setting"
	"maps"
	"slices"

	"hdas/models/genotype"
)

// Space is a dense genotype: every candidate edge is in it, and those to be decided have the
// operation genotype.Any.
type Space struct {
	Dense genotype.Genotype
	genotype.Candidates
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
	s := Space{Dense: genotype.Genotype{Version: 1, Name: "cells", Cells: map[string]genotype.DAG{}}, Candidates: genotype.Candidates{Cell: ops}}
	for _, name := range names {
		s.Dense.Cells[name] = dense(nodes, nodes+1, seq(genotype.Inputs, nodes))
	}
	return s
}

// Fixed is the space of nothing but those cells.
func Fixed(cells genotype.Genotype) Space {
	cells.Stages = nil
	return Space{Dense: cells}
}

// Under is the space of stages of so many cells each over the cells of s, themselves decided or not.
// Cell i of a stage, from 0, may read as many states before it as the window has, states 0 and 1
// being the stage's inputs, and the first cell both (Rule 3). The output of a stage is its last two
// cells (Rule 2). Of c all counts but Cell and PartialChannels.
func (s Space) Under(lengths []int, window int, c genotype.Candidates) (Space, error) {
	s.Stage, s.MinCells, s.Shared = c.Stage, c.MinCells, c.Shared
	g := genotype.Genotype{Version: 1, Name: "stages"}
	for i, n := range lengths {
		if err := check(lengths, window, c, i); err != nil {
			return s, err
		}
		stage := genotype.Stage{Cell: "normal", DAG: dense(n, window, []int{n, n + 1})}
		if i < len(lengths)-1 {
			stage.Reduce = "reduce"
		}
		g.Stages = append(g.Stages, stage)
	}
	var err error
	s.Dense, err = genotype.Combine(s.Dense, g)
	return s, err
}

// maxCells is the most cells of a stage.
const maxCells = 1000

// check returns the first fault of stage i, with the key that a search's setting has.
func check(lengths []int, window int, c genotype.Candidates, i int) error {
	var f setting.Faults
	n := lengths[i]
	f.Check(n >= 2, "lengths", lengths, "has a stage of %d cells, which has no last two; at least 2", n)
	f.Check(n <= maxCells, "lengths", lengths, "has a stage of %d cells; at most %d", n, maxCells)
	f.Check(!c.Shared || n == lengths[0], "lengths", lengths, "differ, but shared stages are one and the same DAG")
	f.Check(window >= 2 && window <= n+1, "window", window, "is not in 2..%d for a stage of %d cells", n+1, n)
	f.Check(c.MinCells == 0 || c.MinCells >= 2 && c.MinCells <= n, "min_cells", c.MinCells, "is not in 2..%d, the cells of stage %d", n, i+1)
	if len(f) > 0 {
		return f[0]
	}
	return nil
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
			dags = append(dags, DAG{Name: name, DAG: d, Ops: s.Cell})
		}
	}
	for i, stage := range s.Dense.Stages {
		switch last := len(dags) - 1; {
		case !stage.Undecided():
		case s.Shared && i > 0:
			dags[last].Stages = append(dags[last].Stages, i)
		default:
			dags = append(dags, DAG{Name: genotype.StageDAG(i), DAG: stage.DAG, Ops: s.Stage, Stages: []int{i}})
		}
	}
	return dags
}

// DAG is one undecided DAG of a space.
type DAG struct {
	Name string
	genotype.DAG
	Ops    []string // a column of alpha each
	Stages []int    // the stages that it is, from 0; none for a cell
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
