package optim_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/torch/optim/schedule"
)

// optimizer is what SGD and Adam have in common.
type optimizer interface {
	Step(rates []float64, grads []torch.Tensor)
	State() []nn.Param
	Load(state map[string]torch.Tensor) error
	Free()
}

// twin is an optimizer of one parameter in plain Go. It follows the formulas in torch.optim's documentation.
type twin interface {
	step(lr float64, p, g []float64)
}

// https://pytorch.org/docs/2.1/generated/torch.optim.SGD.html
type sgdTwin struct {
	torch.SGDOptions
	b []float64
}

func (o *sgdTwin) step(lr float64, p, g []float64) {
	first := o.b == nil
	if first {
		o.b = make([]float64, len(p))
	}
	for i := range p {
		d := g[i] + o.WeightDecay*p[i]
		if o.Momentum != 0 {
			if first {
				o.b[i] = d
			} else {
				o.b[i] = o.Momentum*o.b[i] + (1-o.Dampening)*d
			}
			if o.Nesterov {
				d += o.Momentum * o.b[i]
			} else {
				d = o.b[i]
			}
		}
		p[i] -= lr * d
	}
}

// https://pytorch.org/docs/2.1/generated/torch.optim.Adam.html
type adamTwin struct {
	torch.AdamOptions
	m, v []float64
	t    float64
}

func (o *adamTwin) step(lr float64, p, g []float64) {
	if o.m == nil {
		o.m, o.v = make([]float64, len(p)), make([]float64, len(p))
	}
	o.t++
	for i := range p {
		d := g[i] + o.WeightDecay*p[i]
		o.m[i] = o.Beta1*o.m[i] + (1-o.Beta1)*d
		o.v[i] = o.Beta2*o.v[i] + (1-o.Beta2)*d*d
		m, v := o.m[i]/(1-math.Pow(o.Beta1, o.t)), o.v[i]/(1-math.Pow(o.Beta2, o.t))
		p[i] -= lr * m / (math.Sqrt(v) + o.Eps)
	}
}

// rule makes an optimizer and, for each parameter, the same optimizer in plain Go.
type rule struct {
	name string
	make func(params []nn.Param) optimizer
	twin func() twin
}

func drawSGD(t *rapid.T) rule {
	o := torch.SGDOptions{
		LR:          rapid.Float64Range(0, 9).Draw(t, "ignored"), // the rate comes with the step
		Momentum:    rapid.SampledFrom([]float64{0, 0.5, 0.9}).Draw(t, "momentum"),
		WeightDecay: rapid.SampledFrom([]float64{0, 3e-4, 0.1}).Draw(t, "weight decay"),
	}
	// PyTorch refuses Nesterov's without momentum and with dampening.
	if o.Momentum != 0 {
		if o.Nesterov = rapid.Bool().Draw(t, "nesterov"); !o.Nesterov {
			o.Dampening = rapid.SampledFrom([]float64{0, 0.25, 1}).Draw(t, "dampening")
		}
	}
	return sgd(o)
}

func sgd(o torch.SGDOptions) rule {
	return rule{"sgd", func(p []nn.Param) optimizer { return optim.NewSGD(p, o) }, func() twin { return &sgdTwin{SGDOptions: o} }}
}

func drawAdam(t *rapid.T) rule {
	return adam(torch.AdamOptions{
		LR:          rapid.Float64Range(0, 9).Draw(t, "ignored"),
		Beta1:       rapid.SampledFrom([]float64{0, 0.5, 0.9}).Draw(t, "beta1"),
		Beta2:       rapid.SampledFrom([]float64{0, 0.99, 0.999}).Draw(t, "beta2"),
		Eps:         rapid.SampledFrom([]float64{1e-8, 1e-3, 1}).Draw(t, "eps"),
		WeightDecay: rapid.SampledFrom([]float64{0, 1e-3, 0.1}).Draw(t, "weight decay"),
	})
}

func adam(o torch.AdamOptions) rule {
	return rule{"adam", func(p []nn.Param) optimizer { return optim.NewAdam(p, o) }, func() twin { return &adamTwin{AdamOptions: o} }}
}

// problem is a run of an optimizer: sizes of parameters, and for each step a rate and gradients,
// nil where undefined.
type problem struct {
	start [][]float64
	rates []float64
	grads [][][]float64
}

func draw(t *rapid.T) problem {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "values"), 1))
	normal := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		return v
	}
	var p problem
	sizes := rapid.SliceOfN(rapid.IntRange(1, 6), 1, 4).Draw(t, "sizes")
	for _, n := range sizes {
		p.start = append(p.start, normal(n))
	}
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		p.rates = append(p.rates, rapid.Float64Range(0, 0.5).Draw(t, "rate"))
		var gs [][]float64
		for _, n := range sizes {
			if rapid.IntRange(0, 3).Draw(t, "undefined") == 0 {
				gs = append(gs, nil)
			} else {
				gs = append(gs, normal(n))
			}
		}
		p.grads = append(p.grads, gs)
	}
	return p
}

func store(o torch.Options, start [][]float64) *nn.Store {
	s := nn.NewStore(o)
	for i, v := range start {
		s.Root().In("layer%d", i).Weight("weight", func(t torch.Tensor) { t.Copy_(torch.FromFloat64(v, int64(len(v)))) }, int64(len(v)))
	}
	return s
}

func tensors(o torch.Options, grads [][]float64) []torch.Tensor {
	ts := make([]torch.Tensor, len(grads))
	for i, g := range grads {
		if g != nil {
			ts[i] = torch.FromFloat64(g, int64(len(g))).To(o.DType).ToDevice(o.Device)
		}
	}
	return ts
}

func TestStepsEqualTheDocumentedAlgorithms(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		for name, drawRule := range map[string]func(t *rapid.T) rule{"sgd": drawSGD, "adam": drawAdam} {
			t.Run(name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					rule, p := drawRule(t), draw(t)
					var got [][][]float64
					do(t, func(*torch.Scope) {
						o := torch.Options{DType: torch.Float64, Device: d}
						s := store(o, p.start)
						opt := rule.make(s.Weights())
						for i, rate := range p.rates {
							torch.Within(func(*torch.Scope) { opt.Step([]float64{rate}, tensors(o, p.grads[i])) })
							var now [][]float64
							for _, w := range s.Weights() {
								now = append(now, w.Tensor.Float64s())
							}
							got = append(got, now)
						}
						opt.Free()
						s.Free()
					})
					twins := make([]twin, len(p.start))
					for j := range twins {
						twins[j] = rule.twin()
					}
					for i, rate := range p.rates {
						for j, g := range p.grads[i] {
							was := fmt.Sprint(p.start[j])
							if g != nil {
								twins[j].step(rate, p.start[j], g)
							}
							for k, want := range p.start[j] {
								// Steps are at most some units long: rounding of 1e-16 times the number of steps.
								if v := got[i][j][k]; !(math.Abs(v-want) <= 1e-12*math.Max(1, math.Abs(want))) {
									t.Fatalf("step %d, parameter %d, element %d is %v, want %v; it was %s", i, j, k, v, want, was)
								}
							}
						}
					}
				})
			})
		}
	})
}

var rules = []rule{
	sgd(torch.SGDOptions{}),
	sgd(torch.SGDOptions{Momentum: 0.9, Dampening: 0.5, WeightDecay: 0.01}),
	sgd(torch.SGDOptions{Momentum: 0.9, Nesterov: true}),
	adam(torch.AdamOptions{Beta1: 0.5, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-3}),
}

// state copies an optimizer's state and its parameters as bytes.
func state(o optimizer, s *nn.Store) map[string]string {
	m := map[string]string{}
	for _, p := range o.State() {
		m[p.Name] = string(p.Tensor.Bytes())
	}
	for p := range s.All() {
		m["parameter "+p.Name] = string(p.Tensor.Bytes())
	}
	return m
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %s is other", what, name)
		}
	}
}

func TestUndefinedGradientsTouchNothing(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		o := torch.Options{DType: torch.Float32, Device: d}
		for _, rule := range rules {
			do(t, func(*torch.Scope) {
				s := store(o, [][]float64{{1, 2}, {3}, {4, 5, 6}})
				opt := rule.make(s.Weights())
				opt.Step([]float64{0.1}, make([]torch.Tensor, 3))
				if n := len(opt.State()); n != 0 && rule.name == "sgd" || n != 1 && rule.name == "adam" {
					t.Errorf("%s has state of %d tensors before its first step", rule.name, n)
				}
				opt.Step([]float64{0.1}, tensors(o, [][]float64{{1, 1}, {1}, {1, 1, 1}}))
				before := state(opt, s)
				opt.Step([]float64{0.1}, make([]torch.Tensor, 3))
				same(t, rule.name+", all undefined", state(opt, s), before)
				opt.Step([]float64{0.1}, tensors(o, [][]float64{nil, {1}, nil}))
				after := state(opt, s)
				for name, was := range before {
					if changed := after[name] != was; changed != (strings.Contains(name, "layer1") || name == "step") {
						t.Errorf("%s: %s changed: %v", rule.name, name, changed)
					}
				}
				if rule.name == "adam" {
					steps := opt.State()
					if got := steps[len(steps)-1].Tensor.Int64s(); fmt.Sprint(got) != "[1 2 1]" {
						t.Errorf("steps %v, want [1 2 1]", got)
					}
				}
				opt.Free()
				s.Free()
			})
		}
	})
}

// gradients returns random gradients. The last one is undefined during the first two steps.
func gradients(step int) [][]float64 {
	r := rand.New(rand.NewPCG(uint64(step), 2))
	gs := [][]float64{{r.NormFloat64(), r.NormFloat64()}, {r.NormFloat64()}, {r.NormFloat64()}}
	if step < 2 {
		gs[2] = nil
	}
	return gs
}

func TestStateContinues(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			o := torch.Options{DType: dtype, Device: d}
			for _, rule := range rules {
				for saved := range 4 {
					do(t, func(*torch.Scope) {
						start := [][]float64{{1, -2}, {3}, {0.5}}
						s := store(o, start)
						whole := rule.make(s.Weights())
						for i := range saved {
							whole.Step([]float64{0.1}, tensors(o, gradients(i)))
						}
						// As a checkpoint does it: names to bytes and back, and other objects.
						copies, values := map[string]torch.Tensor{}, map[string]torch.Tensor{}
						for _, p := range whole.State() {
							copies[p.Name] = torch.FromBytes(p.Tensor.Bytes(), p.Tensor.DType(), p.Tensor.Shape()...).ToDevice(p.Tensor.Device())
						}
						for p := range s.All() {
							values[p.Name] = p.Tensor
						}
						other := store(o, [][]float64{{0, 0}, {0}, {0}})
						if err := other.Load(values); err != nil {
							t.Fatal(err)
						}
						resumed := rule.make(other.Weights())
						resumed.Step([]float64{0.3}, tensors(o, gradients(9))) // what Load has to replace
						if err := other.Load(values); err != nil {
							t.Fatal(err)
						}
						if err := resumed.Load(copies); err != nil {
							t.Fatal(err)
						}
						same(t, fmt.Sprintf("%s, loaded after %d steps", rule.name, saved), state(resumed, other), state(whole, s))
						for i := saved; i < 6; i++ {
							whole.Step([]float64{0.1}, tensors(o, gradients(i)))
							resumed.Step([]float64{0.1}, tensors(o, gradients(i)))
						}
						same(t, fmt.Sprintf("%s, continued after %d steps", rule.name, saved), state(resumed, other), state(whole, s))
						// Its own state is one that it can load.
						own := map[string]torch.Tensor{}
						for _, p := range resumed.State() {
							own[p.Name] = p.Tensor
						}
						if err := resumed.Load(own); err != nil {
							t.Error(err)
						}
						same(t, rule.name+", loaded from itself", state(resumed, other), state(whole, s))
						whole.Free()
						resumed.Free()
						s.Free()
						other.Free()
					})
				}
			}
		}
	})
}

func TestLoadOfAnotherOptimizersState(t *testing.T) {
	o := torchtest.Options(torch.Float64)
	for name, c := range map[string]struct {
		rule  rule
		spoil func(state map[string]torch.Tensor)
		words string
	}{
		"sgd, shape":        {rules[1], func(s map[string]torch.Tensor) { s["momentum.layer0.weight"] = torch.Zeros(o, 3) }, "momentum.layer0.weight has shape [3], not [2]"},
		"sgd, surplus":      {rules[1], func(s map[string]torch.Tensor) { s["momentum.layer7.weight"] = torch.Zeros(o, 3) }, "momentum.layer7.weight is not a parameter"},
		"adam's for sgd":    {rules[1], func(s map[string]torch.Tensor) { s["step"] = torch.Zeros(o, 3) }, "step is not a parameter"},
		"adam, shape":       {rules[3], func(s map[string]torch.Tensor) { s["exp_avg.layer0.weight"] = torch.Zeros(o, 2, 1) }, "exp_avg.layer0.weight has shape [2 1], not [2]"},
		"adam, half":        {rules[3], func(s map[string]torch.Tensor) { delete(s, "exp_avg_sq.layer1.weight") }, "exp_avg_sq.layer1.weight [1] is missing"},
		"adam, other half":  {rules[3], func(s map[string]torch.Tensor) { delete(s, "exp_avg.layer1.weight") }, "exp_avg.layer1.weight [1] is missing"},
		"adam, no steps":    {rules[3], func(s map[string]torch.Tensor) { delete(s, "step") }, "step [3] is missing"},
		"adam, more steps":  {rules[3], func(s map[string]torch.Tensor) { s["step"] = torch.Zeros(o, 4) }, "step has shape [4], not [3]"},
		"nothing, for adam": {rules[3], func(s map[string]torch.Tensor) { clear(s) }, "step [3] is missing"},
	} {
		do(t, func(*torch.Scope) {
			s := store(o, [][]float64{{1, -2}, {3}, {0.5}})
			opt := c.rule.make(s.Weights())
			opt.Step([]float64{0.1}, tensors(o, gradients(3)))
			bad := map[string]torch.Tensor{}
			for _, p := range opt.State() {
				bad[p.Name] = torch.Ones(torchtest.Options(p.Tensor.DType()), p.Tensor.Shape()...)
			}
			c.spoil(bad)
			before, live := state(opt, s), torch.Live()
			err := opt.Load(bad)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: error %v, want %q", name, err, c.words)
			}
			torch.Within(func(*torch.Scope) { same(t, name+", after the error", state(opt, s), before) })
			// Adam's counters are a tensor while they are looked at.
			if made := torch.Live() - live; made > 3 {
				t.Errorf("%s: %d tensors left by the error", name, made)
			}
			opt.Free()
			s.Free()
		})
	}
}

// Buffers and moments are made once, whatever the number of steps.
func TestStepsKeepTheirState(t *testing.T) {
	o := torchtest.Options(torch.Float32)
	for i, want := range []int64{0, 3, 3, 6} {
		do(t, func(*torch.Scope) {
			s := store(o, [][]float64{{1, -2}, {3}, {0.5}})
			opt := rules[i].make(s.Weights())
			live := torch.Live()
			for step := range 5 {
				torch.Within(func(*torch.Scope) { opt.Step([]float64{0.1}, tensors(o, gradients(step))) })
			}
			if made := torch.Live() - live; made != want {
				t.Errorf("%s keeps %d tensors, not %d", rules[i].name, made, want)
			}
			opt.Free()
			if torch.Live() != live {
				t.Errorf("%s: %d tensors after Free", rules[i].name, torch.Live()-live)
			}
			s.Free()
		})
	}
}

// A minimum is found: f(x) = |x - (3,-1)|^2.
func TestDescent(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		o := torch.Options{DType: torch.Float64, Device: d}
		for _, rule := range []rule{sgd(torch.SGDOptions{Momentum: 0.5}), adam(torch.AdamOptions{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8})} {
			do(t, func(*torch.Scope) {
				s := store(o, [][]float64{{0, 0}})
				w := s.Weights()[0].Tensor
				opt := rule.make(s.Weights())
				target := torch.FromFloat64([]float64{3, -1}, 2).ToDevice(d)
				for i := range 400 {
					torch.Within(func(*torch.Scope) {
						e := w.Sub(target)
						opt.Step([]float64{schedule.Cosine(0.2, 0, 400)(i)}, torch.Grad(e.Mul(e).Sum(), []torch.Tensor{w}))
					})
				}
				if v := w.Float64s(); math.Abs(v[0]-3) > 1e-3 || math.Abs(v[1]+1) > 1e-3 {
					t.Errorf("%s arrived at %v", rule.name, v)
				}
				if !w.RequiresGrad() || !bytes.Equal(w.Bytes(), s.Weights()[0].Tensor.Bytes()) {
					t.Error("the weight is not the store's any more")
				}
				opt.Free()
				s.Free()
			})
		}
	})
}
