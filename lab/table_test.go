package lab

import (
	"math"
	"slices"
	"testing"

	"hdas/models/genotype"
)

// The mean of an epoch is over the searches that have it.
func TestMeans(t *testing.T) {
	network := func(cells int) (g genotype.Genotype) {
		g.Stages = make([]genotype.Stage, 2)
		g.Stages[1].Nodes = make([]genotype.Node, cells)
		return g
	}
	searches := [][]genotype.Genotype{{network(2), network(5)}, {network(3)}}
	list := means(searches, func(g genotype.Genotype) float64 { return float64(g.Lengths()[1]) })
	if !slices.Equal(list, []float64{2.5, 5}) {
		t.Error(list)
	}
}

// Kendall's tau and the interval of a mean are those of scipy 1.17.1: kendalltau (tau-b), and t.interval.
func TestKendall(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		tau  float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, 0.6666666666666669},
		{[]float64{3.1, 2.9, 2.6, 2.6, 2.4}, []float64{2.5, 2.5, 2.6, 2.7, 2.4}, 0},
		{[]float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		{[]float64{1, 1, 2, 2, 3}, []float64{1, 2, 2, 3, 3}, 0.7499999999999999},
		{[]float64{1, 1}, []float64{1, 2}, 0},
	} {
		if tau := kendall(c.a, c.b); math.Abs(tau-c.tau) > 1e-12 {
			t.Errorf("%v and %v: %v, not %v", c.a, c.b, tau, c.tau)
		}
	}
	if low, high := spreadOf([]float64{2.41, 2.55, 2.38, 2.6}).Interval(); math.Abs(low-2.3153524268340697) > 1e-9 || math.Abs(high-2.65464757316593) > 1e-9 {
		t.Errorf("%v to %v", low, high)
	}
}
