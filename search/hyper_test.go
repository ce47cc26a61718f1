package search

import (
	"hdas/configs"
	"math"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/optim"
)

// After several steps, the hypergradient of each search and order equals central differences of the
// architecture's loss with all its parts; at the second order, of the loss at the weights after their
// next step, which depends on the architecture. It leaves weights and parameters unchanged, bit for bit,
// and at the second order the running statistics, too.
func TestHyperGradient(t *testing.T) {
	for _, k := range configs.Kinds {
		t.Run(string(k), func(t *testing.T) {
			c, m, s := little(t, k)
			learning(t, s, c, m, func(b *Bilevel) {
				n := b.Net
				b.ArchRate = 0.1
				for range 4 {
					b.Step(0.02, true, sample(8), sample(8))
				}
				train, valid := sample(8), sample(8)
				total := func() float64 {
					return n.ArchLoss(valid).Total.Item()
				}

				before := snapshot(n, false)
				first, _ := FirstOrder(b, 0, Sample{}, valid)
				unchanged(t, before, snapshot(n, false))
				differences(t, n, first, 5, 1e-6, total)

				const lr = 1e-3 // unclipped gradients are large: a longer step leads anywhere
				before = snapshot(n, true)
				second, _ := Unrolled(b, lr, train, valid)
				unchanged(t, before, snapshot(n, true))
				apart := 0.0
				for i := range first {
					apart = math.Max(apart, difference(first[i], second[i]))
				}
				t.Logf("the second order is up to %.3g from the first", apart)
				if apart < 1e-2 {
					t.Errorf("the second order differs from the first by %g only: the comparison says nothing", apart)
				}
				// With DARTS' radius, kinks of ReLU and max pooling distort the finite difference. With a small
				// radius it is the derivative, as long as no kink lies within it, as for this seed.
				second, _ = unrolled(b, lr, train, valid, 1e-6)
				differences(t, n, second, 2, 1e-4, func() (v float64) {
					defer preserve(n.Weights)()
					loss, _ := n.WeightLoss(train)
					if err := optim.LookAhead(b.Weights.Optimizer, []float64{lr}, torch.Grad(loss, b.Weights.Params)); err != nil {
						t.Fatal(err)
					}
					return total()
				})
			})
		})
	}
}

// With a learning rate of 0, the second order equals the first.
func TestUnrolledWithoutStepIsFirstOrder(t *testing.T) {
	c, m, s := little(t, configs.StageSearch)
	learning(t, s, c, m, func(b *Bilevel) {
		train, valid := sample(8), sample(8)
		first, _ := FirstOrder(b, 0, train, valid)
		second, _ := Unrolled(b, 0, train, valid)
		for i, g := range first {
			if d := difference(g, second[i]); d != 0 {
				t.Errorf("gradient %d differs by %g", i, d)
			}
		}
	})
}

// differences compares gradients with central differences of f for `places` elements of each parameter. The
// error of a difference is that of the loss, about 1e-15, divided by the step h, and one of order h^2. With
// h = 1e-8 both are below 1e-7, a tenth of the least tolerance, and a kink of ReLU or max pooling lies within
// the step a hundred times less often than with 1e-6.
func differences(t *testing.T, n *Supernet, grads []torch.Tensor, places int, tolerance float64, f func() float64) {
	t.Helper()
	const h = 1e-8
	for i, p := range n.Arch.Store.Weights() {
		values, g := p.Tensor.Float64s(), grads[i].Float64s()
		for j := 0; j < len(values); j += 1 + len(values)/places {
			at := func(v float64) float64 {
				moved := append([]float64(nil), values...)
				moved[j] = v
				torch.NoGrad(func() { p.Tensor.Copy_(torchtest.Float64s(moved, p.Tensor.Shape()...)) })
				return f()
			}
			want := (at(values[j]+h) - at(values[j]-h)) / (2 * h)
			at(values[j])
			if math.Abs(g[j]-want) > tolerance*math.Max(1, math.Abs(want)) {
				t.Errorf("%s[%d]: gradient %v, central difference %v", p.Name, j, g[j], want)
			}
		}
	}
}

// The paper's sizes: DARTS' search supernet has 1,930,618 weights, the stage supernet over
// DARTS_V1's cells 878,538.
func TestSupernetSizes(t *testing.T) {
	cells := configs.DefaultSearchSection(configs.CellSearch)
	cells.StageSpecific = false
	for _, c := range []struct {
		config  configs.SearchSection
		layers  int
		weights int64
	}{{cells, 8, 1930618}, {configs.DefaultSearchSection(configs.StageSearch), 0, 878538}} {
		within(t, func() {
			n := supernetOf(t, mustSpace(t, c.config), c.config, macro(16, c.layers), cifar)
			defer n.Free()
			if got := n.Weights.Count(nil); got != c.weights {
				t.Errorf("%s supernet has %d weights, not %d", c.config.Kind, got, c.weights)
			}
		})
	}
}
