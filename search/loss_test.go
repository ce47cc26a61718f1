package search

import (
	"math"
	"testing"

	"hdas/configs"
	"hdas/torch"
)

// The depth loss of a stage worked out by hand: alphas 0 make every softmax 1/4, so an edge
// carries 3/4. Cells: d1 = 3/4, d2 = mean(3/4, 3/4, 3/4 (d1+1)), d3 likewise.
func TestDepthLossByHand(t *testing.T) {
	c := configs.DefaultSearchSection(configs.StageSearch)
	c.Lengths = []int{3, 3, 3}
	atZero(t, c, func(n *Supernet) {
		a := 0.75
		d1 := a
		d2 := (a + a + a*(d1+1)) / 3
		d3 := (a + a*(d1+1) + a*(d2+1)) / 3 // window 3: states 1, 2, 3
		if got, want := n.Arch.depthLoss(n.Arch.Mix(false)).Item(), -(d1+d2+d3)/3*3; math.Abs(got-want) > 1e-12 {
			t.Errorf("depth loss %v, not %v", got, want)
		}
	})
}

// If all betas are 0, each of the 2 candidate outputs has the coefficient 1/2. They mean 2 and 3 cells,
// so that 2.5 cells are expected in each stage. The depth of the last cell of a candidate output, i = 1
// or 2 from 0, is multiplied by 1 + i/2.
func TestDistributionLossesByHand(t *testing.T) {
	c := configs.DefaultSearchSection(configs.DistributionSearch)
	c.Lengths, c.MinCells = []int{3, 3, 3}, 2
	atZero(t, c, func(n *Supernet) {
		if got := n.Arch.complexityLoss(n.Arch.Mix(false), n.theta).Item(); math.Abs(got-7.5) > 1e-12 {
			t.Errorf("complexity loss %v, not 7.5", got)
		}
		a := 0.75
		d1 := a
		d2 := (a + a + a*(d1+1)) / 3 * (1 + 1*0.5)
		d3 := (a + a*(d1+1) + a*(d2+1)) / 3 * (1 + 2*0.5)
		if got, want := n.Arch.depthLoss(n.Arch.Mix(false)).Item(), -(d1+d2+d3)/3*3; math.Abs(got-want) > 1e-12 {
			t.Errorf("depth loss %v, not %v", got, want)
		}
	})
}

// atZero calls f with a supernet whose architecture parameters are 0, so that every softmax is uniform.
func atZero(t *testing.T, c configs.SearchSection, f func(n *Supernet)) {
	t.Helper()
	within(t, func() {
		n := supernetOf(t, mustSpace(t, c), c, macro(2, 0), tiny)
		defer n.Free()
		for p := range n.Arch.Store.All() {
			torch.NoGrad(func() { p.Tensor.Zero_() })
		}
		f(n)
	})
}
