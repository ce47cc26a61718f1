package genotype

import (
	"fmt"
	"slices"
)

// Any is the operation of an undecided edge: one that is to be searched and is a mixture of all
// candidates in the supernet. Genotype files cannot contain it.
const Any = ""

// Undecided reports whether d has an undecided edge.
func (d DAG) Undecided() bool {
	return slices.ContainsFunc(d.Nodes, func(n Node) bool {
		return slices.ContainsFunc(n.In, func(e Edge) bool { return e.Op == Any })
	})
}

// StageDAG returns the name of the DAG of stage i, counted from 0, among the names of all cells and
// stages: "stage1" for stage 0.
func StageDAG(i int) string { return fmt.Sprintf("stage%d", i+1) }

// Candidates lists what a search can choose for the undecided edges and outputs of a genotype.
type Candidates struct {
	Cell, Stage []string // operations of an undecided edge, in the order of alpha's columns
	// MinCells, if not 0, makes the number of cells in a stage searchable: candidate outputs are any two
	// consecutive cells k-1 and k, counted from 1, with k at least MinCells.
	MinCells int
	Shared   bool // all stages have the same DAG and alphas
	// PartialChannels is K of PC-DARTS: 1/K of a cell's channels goes through the candidate operations,
	// the others bypass them. 0 and 1 mean all channels.
	PartialChannels int64
}

// StageDAG returns the name of the DAG whose alphas stage i, counted from 0, uses.
func (c Candidates) StageDAG(i int) string {
	if c.Shared {
		i = 0
	}
	return StageDAG(i)
}
