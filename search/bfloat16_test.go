package search

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// shallowCells returns a file with a genotype whose cells have one node with one convolution.
func shallowCells(t *testing.T) string {
	t.Helper()
	cell := genotype.DAG{Out: []int{2}, Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0, Op: "skip_connect"}, {From: 1, Op: "dil_conv_3x3"}}}}}
	g := genotype.Genotype{Version: 1, Name: "shallow", Cells: map[string]genotype.DAG{"normal": cell, "reduce": cell}}
	var text bytes.Buffer
	file := filepath.Join(t.TempDir(), "shallow.yaml")
	if err := errors.Join(g.Encode(&text), os.WriteFile(file, text.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// gradients returns the gradients of a shallow supernet's weights, by name, and of its architecture
// parameters, by name and operation, computed in bfloat16 or float32. They depend on the seed alone.
func gradients(t *testing.T, k configs.Kind, seed uint64, cast torch.DType, again kernel.Recompute) (weights, alphas map[string][]float64) {
	t.Helper()
	c, m, _ := little(t, k)
	c.Lengths, c.Cells = []int{2, 2, 2}, shallowCells(t)
	c.Delta, c.Gamma = 0, 0 // other losses than the classification's would hide its gradient
	c.CellPrimitives = []string{"none", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "avg_pool_3x3", "max_pool_3x3"}
	s := mustSpace(t, c)
	within(t, func() {
		torch.Seed(seed)
		n, err := NewSupernet(s, c, m, layer.Shape{C: 3, H: 32, W: 32}, torchtest.Options(torch.Float32))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Free()
		n.Autocast, n.Recompute = cast, again
		b := sample(16)
		b.Images = torch.Randn(torchtest.Options(torch.Float32), 16, 3, 32, 32) // of few pixels, batch norms' gradients are ill-conditioned
		read := func(params []nn.Param, grads []torch.Tensor) map[string][]float64 {
			all := map[string][]float64{}
			for i, p := range params {
				if grads[i].Defined() {
					all[p.Name] = grads[i].Float64s()
				}
			}
			return all
		}
		learn := NewBilevel(n)
		defer learn.Free()
		loss, _ := n.WeightLoss(b)
		weights = read(n.Weights.Weights(), torch.Grad(loss, learn.Weights.Params))
		grads, _ := FirstOrder(learn, 0, Sample{}, b)
		alphas = map[string][]float64{}
		for name, v := range read(n.Arch.Store.Weights(), grads) {
			p, _ := n.Arch.Store.Get(name)
			ops := int(p.Tensor.Size(-1))
			for i, x := range v {
				column := fmt.Sprint(name, i%ops)
				alphas[column] = append(alphas[column], x)
			}
		}
	})
	return weights, alphas
}

// agreement measures how close two sets of gradients are.
type agreement struct {
	whole         float64   // the cosine between all of them as one vector each
	angles, sizes []float64 // of each parameter the cosine, and the quotient of the norms, in ascending order
}

func agree(t *testing.T, a, b map[string][]float64) (g agreement) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d gradients, not %d", len(b), len(a))
	}
	var aa, bb, ab float64
	for name, v := range a {
		var vv, ww, vw float64
		for i, w := range b[name] {
			vv, ww, vw = vv+v[i]*v[i], ww+w*w, vw+v[i]*w
		}
		aa, bb, ab = aa+vv, bb+ww, ab+vw
		if vv != 0 || ww != 0 { // the last alpha of a distribution may count for nothing
			g.angles, g.sizes = append(g.angles, vw/math.Sqrt(vv*ww)), append(g.sizes, math.Sqrt(ww/vv))
		}
	}
	slices.Sort(g.angles)
	slices.Sort(g.sizes)
	g.whole = ab / math.Sqrt(aa*bb)
	return g
}

// hold fails if one of the values is not within the bounds or is NaN.
func hold(t *testing.T, what string, least, most float64, values ...float64) {
	t.Helper()
	for _, v := range values {
		if !(v >= least && v <= most) {
			t.Errorf("%s: %.4f is not in [%g, %g]", what, v, least, most)
		}
	}
}

// Gradients in bfloat16 are those of float32 but for rounding, in every parameter, and the same again
// where they are computed anew. Rounding turns them by the more the deeper the network is, and those
// of a few parameters, which are small, by any angle; most of them it hardly touches, and their sizes
// less. Each bound for the weights lies a little beyond the worst of five seeds, and for the architecture
// beyond what this seed gives on each supported libtorch.
func TestBFloat16Gradients(t *testing.T) {
	for k, bound := range map[configs.Kind]struct {
		weights, tenth, median float64 // the least cosines: of all weights' gradients, a tenth from the worst, in the middle
		alphas                 float64 // of the architecture's gradient
		spread                 float64 // nine tenths of the norms are up to so many times longer, or shorter
	}{
		configs.CellSearch:         {weights: 0.95, tenth: 0.94, median: 0.965, alphas: 0.96, spread: 1.07},
		configs.JointSearch:        {weights: 0.87, tenth: 0.85, median: 0.93, alphas: 0.95, spread: 1.15},
		configs.StageSearch:        {weights: 0.8, tenth: 0.75, median: 0.92, alphas: 0.88, spread: 1.4},
		configs.DistributionSearch: {weights: 0.8, tenth: 0.72, median: 0.91, alphas: 0.82, spread: 1.45},
	} {
		t.Run(string(k), func(t *testing.T) {
			weights, alphas := gradients(t, k, 1, torch.Float32, kernel.RecomputeNone)
			low, lowAlphas := gradients(t, k, 1, torch.BFloat16, kernel.RecomputeNone)
			g := agree(t, weights, low)
			n := len(g.sizes)
			hold(t, "cosine of all weights", bound.weights, 1, g.whole)
			hold(t, "cosine of the worst tenth", bound.tenth, 1, g.angles[n/10])
			hold(t, "median of the cosines", bound.median, 1, g.angles[n/2])
			hold(t, "norm of all but the shortest tenth and the longest", 1/bound.spread, bound.spread, g.sizes[n/10], g.sizes[n-1-n/10])
			hold(t, "median of the norms", 0.97, 1.03, g.sizes[n/2])
			hold(t, "norm of any", 0.3, 3.5, g.sizes[0], g.sizes[n-1])
			a := agree(t, alphas, lowAlphas)
			hold(t, "cosine of the architecture's gradient", bound.alphas, 1, a.whole)
			hold(t, "norm of any of the architecture's", 0.12, 2.5, a.sizes[0], a.sizes[len(a.sizes)-1])
			for again := kernel.RecomputeEdge; again <= kernel.RecomputeCell; again++ {
				weights, alphas := gradients(t, k, 1, torch.BFloat16, again)
				for _, g := range []agreement{agree(t, low, weights), agree(t, lowAlphas, alphas)} {
					hold(t, "cosine with what is computed again", 0.99, 1.001, g.whole)
					hold(t, "cosine of any with what is computed again", 0.93, 1.001, g.angles[0])
					hold(t, "norm of any of what is computed again", 1/1.35, 1.35, g.sizes[0], g.sizes[len(g.sizes)-1])
				}
			}
		})
	}
}
