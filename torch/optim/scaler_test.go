package optim_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
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
			finite := s.Unscale(grads)
			if finite.Defined() != (s != nil) {
				t.Errorf("whether it is finite is %v", finite)
			}
			return grads[0].Float64s(), s == nil || finite.Item() == 1
		}
		want := []float64{2, -4, 6}
		s := optim.NewScaler()
		defer s.Free()
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
		defer again.Free()
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

// A step whose gradient is not finite leaves parameters, state and numbers of steps as they are, bit for bit,
// and steps after it are those of a run without it; so is a run that is saved and resumed around it. Without
// overflow, a step with a Scaler is that without.
func TestSkippedStepLeavesNoTrace(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		o := torch.Options{Device: d}
		for _, rule := range []rule{
			sgd(torch.SGDOptions{}),
			sgd(torch.SGDOptions{Momentum: 0.9, WeightDecay: 0.1, Nesterov: true}),
			adam(torch.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-3}),
		} {
			for _, flat := range []bool{false, true} {
				do(t, func(*torch.Scope) {
					// run takes four steps. If scaled, their gradients are those of scaled losses, and before each of
					// those named there is one that overflows.
					run := func(scaled, reload bool, overflows ...int) ([]string, float64) {
						s := store(o, [][]float64{{1, -2}, {3}, {0.5, 4, 5}})
						if flat {
							s.Flatten(nil)
						}
						make := func(scale *optim.Scaler) *optim.Learner {
							return &optim.Learner{Optimizer: rule.make(s.Weights()), Params: nn.Tensors(s.Weights()), Clip: 1, Scaler: scale}
						}
						l, scale := make(nil), 1.0
						if scaled {
							l, scale = make(optim.NewScaler()), 65536
						}
						for step := range 4 {
							if slices.Contains(overflows, step) {
								before := whole(l, s)
								gs := []torch.Tensor{torch.Full(o, math.Inf(1), 2), torch.Ones(o, 1), torch.Zeros(o, 3)}
								if step%2 == 1 {
									gs[2] = torch.Tensor{}
								}
								if norm := l.Step([]float64{0.1}, gs).Item(); norm != 0 {
									t.Errorf("norm %v of a skipped step", norm)
								}
								scale /= 2
								if after := whole(l, s); step > 0 && !slices.Equal(after, before) {
									t.Errorf("%s: a skipped step changed\n%v to\n%v", rule.name, before, after)
								}
							}
							gs := []torch.Tensor{torch.FromFloat64([]float64{0.25, float64(step)}, 2), torch.Full(torchtest.Options(torch.Float32), 0.5, 1), torch.Ones(torchtest.Options(torch.Float32), 3)}
							for i, g := range gs {
								gs[i] = g.To(torch.Float32).ToDevice(d).MulScalar(scale)
							}
							if step == 1 {
								gs[1] = torch.Tensor{}
							}
							l.Step([]float64{0.1}, gs)
							if reload {
								saved, of := map[string]torch.Tensor{}, map[string]torch.Tensor{}
								for _, p := range l.State() {
									saved[p.Name] = torch.FromBytes(p.Tensor.Bytes(), p.Tensor.DType(), p.Tensor.Shape()...)
								}
								for _, p := range l.Scaler.State("scale") {
									of[p.Name] = torch.FromBytes(p.Tensor.Bytes(), p.Tensor.DType(), p.Tensor.Shape()...)
								}
								l.Free()
								l = make(optim.NewScaler())
								l.Scaler.Load("scale", of)
								if err := l.Load(saved); err != nil {
									t.Fatal(err)
								}
							}
						}
						defer s.Free()
						defer l.Free()
						return whole(l, s), scale
					}
					plain, _ := run(false, false)
					for _, overflows := range [][]int{nil, {0}, {2, 3}, {0, 1, 2}} {
						for _, reload := range []bool{false, true} {
							if got, _ := run(true, reload, overflows...); !slices.Equal(got, plain) {
								t.Errorf("%s, flat %v, reloaded %v, overflows before %v:\n%v, without\n%v", rule.name, flat, reload, overflows, got, plain)
							}
						}
					}
				})
			}
		}
	})
}

// whole returns all parameters and the state of their optimizer as texts, the moments of a parameter without
// steps left out.
func whole(l *optim.Learner, s *nn.Store) (all []string) {
	for p := range s.All() {
		all = append(all, fmt.Sprintf("%s %x", p.Name, p.Tensor.Bytes()))
	}
	for _, p := range l.State() {
		all = append(all, fmt.Sprintf("%s %x", p.Name, p.Tensor.Bytes()))
	}
	return all
}

// The scale grows after 2000 finite gradients in a row, and does not fall below its least value.
func TestScaleGrows(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			s := optim.NewScaler()
			defer s.Free()
			o := torch.Options{Device: d}
			state := func() string { return fmt.Sprint(s.State("s")[0].Tensor.Float64s()) }
			step := func(v float64) {
				torch.Within(func(*torch.Scope) { s.Unscale([]torch.Tensor{{}, torch.Full(o, v, 2)}) })
			}
			for range 1999 {
				step(1)
			}
			if state() != "[65536 1999]" {
				t.Error(state())
			}
			if step(1); state() != "[131072 0]" {
				t.Error(state())
			}
			step(1)
			if step(math.NaN()); state() != "[65536 0]" {
				t.Error(state())
			}
			for range 60 {
				step(math.Inf(-1))
			}
			if want := fmt.Sprint([]float64{1.0 / (1 << 24), 0}); state() != want {
				t.Errorf("%s, not %s", state(), want)
			}
			if finite := s.Unscale([]torch.Tensor{{}}); finite.Defined() || state() != fmt.Sprint([]float64{1.0 / (1 << 24), 0}) {
				t.Error("a step without gradients adapts the scale")
			}
		})
	})
}
