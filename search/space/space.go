// Package space describes search spaces: which genotypes a search can find, how many there are, and
// which one the architecture parameters select. It makes no tensors.
package space

import (
	"hdas/setting"
	"maps"
	"slices"

	"hdas/models/genotype"
)

// Space is a search space, given as a dense genotype and the candidate operations. The dense genotype
// holds every candidate edge; an edge that is searched has the operation genotype.Any.
type Space struct {
	Dense genotype.Genotype
	genotype.Candidates
}

// ChainCells returns the names of the cells of a chain: five stage-specific ones as in Hc-DAS, or the
// two of DARTS.
func ChainCells(specific bool) []string {
	if specific {
		return []string{"normal1", "reduce1", "normal2", "reduce2", "normal3"}
	}
	return []string{"normal", "reduce"}
}

// Cells returns the space of cells with those names and that many nodes. A node may read every state
// before it. ops are the candidate operations.
func Cells(names []string, nodes int, ops []string) Space {
	s := Space{Dense: genotype.Genotype{Version: 1, Name: "cells", Cells: map[string]genotype.DAG{}}, Candidates: genotype.Candidates{Cell: ops}}
	for _, name := range names {
		s.Dense.Cells[name] = dense(nodes, nodes+1, seq(genotype.Inputs, nodes))
	}
	return s
}

// Fixed returns the space in which the cells are given and nothing is searched.
func Fixed(cells genotype.Genotype) Space {
	cells.Stages = nil
	return Space{Dense: cells}
}

// Under returns the space of stages made of the cells of s, which may be given or searched. lengths
// are the numbers of cells of the stages. A cell may read the window states before it, where states 0
// and 1 are the inputs of the stage (Rule 3). A stage outputs its last two cells (Rule 2). c gives the
// candidates of the stages; its Cell and PartialChannels are not used. A value that is out of range
// is a setting.Fault.
func (s Space) Under(lengths []int, window int, c genotype.Candidates) (Space, error) {
	s.Stage, s.MinCells, s.Shared = c.Stage, c.MinCells, c.Shared
	edges := 0
	g := genotype.Genotype{Version: 1, Name: "stages"}
	for i, n := range lengths {
		if err := check(lengths, window, c, i); err != nil {
			return s, err
		}
		var f setting.Faults
		edges += n * window
		if f.Check(edges <= maxEdges, "lengths", lengths, "have more than %d edges with window=%d", maxEdges, window); len(f) > 0 {
			return s, f[0]
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

const (
	maxCells = 1000    // of a stage
	maxEdges = 1 << 17 // of all stages
)

// check returns the first fault of stage i, under the key of the search's configuration.
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

// dense returns a DAG whose node i has an undecided edge from each of the `window` states before it.
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

// DAGs returns the undecided DAGs with their names and candidate operations: first the cells, sorted
// by name, then the stages, named by genotype.StageDAG.
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
	Ops    []string // candidate operations, one for each column of alpha
	Stages []int    // the stages that have this DAG, from 0; empty for a cell
}

// Rows returns the number of edges, which is the number of rows of alpha.
func (d DAG) Rows() int {
	n := 0
	for _, node := range d.Nodes {
		n += len(node.In)
	}
	return n
}

// Pairs returns the number of candidate outputs of a stage of n cells: 1, unless the distribution of
// cells is searched.
func (s Space) Pairs(n int) int {
	if s.MinCells == 0 {
		return 1
	}
	return n - s.MinCells + 1
}
