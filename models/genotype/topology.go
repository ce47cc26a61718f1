package genotype

import "math/big"

// Topology is what the connections of a stage come to. A path runs along edges from either input to
// a cell of the output; it is as long as it has cells. Paths differ in their edges: two edges
// between the same states make two paths. One that reaches a cell of the output ends there, and is
// also the beginning of those that go on through it to another. This way of counting gives the
// lengths that the paper prints below its Figure 8.
type Topology struct {
	Cells   int     `json:"cells"`
	Dead    int     `json:"dead"`         // cells without a path to the output
	Longest int     `json:"longest_path"` // cells on the longest path
	Mean    float64 `json:"mean_path"`    // cells on a path, over all of them; 0 without any
}

// Dead are the states of the nodes without a path to the output, in ascending order. The DAG has to
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

// Topology counts the paths of a valid DAG, in time proportional to its edges.
func (d DAG) Topology() Topology {
	t := Topology{Cells: len(d.Nodes), Dead: len(d.Dead())}
	// Of the paths that end at a state: how many, how many cells on them all, how many on the longest.
	type paths struct {
		n, cells big.Float
		longest  int
	}
	// Counts double with every cell of a dense stage, beyond uint64 and float64; the precision keeps
	// them exact up to 2^128, and the exponent of a big.Float has 32 bits.
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
			continue // what an input hands on passes through no cell
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
