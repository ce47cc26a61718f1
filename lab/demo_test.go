package lab

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"hdas/configs"
	"hdas/models/genotype"
)

// The demo's random networks have the stages' lengths of what was found, and cells of their own.
func TestRandomLike(t *testing.T) {
	cells, stages := configs.DefaultSearchSection(configs.CellSearch), configs.DefaultSearchSection(configs.StageSearch)
	cells.Nodes, stages.Lengths = 3, []int{3, 2, 4}
	list, size, err := randomLike(cells, stages, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for _, g := range list {
		if err := g.Validate(genotype.Ops{}); err != nil {
			t.Error(err)
		}
		if !slices.Equal(g.Lengths(), stages.Lengths) {
			t.Errorf("stages of %d cells, not %d", g.Lengths(), stages.Lengths)
		}
		for name, c := range g.Cells {
			if len(c.Nodes) != cells.Nodes {
				t.Errorf("%s has %d nodes, not %d", name, len(c.Nodes), cells.Nodes)
			}
		}
		texts[fmt.Sprint(g.Cells)], texts[fmt.Sprint(g.Stages)] = true, true
	}
	if len(list) != 3 || len(texts) != 6 {
		t.Errorf("%d networks with %d different cells and stages", len(list), len(texts))
	}
	if n, ok := new(big.Int).SetString(size.Size, 10); !ok || n.BitLen() < 64 {
		t.Errorf("%s genotypes", size.Size)
	}
}

func TestSpread(t *testing.T) {
	for want, values := range map[Spread][]float64{{}: nil, {Mean: 5, N: 1}: {5}, {Mean: 2, SD: 1, N: 3}: {1, 2, 3}} {
		if got := spreadOf(values); got != want {
			t.Errorf("%v have %+v", values, got)
		}
	}
}

// Welch's test gives the numbers of scipy 1.17.1: ttest_ind(a, b, equal_var=False) and its confidence_interval(0.95).
func TestDifference(t *testing.T) {
	for _, c := range []struct {
		a, b         []float64
		p, low, high float64
	}{
		{[]float64{0.97, 0.96, 0.975}, []float64{0.95, 0.962, 0.94}, 0.09269072319855715, -0.004902756108551561, 0.04023608944188478},
		{[]float64{1, 2, 3, 4}, []float64{2.5, 2.6}, 0.9432508067105736, -2.096743558768492, 1.9967435587684923},
		{[]float64{5, 5.1}, []float64{1, 1, 1.2, 0.9, 1}, 7.872135526115282e-06, 3.8120823749465074, 4.247917625053491},
	} {
		d := spreadOf(c.a).Minus(spreadOf(c.b))
		if d == nil {
			t.Fatalf("%v and %v have no difference", c.a, c.b)
		}
		for _, v := range [][2]float64{{d.P, c.p}, {d.Low, c.low}, {d.High, c.high}, {d.Mean, (c.low + c.high) / 2}} {
			if math.Abs(v[0]-v[1]) > 1e-9*math.Max(1, math.Abs(v[1])) {
				t.Errorf("%v and %v: %+v, not p %v in %v..%v", c.a, c.b, *d, c.p, c.low, c.high)
			}
		}
		if d.Clear() != (c.low > 0 || c.high < 0) {
			t.Errorf("%v and %v: %+v", c.a, c.b, *d)
		}
	}
	for _, pair := range [][2]Spread{{{Mean: 1, N: 1}, {Mean: 2, SD: 1, N: 3}}, {{Mean: 1, SD: 1, N: 2}, {}}, {{Mean: 1, N: 2}, {Mean: 2, N: 3}}} {
		if d := pair[0].Minus(pair[1]); d != nil {
			t.Errorf("%+v: %+v", pair, *d)
		}
	}
}

func TestSpaceSize(t *testing.T) {
	for size, want := range map[string]string{"7": "7", "1234": "1,234", "282429536481": "282,429,536,481", "123456789012345": "123,456,789,012,345", "1076746950455072400": "1.08e+18"} {
		if got := (SpaceSize{"stage", size}).String(); got != "a stage space of "+want+" genotypes" {
			t.Errorf("%s: %s", size, got)
		}
	}
}
