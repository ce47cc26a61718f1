package space

import "math/big"

// Size returns the exact number of genotypes in the space. A node contributes the number of pairs of
// its edges times the square of the number of operations that are not null. A stage whose number of
// cells is searched contributes the sum over all numbers of cells that it may keep.
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

// sizes returns how many DAGs can be derived from d, for each candidate output.
func (s Space) sizes(d DAG, null func(op string) bool) []*big.Int {
	ops := int64(0)
	for _, op := range d.Ops {
		if !null(op) {
			ops++
		}
	}
	first := len(d.Nodes) // the smallest number of nodes
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
