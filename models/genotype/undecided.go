package genotype

import (
	"fmt"
	"slices"
)

// Any is the operation of an edge that is still to be searched: a mixture of all candidates. No
// genotype file holds it.
const Any = ""

// Undecided reports whether an operation of d is still to be searched.
func (d DAG) Undecided() bool {
	return slices.ContainsFunc(d.Nodes, func(n Node) bool {
		return slices.ContainsFunc(n.In, func(e Edge) bool { return e.Op == Any })
	})
}

// StageDAG is the name of stage i's DAG, from 0, where names of cells and stages stand together.
func StageDAG(i int) string { return fmt.Sprintf("stage%d", i+1) }

// Candidates say what the undecided edges and outputs of a genotype may become.
type Candidates struct {
	Cell, Stage []string // operations of an undecided edge, in the order of alpha's columns
	// MinCells, where not 0, lets a stage end with any two neighbours from cells MinCells-1 and
	// MinCells on, counted from 1: the search for the distribution of cells.
	MinCells int
	Shared   bool // all stages are one DAG
	// PartialChannels: one in so many of a cell's channels is mixed, the others pass by (PC-DARTS);
	// 0 and 1: all are mixed.
	PartialChannels int64
}

// StageDAG is the name of the DAG that stage i, from 0, is searched as.
func (c Candidates) StageDAG(i int) string {
	if c.Shared {
		i = 0
	}
	return StageDAG(i)
}
