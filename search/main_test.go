package search

import (
	"bytes"
	"errors"
	"hdas/configs"
	"hdas/models/plan"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

var tiny = layer.Shape{C: 3, H: 8, W: 8}

// little returns the settings of a search of that kind that is small enough for finite differences.
func little(t *testing.T, k configs.Kind) (configs.SearchSection, plan.Macro, space.Space) {
	t.Helper()
	c := littleSection(k, littleCells(t))
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Space()
	if err != nil {
		t.Fatal(err)
	}
	return c, macro(4, 5), s
}

// littleSection returns the settings of that search, with the cells of a file.
func littleSection(k configs.Kind, cells string) configs.SearchSection {
	c := configs.DefaultSearchSection(k)
	c.Nodes = 2
	c.CellPrimitives = []string{"none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3"}
	c.Lengths, c.MinCells, c.Cells = []int{3, 2, 3}, 2, cells
	if k == configs.DistributionSearch {
		c.Theta = configs.ThetaFLOPs
	}
	return c
}

// littleCells returns a file with a genotype of two cells of two nodes each.
func littleCells(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "little.yaml")
	if err := writeLittleCells(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func writeLittleCells(file string) error {
	cell := genotype.DAG{Out: []int{2, 3}, Nodes: []genotype.Node{
		{In: []genotype.Edge{{From: 0, Op: "skip_connect"}, {From: 1, Op: "sep_conv_3x3"}}},
		{In: []genotype.Edge{{From: 0, Op: "dil_conv_3x3"}, {From: 2, Op: "skip_connect"}}},
	}}
	g := genotype.Genotype{Version: 1, Name: "little", Cells: map[string]genotype.DAG{"normal": cell, "reduce": cell}}
	var text bytes.Buffer
	return errors.Join(g.Encode(&text), os.WriteFile(file, text.Bytes(), 0o600))
}

// learning calls f with a supernet for tiny images and its optimizers. It fails if a tensor is left.
func learning(t *testing.T, s space.Space, c configs.SearchSection, m plan.Macro, f func(b *Bilevel)) {
	t.Helper()
	within(t, func() {
		torch.Seed(7)
		n := supernetOf(t, s, c, m, tiny)
		defer n.Free()
		b := bilevel(n)
		defer b.Free()
		f(b)
	})
}

func sample(n int64) Sample {
	labels := make([]int64, n)
	for i := range labels {
		labels[i] = int64(i*7) % 10
	}
	return Sample{Images: torch.Randn(double, n, tiny.C, tiny.H, tiny.W), Labels: torchtest.Int64s(labels, n)}
}

// snapshot returns all weights and architecture parameters, with or without the running statistics.
func snapshot(n *Supernet, statistics bool) map[string][]float64 {
	all := map[string][]float64{}
	for _, s := range []*nn.Store{n.Weights, n.Arch.Store} {
		for p := range s.All() {
			if p.Trainable || statistics {
				all[p.Name] = p.Tensor.Float64s()
			}
		}
	}
	return all
}

func unchanged(t *testing.T, before, after map[string][]float64) {
	t.Helper()
	for name, was := range before {
		if !slices.Equal(was, after[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

func difference(a, b torch.Tensor) float64 {
	d, x, y := 0.0, a.Float64s(), b.Float64s()
	for i := range x {
		d = math.Max(d, math.Abs(x[i]-y[i]))
	}
	return d
}

func mustSpace(t *testing.T, c configs.SearchSection) space.Space {
	t.Helper()
	s, err := c.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
