// Package genotype is the architecture as data: cells and stages, which are DAGs of one type. It
// holds no size, no tensor and no arithmetic of networks.
package genotype

import (
	"cmp"
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
	Version  int
	Name     string
	Source   string // where it comes from
	Reported Reported
	Cells    map[string]DAG
	Stages   []Stage
}

// Reported is what was published of the network that a genotype makes. The zero value is nothing.
type Reported struct {
	CIFAR10  float64 // test error in percent, above 0; 0: none is known
	ImageNet float64 // top-1 error in percent, above 0; 0: none is known
	Source   string  // who reports that, of which network; why a figure is missing
}

// DAG is a cell, whose nodes sum their edges, or a stage, whose nodes are cells.
type DAG struct {
	Nodes []Node
	Out   []int // the states whose concatenation is the output
}

// Node is what reads earlier states. The order of its edges counts: parameters are named by it.
type Node struct{ In []Edge }

// Edge runs an operation on an earlier state. Two edges of a node may read the same one.
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

// CellNames are the keys of Cells in the order in which data meets them: those of the first stage,
// then those of the second, and so on; normal1, reduce1, normal2.
func (g Genotype) CellNames() []string {
	return slices.SortedFunc(maps.Keys(g.Cells), func(a, b string) int {
		digits := func(s string) string { return s[len(strings.TrimRight(s, "0123456789")):] }
		m, n := digits(a), digits(b)
		return cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n), cmp.Compare(a, b))
	})
}

// has reports whether all those cells are there.
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

// equal reports whether both have the same edges, in the same order, and outputs.
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
