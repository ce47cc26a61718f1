package optim_test

import (
	"math"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/optim"
)

// Scaled and unscaled, a gradient is what it was; one that is too large is not stepped along, and
// halves the scale; many good ones double it.
func TestScaler(t *testing.T) {
	err := torch.Do(func(*torch.Scope) error {
		x := torchtest.Float32s([]float32{1, -2, 3}, 3).SetRequiresGrad(true)
		unused := torch.Zeros(torchtest.Options(torch.Float32), 2).SetRequiresGrad(true)
		scale := func(s *optim.Scaler) float64 { return s.State("s")[0].Tensor.Float64s()[0] }
		grad := func(s *optim.Scaler, factor float64) ([]float64, bool) {
			grads := s.Grad(x.Mul(x).Sum().MulScalar(factor), []torch.Tensor{x, unused})
			ok := s.Unscale(grads)
			return grads[0].Float64s(), ok
		}
		want := []float64{2, -4, 6}
		s := optim.NewScaler()
		for _, s := range []*optim.Scaler{nil, s} {
			if g, ok := grad(s, 1); !ok || g[0] != want[0] || g[1] != want[1] || g[2] != want[2] {
				t.Errorf("gradient %v, %v", g, ok)
			}
		}
		if scale(s) != 65536 {
			t.Errorf("scale %v", scale(s))
		}
		if _, ok := grad(s, 1e35); ok || scale(s) != 32768 { // more than float32 holds
			t.Errorf("an infinite gradient was good, scale %v", scale(s))
		}
		if _, ok := grad(s, math.NaN()); ok || scale(s) != 16384 {
			t.Errorf("a gradient that is no number was good, scale %v", scale(s))
		}
		// What was saved goes on: after 1999 good steps the next one doubles the scale, and the count begins anew.
		for range 1999 {
			s.Unscale([]torch.Tensor{torch.Ones(torchtest.Options(torch.Float32), 1)})
		}
		saved := map[string]torch.Tensor{"s": s.State("s")[0].Tensor}
		again := optim.NewScaler()
		again.Load("other", saved)
		if scale(again) != 65536 {
			t.Errorf("scale %v of another name", scale(again))
		}
		again.Load("s", saved)
		for i, want := range []float64{32768, 32768} {
			if _, ok := grad(again, 1); !ok || scale(again) != want {
				t.Errorf("step %d: scale %v", i, scale(again))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
