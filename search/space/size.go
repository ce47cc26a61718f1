package space

import "math/big"

// Size is the number of genotypes that may be found, exactly: for each node the pairs of its edges
// times the square of the operations that are not null; for each stage, where the distribution of
// cells is searched, the sum over the numbers of cells that it may keep.
func (s Space) Size(null func(op string) bool) *big.Int {
	total := big.NewInt(1)
	for _, d := range s.DAGs() {
		all := new(big.Int)
		for _, n := range s.sizes(d, null) {
			all.Add(all, n)
		}
		total.Mul(total, all)
	}
	return total
}

// sizes are the numbers of DAGs that d may become, by the candidate outputs.
func (s Space) sizes(d DAG, null func(op string) bool) []*big.Int {
	ops := int64(0)
	for _, op := range d.Ops {
		if !null(op) {
			ops++
		}
	}
	first := len(d.Nodes) // the least number of nodes
	if d.Stages != nil && s.MinCells > 0 {
		first = s.MinCells
	}
	var sizes []*big.Int
	n := big.NewInt(1)
	for i, node := range d.Nodes {
		edges, kept := int64(len(node.In)), min(Keep, int64(len(node.In)))
		ways := new(big.Int).Binomial(edges, kept)
		n.Mul(n, ways.Mul(ways, new(big.Int).Exp(big.NewInt(ops), big.NewInt(kept), nil)))
		if i+1 >= first {
			sizes = append(sizes, new(big.Int).Set(n))
		}
	}
	return sizes
}
