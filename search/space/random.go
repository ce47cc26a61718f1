package space

import (
	"math/big"
	"math/rand/v2"

	"hdas/models/genotype"
)

// Random draws a genotype uniformly from all that may be found: for each node two different edges,
// on each an operation that is not null, and, where the distribution of cells is searched, each
// stage's number of cells, n with a probability in proportion to the stages of n cells that there
// are. Nearly all have the most cells, then.
func (s Space) Random(name string, r *rand.Rand, null func(op string) bool) (genotype.Genotype, error) {
	w := Weights{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	for _, d := range s.DAGs() {
		// Independent weights make every pair of edges and every operation equally likely, once an
		// edge's weight is drawn apart from its operation.
		for range d.Rows() {
			row := make([]float64, len(d.Ops))
			var choices []int
			for k, op := range d.Ops {
				if !null(op) {
					choices = append(choices, k)
				}
			}
			if len(choices) > 0 {
				row[choices[r.IntN(len(choices))]] = 1 + r.Float64()
			}
			w.Alpha[d.Name] = append(w.Alpha[d.Name], row)
		}
		if s.MinCells > 0 && d.Stages != nil {
			beta := make([]float64, s.Pairs(len(d.Nodes)))
			beta[pick(r, s.sizes(d, null))] = 1
			w.Beta[d.Name] = beta
		}
	}
	g, err := s.Derive(name, w, Rules{Null: null, MaxSkips: -1})
	g.Source = "drawn at random"
	return g, err
}

// pick draws an index with a probability in proportion to its weight.
func pick(r *rand.Rand, weights []*big.Int) int {
	total := new(big.Int)
	for _, w := range weights {
		total.Add(total, w)
	}
	// A draw of 64 bits more than the total makes the remainder uniform to one part in 2^64.
	at := new(big.Int)
	for at.BitLen() == 0 || at.BitLen() < total.BitLen()+64 {
		at.Lsh(at, 64).Or(at, new(big.Int).SetUint64(r.Uint64()))
	}
	at.Mod(at, total)
	for i, w := range weights {
		if at.Sub(at, w).Sign() < 0 {
			return i
		}
	}
	return len(weights) - 1
}
