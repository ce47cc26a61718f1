// Package genotype represents an architecture as data: its cells and stages, which are DAGs of the same
// type. Sizes of networks are not part of it (see package plan), and it makes no tensors.
package genotype

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Version is the version of the YAML format that Encode writes.
const Version = 1

// Inputs is the number of inputs of every DAG. They are its states 0 and 1; node i is state i+Inputs.
const Inputs = 2

// Genotype is an architecture. Without Stages it is a chain: cells stacked in a row, all of them
// "normal" except two "reduce"; or stage-specific cells (normal1, reduce1, normal2, reduce2, normal3).
// Without Cells it holds only the connections of stages, which Combine joins with cells.
type Genotype struct {
	Version  int
	Name     string
	Source   string // where the genotype comes from, such as a paper
	Reported Reported
	Cells    map[string]DAG
	Stages   []Stage
}

// Reported holds published results of a genotype's network. The zero value means that there are none.
type Reported struct {
	CIFAR10  float64 // test error in percent; 0 if none is known
	ImageNet float64 // top-1 error in percent; 0 if none is known
	Source   string  // who reports it, for which network, and why a value is missing
}

// DAG is a cell or a stage. A node of a cell is the sum of its edges; a node of a stage is a cell.
type DAG struct {
	Nodes []Node
	Out   []int // the states whose concatenation is the output
}

// Node reads earlier states through its edges. Their order matters, because the names of parameters
// contain it.
type Node struct{ In []Edge }

// Edge applies an operation to an earlier state. Two edges of a node may read the same state.
type Edge struct {
	From int
	Op   string
}

// Stage is a DAG of cells and the reduction cell after it.
type Stage struct {
	Cell string // the name of the cell that every node is
	DAG
	Reduce string // the name of the reduction cell after the stage; empty for the last stage
}

// Lengths returns the number of cells of each stage; nil for a chain.
func (g Genotype) Lengths() (list []int) {
	for _, s := range g.Stages {
		list = append(list, len(s.Nodes))
	}
	return list
}

// CellNames returns the keys of Cells in the order of the network, from the first stage to the last:
// normal1, reduce1, normal2, ...
func (g Genotype) CellNames() []string {
	return slices.SortedFunc(maps.Keys(g.Cells), func(a, b string) int {
		digits := func(s string) string { return s[len(strings.TrimRight(s, "0123456789")):] }
		m, n := digits(a), digits(b)
		return cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n), cmp.Compare(a, b))
	})
}

// has reports whether g has all these cells.
func (g Genotype) has(cells ...string) bool { return len(g.lacks(cells)) == 0 }

func (g Genotype) lacks(cells []string) []string {
	var missing []string
	for _, name := range cells {
		if _, ok := g.Cells[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// equal reports whether both DAGs have the same edges, in the same order, and the same outputs.
func (d DAG) equal(e DAG) bool {
	return slices.Equal(d.Out, e.Out) &&
		slices.EqualFunc(d.Nodes, e.Nodes, func(a, b Node) bool { return slices.Equal(a.In, b.In) })
}

func (d DAG) clone() DAG {
	d.Out, d.Nodes = slices.Clone(d.Out), slices.Clone(d.Nodes)
	for i := range d.Nodes {
		d.Nodes[i].In = slices.Clone(d.Nodes[i].In)
	}
	return d
}
