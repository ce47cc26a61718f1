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
