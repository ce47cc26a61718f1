package search

import (
	"hdas/configs"
	"math"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// stepped returns the parameters of a supernet after one step, and the losses and gradient norms of it.
func stepped(t *testing.T, k configs.Kind, image layer.Shape, change func(b *Bilevel)) (after map[string][]float64, f map[string]float64) {
	t.Helper()
	c, m, s := little(t, k)
	within(t, func() {
		torch.Seed(1)
		n, err := NewSupernet(s, c, m, image, torchtest.Options(torch.Float32))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Free()
		n.config.Weights.WeightDecay, n.config.Alpha.WeightDecay = 0, 0
		b := NewBilevel(n)
		defer b.Free()
		change(b)
		train, valid := sample(8), sample(8)
		train.Images, valid.Images = torch.Randn(torchtest.Options(torch.Float32), 8, image.C, image.H, image.W), torch.Randn(torchtest.Options(torch.Float32), 8, image.C, image.H, image.W)
		result := b.Step(0.025, true, train, valid)
		if err := run.Finite(result.Scalars()); err != nil {
			t.Fatal(err)
		}
		if d := result.Train.DType(); d != torch.Float32 {
			t.Errorf("loss in %v", d)
		}
		after, f = map[string][]float64{}, map[string]float64{"loss": result.Train.Item(), "architecture's loss": result.Arch.Classification.Item()}
		for name, norm := range map[string]torch.Tensor{"norm": result.Norm, "architecture's norm": result.ArchNorm} {
			if norm.Defined() {
				f[name] = norm.Item()
			}
		}
		for name, l := range map[string]*optim.Learner{"scale": b.Weights, "architecture's scale": b.Arch} {
			for _, s := range l.Scaler.State("") {
				f[name] = s.Tensor.Float64s()[0]
			}
		}
		for _, store := range []*nn.Store{n.Weights, n.Arch.Store} {
			for p := range store.All() {
				after[p.Name] = p.Tensor.Float64s()
			}
		}
	})
	return after, f
}

// apart returns the largest difference divided by the largest value, and the name of that parameter.
func apart(a, b map[string][]float64) (worst float64, name string) {
	for n, v := range a {
		most, diff := 1e-2, 0.0
		for i := range v {
			most, diff = max(most, math.Abs(v[i])), max(diff, math.Abs(v[i]-b[n][i]))
		}
		if diff/most > worst {
			worst, name = diff/most, n
		}
	}
	return worst, name
}

// Scaling the loss by a power of two gives the same step. If the scaled loss overflows, the step of the
// weights and that of the architecture are skipped.
func TestScaledStep(t *testing.T) {
	for _, k := range []configs.Kind{configs.CellSearch, configs.DistributionSearch} {
		plain, _ := stepped(t, k, tiny, func(*Bilevel) {})
		scaled, _ := stepped(t, k, tiny, func(b *Bilevel) { b.Arch.Scaler, b.Weights.Scaler = optim.NewScaler(), optim.NewScaler() })
		if worst, name := apart(plain, scaled); worst > 1e-5 {
			t.Errorf("%s: %s differs by %g", k, name, worst)
		}
		kept, of := stepped(t, k, tiny, func(m *Bilevel) {
			m.Arch.Scaler, m.Weights.Scaler = optim.NewScaler(), optim.NewScaler()
			huge := map[string]torch.Tensor{"s": torchtest.Float64s([]float64{math.MaxFloat32, 0}, 2)}
			m.Arch.Scaler.Load("s", huge)
			m.Weights.Scaler.Load("s", huge)
		})
		within(t, func() {
			c, m, s := little(t, k)
			torch.Seed(1)
			fresh, err := NewSupernet(s, c, m, tiny, torchtest.Options(torch.Float32))
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Free()
			for _, store := range []*nn.Store{fresh.Weights, fresh.Arch.Store} {
				for _, p := range store.Weights() {
					for i, v := range p.Tensor.Float64s() {
						if v != kept[p.Name][i] {
							t.Fatalf("%s: %s has moved along a gradient that is not finite", k, p.Name)
						}
					}
				}
			}
			for _, name := range []string{"scale", "architecture's scale"} {
				if v := of[name]; v != math.MaxFloat32/2 {
					t.Errorf("%s: %s %v", k, name, v)
				}
			}
			if of["norm"] != 0 || of["architecture's norm"] != 0 {
				t.Errorf("%s: norms %v and %v of skipped steps", k, of["norm"], of["architecture's norm"])
			}
		})
	}
}

// In bfloat16, the losses, gradient norms and running statistics of a step are close to those in float32,
// for every kind of search and with every recompute. Gradients of deep networks with random weights are
// ill-conditioned; TestBFloat16Gradients compares those of shallow ones.
func TestBFloat16Step(t *testing.T) {
	image := layer.Shape{C: 3, H: 32, W: 32} // of few pixels, batch norms' gradients are ill-conditioned
	for _, k := range configs.Kinds {
		full, f := stepped(t, k, image, func(*Bilevel) {})
		for again := kernel.RecomputeNone; again <= kernel.RecomputeCell; again++ {
			low, l := stepped(t, k, image, func(b *Bilevel) {
				n := b.Net
				n.Autocast, n.Recompute = torch.BFloat16, again
			})
			for name, want := range f {
				if d := math.Abs(l[name]-want) / want; d > 0.4 || d == 0 || strings.HasSuffix(name, "loss") && d > 0.02 {
					t.Errorf("%s, recompute %d: %s %v in bfloat16, %v in float32", k, again, name, l[name], want)
				}
			}
			for name := range full {
				if !strings.Contains(name, "running_") {
					continue
				}
				if d, _ := apart(map[string][]float64{name: full[name]}, low); d > 0.1 {
					t.Errorf("%s, recompute %d: %s differs by %g", k, again, name, d)
				}
			}
		}
	}
}
