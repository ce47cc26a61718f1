package search

import (
	"hdas/configs"
	"hdas/models/plan"
	"math"
	"slices"
	"strings"
	"testing"

	"hdas/internal/testseed"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// option is a value of a setting: its name, and the change of the configuration.
type option struct {
	name string
	set  func(*configs.SearchSection)
}

// choices lists the values of several settings; the first value of each is the default.
var choices = [][]option{
	{{"first order", func(*configs.SearchSection) {}}, {"second order", func(c *configs.SearchSection) { c.Order = configs.SecondOrder }}},
	{{"window 3", func(*configs.SearchSection) {}}, {"window 2", func(c *configs.SearchSection) { c.Window = 2 }}, {"window 4", func(c *configs.SearchSection) { c.Window = 4; c.Lengths = []int{3, 4, 3} }}},
	{{"lengths 3 2 3", func(*configs.SearchSection) {}}, {"shared", func(c *configs.SearchSection) { c.Shared, c.Lengths = true, []int{3, 3, 3} }}},
	{{"softmax depth", func(*configs.SearchSection) {}}, {"raw depth", func(c *configs.SearchSection) { c.DepthWeights = configs.DepthRaw }}, {"edge softmax depth", func(c *configs.SearchSection) { c.DepthWeights = configs.DepthEdgeSoftmax }}},
	{{"theta one", func(*configs.SearchSection) {}}, {"flops", func(c *configs.SearchSection) { c.Theta = configs.ThetaFLOPs }}, {"parameters", func(c *configs.SearchSection) { c.Theta = configs.ThetaParameters }}, {"latency", func(c *configs.SearchSection) { c.Theta = configs.ThetaLatency }}},
	{{"softmax derivation", func(*configs.SearchSection) {}}, {"raw derivation", func(c *configs.SearchSection) { c.Derivation = configs.DerivationRaw }}},
	{{"all channels", func(*configs.SearchSection) {}}, {"partial channels", func(c *configs.SearchSection) { c.PartialChannels = 2 }}},
	{{"edges free", func(*configs.SearchSection) {}}, {"edge normalization", func(c *configs.SearchSection) { c.EdgeNormalization = true }}},
	{{"any skips", func(*configs.SearchSection) {}}, {"no skips", func(c *configs.SearchSection) { c.MaxSkips = 0 }}, {"one skip", func(c *configs.SearchSection) { c.MaxSkips = 1 }}},
	{{"two cells", func(c *configs.SearchSection) { c.StageSpecific = false }}, {"five cells", func(c *configs.SearchSection) { c.StageSpecific = true }}},
	{{"with distribution", func(*configs.SearchSection) {}}, {"without", func(c *configs.SearchSection) {
		if c.Kind == configs.JointSearch {
			c.MinCells = 0
		}
	}}},
	{{"DARTS_V1", func(*configs.SearchSection) {}}, {"Hc", func(c *configs.SearchSection) { c.Cells = "Hc_DAS_cells" }}},
	{{"primitives", func(*configs.SearchSection) {}}, {"without none", func(c *configs.SearchSection) {
		c.StagePrimitives, c.CellPrimitives = []string{"skip_connect", "avg_pool_3x3"}, []string{"sep_conv_3x3", "skip_connect"}
	}}},
	{{"deltas", func(*configs.SearchSection) {}}, {"no depth", func(c *configs.SearchSection) { c.Delta, c.Gamma = 0, 0 }}},
	{{"no warm-up", func(*configs.SearchSection) {}}, {"warm-up", func(c *configs.SearchSection) { c.Alpha.Warmup = 2 }}},
}

// Options can be combined. The combinations come from a shuffled table that has every value at least once
// for every kind of search. An invalid combination is refused with a reason. For any other, three steps
// have finite losses and change the architecture, the gradient of the architecture equals central
// differences, and the network of the derived genotype can be built and has the planned size.
func TestOptionsTogether(t *testing.T) {
	for _, k := range configs.Kinds {
		t.Run(string(k), func(t *testing.T) {
			r := testseed.Rand(t, uint64(len(k)))
			// Row i takes value i of every choice, each choice shuffled by itself.
			const rows = 6
			var columns [][]option
			for _, c := range choices {
				column := make([]option, rows)
				for i := range column {
					column[i] = c[i%len(c)]
				}
				r.Shuffle(rows, func(i, j int) { column[i], column[j] = column[j], column[i] })
				columns = append(columns, column)
			}
			tried := 0
			for i := range rows {
				c, m, _ := little(t, k)
				var names []string
				for _, column := range columns {
					column[i].set(&c)
					names = append(names, column[i].name)
				}
				name := strings.Join(names, ", ")
				if err := c.Validate(); err != nil {
					if !refusal(err) {
						t.Errorf("%s: refused without a reason: %v", name, err)
					}
					// If a combination is refused, conflicting options are reset one at a time.
					c.Theta, c.Derivation, c.DepthWeights = configs.ThetaOne, configs.DerivationSoftmax, configs.DepthSoftmax
					if err := c.Validate(); err != nil {
						c.MaxSkips = -1
					}
					if err := c.Validate(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				tried++
				within(t, func() { threeSteps(t, c, m, name) })
			}
			if tried != rows {
				t.Errorf("%d of %d tried", tried, rows)
			}
		})
	}
}

// refusal reports whether an error names the conflicting options.
func refusal(err error) bool {
	for _, word := range []string{"joint search does not know", "compares alphas", "reads alphas alone", "leaves no operation"} {
		if strings.Contains(err.Error(), word) {
			return true
		}
	}
	return false
}

func threeSteps(t *testing.T, c configs.SearchSection, m plan.Macro, name string) {
	t.Helper()
	torch.Seed(9)
	s, err := c.Space()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n := supernetOf(t, s, c, m, tiny)
	defer n.Free()
	learn := bilevel(n)
	defer learn.Free()
	before := snapshot(n, true)
	learn.ArchRate, learn.Order = 0.01, orders[c.Order]
	for range 3 {
		f := learn.Step(0.01, true, sample(8), sample(8))
		if err := run.Finite(f.Scalars()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, p := range n.Arch.Store.Weights() {
		if slices.Equal(before[p.Name], p.Tensor.Float64s()) {
			t.Errorf("%s: %s has not moved", name, p.Name)
		}
	}
	valid := sample(8)
	grads, _ := FirstOrder(learn, 0, Sample{}, valid)
	// Some of these networks are ill-conditioned; TestHyperGradient is exact.
	differences(t, n, grads, 1, 1e-2, func() float64 {
		return n.ArchLoss(valid).Total.Item()
	})
	if t.Failed() {
		t.Fatalf("with %s", name)
	}
	g, err := n.Arch.Genotype("found")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	network, err := plan.New(g, m, tiny, genotype.Candidates{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	store := nn.NewStore(double)
	defer store.Free()
	if _, err := models.Build(store, network); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if store.Count(nil) != network.Cost.Parameters {
		t.Errorf("%s: %d parameters, %d planned", name, store.Count(nil), network.Cost.Parameters)
	}
	for dag, count := range skips(n.Arch, g) {
		if c.Kind.FindsCells() && c.MaxSkips >= 0 && strings.HasPrefix(dag, "normal") && count > c.MaxSkips {
			t.Errorf("%s: %d skips in %s", name, count, dag)
		}
	}
}

// Stage and distribution searches work with the cells of every published genotype.
func TestPublishedCellsInStages(t *testing.T) {
	for _, name := range genotype.Names() {
		g, err := genotype.Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Cells) == 0 {
			continue
		}
		for _, k := range []configs.Kind{configs.StageSearch, configs.DistributionSearch} {
			c, m, _ := little(t, k)
			c.Cells = name
			learning(t, mustSpace(t, c), c, m, func(b *Bilevel) {
				if err := run.Finite(b.Step(0.05, true, sample(4), sample(4)).Scalars()); err != nil {
					t.Errorf("%s search over %s: %v", k, name, err)
				}
			})
		}
	}
}

// Weights of edges in the depth loss, computed by hand: raw is the sum of all alphas; edge_softmax is the
// softmax, over the edges of a cell, of the largest alpha without that of none.
func TestCarriedByHand(t *testing.T) {
	alpha := []float64{9, 1, 2, 3, 9, -1, -2, 0, 5, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0} // 5 edges: 2 of cell 1, 3 of cell 2
	for _, c := range []struct {
		weights configs.DepthWeights
		want    []float64
	}{
		{configs.DepthRaw, []float64{15, 6, 8, 0, 1}},
		{configs.DepthEdgeSoftmax, []float64{math.Exp(3) / (math.Exp(3) + 1), 1 / (math.Exp(3) + 1), math.E / (math.E + 2), 1 / (math.E + 2), 1 / (math.E + 2)}},
	} {
		config := configs.DefaultSearchSection(configs.StageSearch)
		config.Lengths, config.DepthWeights = []int{2, 2, 2}, c.weights
		within(t, func() {
			n := supernetOf(t, mustSpace(t, config), config, macro(2, 0), tiny)
			defer n.Free()
			torch.NoGrad(func() { n.Arch.parameter("alpha.stage1").Copy_(torchtest.Float64s(alpha, 5, 4)) })
			got := n.Arch.carried(n.Arch.dags[0], n.Arch.Mix(false)).Float64s()
			for i := range c.want {
				if math.Abs(got[i]-c.want[i]) > 1e-12 {
					t.Errorf("%s: %v, not %v", c.weights, got, c.want)
					break
				}
			}
		})
	}
}
