package optim_test

import (
	"slices"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// quadratic is a learner of one parameter of two numbers, and the loss of its distance to a target.
func quadratic(s *nn.Store, l optim.Learner) (*optim.Learner, func(target ...float64) torch.Tensor) {
	params := s.Weights()
	l.Optimizer = optim.NewSGD(params, torch.SGDOptions{Momentum: 0.9, WeightDecay: 0.1})
	l.Params = nn.Tensors(params)
	return &l, func(target ...float64) torch.Tensor {
		e := params[0].Tensor.Sub(torchtest.Float64s(target, 2))
		return e.Mul(e).Mul(e).Sum()
	}
}

func single(t *testing.T, f func(s *nn.Store)) {
	t.Helper()
	do(t, func(*torch.Scope) {
		s := store(torchtest.Options(torch.Float64), [][]float64{{0.5, -2}})
		defer s.Free()
		f(s)
	})
}

// The gradients of the parts of a mean add up to that of the mean.
func TestAccumulatedGradient(t *testing.T) {
	single(t, func(s *nn.Store) {
		l, loss := quadratic(s, optim.Learner{})
		targets := [][]float64{{1, 2}, {-3, 0.5}, {0.25, 0.125}}
		mean := loss(targets[0]...).Add(loss(targets[1]...)).Add(loss(targets[2]...)).MulScalar(1. / 3)
		want := torch.Grad(mean, l.Params)[0].Float64s()
		got := l.Sum(3, func(i int) []torch.Tensor { return l.Gradient(loss(targets[i]...).MulScalar(1. / 3)) })[0].Float64s()
		for i := range want {
			if d := got[i] - want[i]; d > 1e-12 || d < -1e-12 {
				t.Errorf("gradient %v, not %v", got, want)
			}
		}
	})
}

// A step clips, then steps, then tells that it has; the norm is that before clipping.
func TestLearnerStep(t *testing.T) {
	single(t, func(s *nn.Store) {
		l, _ := quadratic(s, optim.Learner{Clip: 1})
		defer l.Free()
		before := s.Weights()[0].Tensor.Float64s()
		stepped := 0
		l.Stepped = func() {
			if stepped++; slices.Equal(s.Weights()[0].Tensor.Float64s(), before) {
				t.Error("it tells of a step before it")
			}
		}
		norm := l.Step([]float64{0.1}, []torch.Tensor{torchtest.Float64s([]float64{3, 4}, 2)})
		if got := norm.Item(); got != 5 {
			t.Errorf("norm %v, not 5", got)
		}
		// The clipped gradient is (0.6, 0.8), the weight decay 0.1 w; the first momentum is the gradient.
		for i, g := range []float64{0.6, 0.8} {
			want := before[i] - 0.1*(g+0.1*before[i])
			if d := s.Weights()[0].Tensor.Float64s()[i] - want; d > 1e-6 || d < -1e-6 {
				t.Errorf("parameter %d is off by %v", i, d)
			}
		}
		if stepped != 1 {
			t.Errorf("told of %d steps", stepped)
		}
	})
}

// A scaled loss whose gradient is not finite leads to no step and to a norm of 0. Whether a step was taken is
// not read from the device, so Stepped is called.
func TestLearnerSkipsWhatIsNotFinite(t *testing.T) {
	single(t, func(s *nn.Store) {
		l, _ := quadratic(s, optim.Learner{Clip: 1, Scaler: optim.NewScaler()})
		defer l.Free()
		stepped := 0
		l.Stepped = func() { stepped++ }
		before := s.Weights()[0].Tensor.Float64s()
		infinite := torchtest.Float64s([]float64{1, 0}, 2).Mul(torchtest.Float64s([]float64{0, 0}, 2).Reciprocal())
		if norm := l.Step([]float64{0.1}, []torch.Tensor{infinite}).Item(); norm != 0 || stepped != 1 {
			t.Errorf("norm %v, %d times stepped", norm, stepped)
		}
		if !slices.Equal(s.Weights()[0].Tensor.Float64s(), before) {
			t.Error("the parameter has moved")
		}
	})
}

// Looking ahead moves the parameters as a step would and leaves the state of either optimizer as it
// was, before and after the first step.
func TestLookAhead(t *testing.T) {
	for name, make := range map[string]func(p []nn.Param) optim.Optimizer{
		"sgd": func(p []nn.Param) optim.Optimizer { return optim.NewSGD(p, torch.SGDOptions{Momentum: 0.9}) },
		"adam": func(p []nn.Param) optim.Optimizer {
			return optim.NewAdam(p, torch.AdamOptions{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8})
		},
	} {
		single(t, func(s *nn.Store) {
			o := make(s.Weights())
			defer o.Free()
			w := s.Weights()[0].Tensor
			grads := func() []torch.Tensor { return []torch.Tensor{torchtest.Float64s([]float64{1, -3}, 2)} }
			state := func() (all [][]float64) {
				for _, p := range o.State() {
					all = append(all, p.Tensor.Float64s())
				}
				return all
			}
			for range 3 {
				here, before := w.Clone(), state()
				if err := optim.LookAhead(o, []float64{0.1}, grads()); err != nil {
					t.Fatal(err)
				}
				ahead := w.Float64s()
				if after := state(); !slices.EqualFunc(before, after, slices.Equal) {
					t.Errorf("%s: state %v, before %v", name, after, before)
				}
				torch.NoGrad(func() { w.Copy_(here) })
				o.Step([]float64{0.1}, grads())
				if got := w.Float64s(); !slices.Equal(got, ahead) {
					t.Errorf("%s: stepped to %v, looked to %v", name, got, ahead)
				}
			}
		})
	}
}
