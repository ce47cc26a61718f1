package space

import (
	"fmt"

	"hdas/models/genotype"
)

// Agreement returns the similarity of two genotypes of the space, in [0,1]: the share of their edges,
// in the searched DAGs, that occur in both with the same node, state and operation.
func (s Space) Agreement(a, b genotype.Genotype) float64 {
	both, all := 0, 0
	for _, d := range s.DAGs() {
		in := map[string]bool{}
		x, y := d.Of(a), d.Of(b)
		for key := range edges(x) {
			in[key] = true
			all++
		}
		for key := range edges(y) {
			all++
			if in[key] {
				both += 2
			}
		}
	}
	if all == 0 {
		return 1
	}
	return float64(both) / float64(all)
}

// Of returns the DAG of genotype g in the place of d.
func (d DAG) Of(g genotype.Genotype) genotype.DAG {
	if d.Stages != nil {
		return g.Stages[d.Stages[0]].DAG
	}
	return g.Cells[d.Name]
}

// edges returns the edges of a DAG as texts of node, state and operation. Equal edges get different
// texts, so that each of them counts.
func edges(d genotype.DAG) map[string]bool {
	set := map[string]bool{}
	for i, n := range d.Nodes {
		for _, e := range n.In {
			key := fmt.Sprint(i, e.From, e.Op)
			for set[key] {
				key += "'"
			}
			set[key] = true
		}
	}
	return set
}
