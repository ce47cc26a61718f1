package space

import (
	"fmt"
	"math/big"
	"math/rand/v2"

	"hdas/models/genotype"
)

// Draws returns n genotypes named random-1, random-2 and so on, drawn as Random does. The same seed gives the same ones.
func (s Space) Draws(n int, seed uint64, null func(op string) bool) ([]genotype.Genotype, error) {
	r := Generator(seed)
	var drawn []genotype.Genotype
	for i := range n {
		g, err := s.Random(fmt.Sprintf("random-%d", i+1), r, null)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, g)
	}
	return drawn, nil
}

// Generator returns the random number generator for drawing genotypes.
func Generator(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x72616e646f6d)) // "random"
}

// Random returns a genotype that is drawn uniformly from all genotypes of the space. Each node gets two
// different edges, each with an operation that is not null. Where the distribution of cells is
// searched, a stage gets n cells with a probability proportional to the number of stages with n
// cells, so that nearly all stages have the largest number of cells.
func (s Space) Random(name string, r *rand.Rand, null func(op string) bool) (genotype.Genotype, error) {
	p := Parameters{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	for _, d := range s.DAGs() {
		// The operation of an edge and the value of the edge are drawn independently of each other. So
		// every pair of edges and every operation is equally likely.
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
			p.Alpha[d.Name] = append(p.Alpha[d.Name], row)
		}
		if s.MinCells > 0 && d.Stages != nil {
			beta := make([]float64, s.Pairs(len(d.Nodes)))
			beta[pick(r, s.sizes(d, null))] = 1
			p.Beta[d.Name] = beta
		}
	}
	g, err := s.Derive(name, p, Rules{Null: null, MaxSkips: -1})
	g.Source = "drawn at random"
	return g, err
}

// pick returns a random index; the probability of an index is proportional to its weight.
func pick(r *rand.Rand, weights []*big.Int) int {
	total := new(big.Int)
	for _, w := range weights {
		total.Add(total, w)
	}
	// A random number of 64 bits more than the total makes the remainder uniform to one part in 2^64.
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
