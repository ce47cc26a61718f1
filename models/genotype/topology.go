package genotype

import "math/big"

// Topology holds statistics of the paths through a stage. A path leads along edges from one of the two
// inputs to a cell of the output; its length is its number of cells. Two edges between the same states
// make two paths. A path that reaches a cell of the output is counted there; longer paths through this
// cell to another cell of the output are counted as well. Counted like this, the lengths equal those
// below Figure 8 of the H-DAS paper.
type Topology struct {
	Cells   int     `json:"cells"`
	Dead    int     `json:"dead"`         // number of cells without a path to the output
	Longest int     `json:"longest_path"` // length of the longest path
	Mean    float64 `json:"mean_path"`    // mean length of all paths; 0 if there are none
}

// Dead returns the states of the nodes without a path to the output, in ascending order. The DAG must
// be valid.
func (d DAG) Dead() []int {
	alive := make([]bool, Inputs+len(d.Nodes))
	for _, s := range d.Out {
		alive[s] = true
	}
	for i := len(d.Nodes) - 1; i >= 0; i-- {
		for _, e := range d.Nodes[i].In {
			alive[e.From] = alive[e.From] || alive[i+Inputs]
		}
	}
	var dead []int
	for i := range d.Nodes {
		if !alive[i+Inputs] {
			dead = append(dead, i+Inputs)
		}
	}
	return dead
}

// Topology returns the path statistics of d, which must be valid. It takes time proportional to the
// number of edges.
func (d DAG) Topology() Topology {
	t := Topology{Cells: len(d.Nodes), Dead: len(d.Dead())}
	// Of the paths that end at a state: their number, the sum of their lengths, the largest length.
	type paths struct {
		n, cells big.Float
		longest  int
	}
	// The number of paths doubles with every cell of a densely connected stage and exceeds uint64 and
	// float64. big.Float with 128 bits keeps it exact up to 2^128, and has an exponent of 32 bits.
	number := func() big.Float { return *new(big.Float).SetPrec(128) }
	at := make([]paths, Inputs+len(d.Nodes))
	for s := range at {
		at[s].n, at[s].cells = number(), number()
	}
	for s := range Inputs {
		at[s].n.SetInt64(1)
	}
	for i, node := range d.Nodes {
		p := &at[i+Inputs]
		for _, e := range node.In {
			from := &at[e.From]
			p.n.Add(&p.n, &from.n)
			p.cells.Add(&p.cells, &from.cells)
			if from.n.Sign() > 0 {
				p.longest = max(p.longest, from.longest+1)
			}
		}
		p.cells.Add(&p.cells, &p.n)
	}
	n, cells := number(), number()
	for _, s := range d.Out {
		if s < Inputs {
			continue // a path from an input to itself has no cell
		}
		n.Add(&n, &at[s].n)
		cells.Add(&cells, &at[s].cells)
		t.Longest = max(t.Longest, at[s].longest)
	}
	if n.Sign() > 0 {
		t.Mean, _ = cells.Quo(&cells, &n).Float64()
	}
	return t
}
