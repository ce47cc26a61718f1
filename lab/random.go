package lab

import (
	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
)

// Random returns n genotypes named random-1, random-2 and so on, drawn uniformly from the space of a
// search.
func Random(c configs.Search, n int) ([]genotype.Genotype, error) {
	s, err := c.Search.Space()
	if err != nil {
		return nil, &ConfigError{err}
	}
	return s.Draws(n, c.Seed, ops.IsNull)
}
