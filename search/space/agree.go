package space

import (
	"fmt"

	"hdas/models/genotype"
)

// Agreement is how far two genotypes of a space are the same, from 0 to 1: of the edges that they
// have in what was searched, the share that both have, with the same states and operation.
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

// Of is the DAG that d has become in g.
func (d DAG) Of(g genotype.Genotype) genotype.DAG {
	if d.Stages != nil {
		return g.Stages[d.Stages[0]].DAG
	}
	return g.Cells[d.Name]
}

// edges are those of a DAG by node, state and operation; of equal ones, each counts.
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
