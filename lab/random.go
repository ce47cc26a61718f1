package lab

import (
	"fmt"
	"math/rand/v2"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
)

// Random returns n genotypes named random-1, random-2 and so on, drawn uniformly from the space of a
// search.
func Random(c configs.Search, n int) ([]genotype.Genotype, error) {
	s, err := c.Search.Space()
	if err != nil {
		return nil, &ConfigError{err}
	}
	return draws(s, n, c.Seed)
}

func draws(s space.Space, n int, seed uint64) ([]genotype.Genotype, error) {
	r := generator(seed)
	var drawn []genotype.Genotype
	for i := range n {
		g, err := s.Random(fmt.Sprintf("random-%d", i+1), r, ops.IsNull)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, g)
	}
	return drawn, nil
}

// generator returns the random number generator for drawing genotypes.
func generator(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x72616e646f6d)) // "random"
}
