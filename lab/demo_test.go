package lab

import (
	"testing"

	"hdas/configs"
	"hdas/models/genotype"
)

// The demo's random network has the stages' lengths of what was found, and cells of its own.
func TestRandomLike(t *testing.T) {
	stages := configs.DefaultSearchSection(configs.StageSearch)
	stages.Lengths = []int{3, 2, 4}
	g, err := randomLike(stages, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(genotype.Ops{}); err != nil {
		t.Error(err)
	}
	for i, n := range stages.Lengths {
		if len(g.Stages[i].Nodes) != n {
			t.Errorf("stage %d has %d cells, not %d", i+1, len(g.Stages[i].Nodes), n)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, values := range map[Spread][]float64{{}: nil, {Mean: 5, N: 1}: {5}, {Mean: 2, SD: 1, N: 3}: {1, 2, 3}} {
		if got := spreadOf(values); got != want {
			t.Errorf("%v have %+v", values, got)
		}
	}
}
