package optim_test

import (
	"fmt"
	"math"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim/schedule"
)

// Five steps of torch.optim's optimizers, and its clipping.
func TestGoldenOptimizers(t *testing.T) {
	do(t, func(*torch.Scope) {
		f := golden.Read(t, "pieces/optimizers.safetensors")
		rates := f.Get(t, "rates").Float64s()
		start := func() *nn.Store {
			s := nn.NewStore(torchtest.Options(torch.Float64))
			for i := range 2 {
				v := f.Get(t, fmt.Sprintf("start.%d", i))
				s.Root().Weight(fmt.Sprint(i), func(w torch.Tensor) { w.Copy_(v) }, v.Shape()...)
			}
			return s
		}
		grads := func(step int) []torch.Tensor {
			return []torch.Tensor{f.Get(t, fmt.Sprintf("grad.%d.0", step)).Clone(), f.Get(t, fmt.Sprintf("grad.%d.1", step)).Clone()}
		}
		for name, make := range map[string]func(p []nn.Param) optimizer{
			"sgd.plain":     sgd(torch.SGDOptions{}).make,
			"sgd.decay":     sgd(torch.SGDOptions{WeightDecay: 0.1}).make,
			"sgd.momentum":  sgd(torch.SGDOptions{Momentum: 0.9}).make,
			"sgd.dampening": sgd(torch.SGDOptions{Momentum: 0.9, Dampening: 0.5, WeightDecay: 0.1}).make,
			"sgd.nesterov":  sgd(torch.SGDOptions{Momentum: 0.9, Nesterov: true, WeightDecay: 3e-4}).make,
			"adam.plain":    adam(torch.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}).make,
			"adam.darts":    adam(torch.AdamOptions{Beta1: 0.5, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-3}).make,
			"adam.eps":      adam(torch.AdamOptions{Beta1: 0.9, Beta2: 0.99, Eps: 1e-2}).make,
		} {
			s := start()
			o := make(s.Weights())
			for step, rate := range rates {
				o.Step([]float64{rate}, grads(step))
				for i, w := range s.Weights() {
					golden.Check(t, fmt.Sprintf("%s, parameter %d after step %d", name, i, step), w.Tensor, f.Get(t, fmt.Sprintf("%s/%d.%d", name, step, i)), 1e-12)
				}
			}
			o.Free()
			s.Free()
		}
		for name, largest := range map[string]float64{"clip.some": 1, "clip.none": 100} {
			gs := grads(0)
			golden.Check(t, name+", norm before", torch.ClipGradNorm(gs, largest), f.Get(t, name+"/norm"), 1e-12)
			for i, g := range gs {
				golden.Check(t, fmt.Sprintf("%s, gradient %d", name, i), g, f.Get(t, fmt.Sprintf("%s/%d", name, i)), 1e-12)
			}
		}
	})
}

// The rates of torch.optim.lr_scheduler; a warm-up there is its LinearLR chained before another.
func TestGoldenSchedules(t *testing.T) {
	do(t, func(*torch.Scope) {
		f := golden.Read(t, "pieces/schedules.safetensors")
		for name, s := range map[string]schedule.Schedule{
			"cosine":      schedule.Cosine(0.025, 0.001, 20),
			"step":        schedule.Step(0.1, 0.97, 3),
			"linear":      schedule.Linear(0.5, 0.1, 20),
			"warm cosine": schedule.Warmup(schedule.Cosine(0.5, 0, 20), 5, 1e-3),
			"warm step":   schedule.Warmup(schedule.Step(0.5, 0.97, 1), 10, 0.1),
		} {
			for step, want := range f.Get(t, name).Float64s() {
				// Theirs are recursions, which gather rounding.
				if got := s(step); math.Abs(got-want) > 1e-12 {
					t.Errorf("%s: rate %v at step %d, want %v", name, got, step, want)
				}
			}
		}
	})
}
