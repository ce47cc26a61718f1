package torch_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"hdas/torch"
)

// The gradient of every differentiable operation against central differences, in float64.
func TestGradients(t *testing.T) {
	r := generator(10)
	labels := func(d torch.Device) torch.Tensor { return torch.FromInt64([]int64{0, 2, 1}, 3).ToDevice(d) }
	cases := map[string]struct {
		inputs []array
		f      func(x []torch.Tensor) torch.Tensor
	}{
		"add":           {[]array{random(r, 2, 3), random(r, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Add(x[1]) }},
		"sub":           {[]array{random(r, 2, 3), random(r, 2, 1)}, func(x []torch.Tensor) torch.Tensor { return x[0].Sub(x[1]) }},
		"mul":           {[]array{random(r, 2, 3), random(r)}, func(x []torch.Tensor) torch.Tensor { return x[0].Mul(x[1]) }},
		"square":        {[]array{random(r, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].Mul(x[0]) }},
		"add scalar":    {[]array{random(r, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].AddScalar(2) }},
		"mul scalar":    {[]array{random(r, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].MulScalar(-2.5) }},
		"sum":           {[]array{random(r, 2, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Sum() }},
		"sum dim":       {[]array{random(r, 2, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].SumDim(0) }},
		"mean":          {[]array{random(r, 2, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Mean() }},
		"softmax":       {[]array{random(r, 2, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Softmax(-1) }},
		"relu":          {[]array{distinct(r, 3, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].ReLU() }},
		"clone":         {[]array{random(r, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Clone() }},
		"permute":       {[]array{random(r, 2, 3, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].Permute(2, 0, 1) }},
		"reshape":       {[]array{random(r, 2, 3)}, func(x []torch.Tensor) torch.Tensor { return x[0].Reshape(3, 2) }},
		"narrow":        {[]array{random(r, 2, 5)}, func(x []torch.Tensor) torch.Tensor { return x[0].Narrow(1, 1, 3) }},
		"select":        {[]array{random(r, 2, 5)}, func(x []torch.Tensor) torch.Tensor { return x[0].Select(1, 3) }},
		"gather":        {[]array{random(r, 4)}, func(x []torch.Tensor) torch.Tensor { return x[0].Gather(0, labels(x[0].Device())) }},
		"cat":           {[]array{random(r, 2, 2), random(r, 1, 2)}, func(x []torch.Tensor) torch.Tensor { return torch.Cat(x, 0) }},
		"stack":         {[]array{random(r, 2), random(r, 2)}, func(x []torch.Tensor) torch.Tensor { return torch.Stack(x, 1) }},
		"linear":        {[]array{random(r, 2, 3), random(r, 4, 3), random(r, 4)}, func(x []torch.Tensor) torch.Tensor { return torch.Linear(x[0], x[1], x[2]) }},
		"global mean":   {[]array{random(r, 2, 2, 3, 3)}, func(x []torch.Tensor) torch.Tensor { return torch.GlobalAvgPool(x[0]) }},
		"cross entropy": {[]array{random(r, 3, 4)}, func(x []torch.Tensor) torch.Tensor { return torch.CrossEntropy(x[0], labels(x[0].Device()), 0.1) }},
		"batch norm": {[]array{random(r, 3, 2, 2, 2), random(r, 2), random(r, 2)}, func(x []torch.Tensor) torch.Tensor {
			return torch.BatchNorm(x[0], x[1], x[2], torch.Tensor{}, torch.Tensor{}, true, 0.1, 1e-3)
		}},
		"batch norm by its running statistics": {[]array{random(r, 3, 2, 2, 2), random(r, 2), random(r, 2)}, func(x []torch.Tensor) torch.Tensor {
			o := torch.Options{DType: torch.Float64, Device: x[0].Device()}
			return torch.BatchNorm(x[0], x[1], x[2], torch.Full(o, 0.5, 2), torch.Full(o, 3, 2), false, 0.1, 1e-3)
		}},
		"convolutions and pools in a chain": {[]array{distinct(r, 2, 2, 5, 5), random(r, 2, 1, 3, 3), random(r, 3, 2, 1, 1)}, func(x []torch.Tensor) torch.Tensor {
			y := torch.Conv2d(x[0], x[1], torch.Tensor{}, torch.ConvOptions{Padding: []int64{1}, Groups: 2})
			y = torch.Conv2d(y, x[2], torch.Tensor{}, torch.ConvOptions{})
			return torch.AvgPool2d(torch.MaxPool2d(y, 3, 1, 1), 3, 2, 1)
		}},
	}
	// With steps of 1e-5 the difference is off by about 1e-10 times the third derivative, and by
	// rounding of 1e-16 * 100 / 1e-5 = 1e-9.
	const h, tolerance = 1e-5, 1e-6
	eachDevice(t, func(t *testing.T, d torch.Device) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				do(t, func(*torch.Scope) {
					o := torch.Options{DType: torch.Float64, Device: d}
					loss := func(inputs []array) (torch.Tensor, []torch.Tensor) {
						var x []torch.Tensor
						for _, a := range inputs {
							x = append(x, a.tensor(o).SetRequiresGrad(true))
						}
						y := c.f(x)
						// Weights that differ, so that no element's gradient can stand for another's.
						return y.Mul(array{y.Shape(), random(generator(11), y.Shape()...).v}.tensor(o)).Sum(), x
					}
					at, x := loss(c.inputs)
					for i, g := range torch.Grad(at, x) {
						got, v := read(g), c.inputs[i].v
						want := zeros(c.inputs[i].shape...)
						for j, was := range v {
							for _, sign := range []float64{1, -1} {
								torch.Within(func(*torch.Scope) {
									v[j] = was + sign*h
									l, _ := loss(c.inputs)
									want.v[j] += sign * l.Item() / (2 * h)
								})
							}
							v[j] = was
						}
						equal(t, fmt.Sprint("gradient of input ", i), got, want, tolerance)
					}
				})
			})
		}
	})
}

func TestGradOfManyInputs(t *testing.T) {
	const n = 300
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			o := torch.Options{DType: torch.Float64, Device: d}
			inputs := make([]torch.Tensor, n)
			other := torch.Ones(o, 2).SetRequiresGrad(true) // used but not asked for
			loss := other.Sum()
			for i := range inputs {
				inputs[i] = torch.Full(o, float64(i), 2).SetRequiresGrad(true)
				if i%3 != 1 {
					loss = loss.Add(inputs[i].Mul(inputs[i]).Sum())
				}
			}
			before := torch.Live()
			grads := torch.Grad(loss, inputs)
			if made := torch.Live() - before; made != 2*n/3 || len(grads) != n {
				t.Errorf("%d gradients in a list of %d", made, len(grads))
			}
			for i, g := range grads {
				if i%3 == 1 {
					if g.Defined() {
						t.Errorf("gradient %d is defined, but the loss does not depend on the input", i)
					}
					continue
				}
				// d(x^2)/dx = 2x
				equal(t, fmt.Sprint("gradient ", i), read(g), array{[]int64{2}, []float64{float64(2 * i), float64(2 * i)}}, 0)
				if g.RequiresGrad() {
					t.Fatalf("gradient %d is part of a graph", i)
				}
			}
			if got := torch.Grad(loss, nil); len(got) != 0 {
				t.Errorf("%d gradients of no inputs", len(got))
			}
		})
	})
}

// Every gradient can be changed in place without changing another, though libtorch may give several
// inputs the same tensor, or one number for all elements.
func TestGradientsAreTheirOwn(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			a, b := torch.Ones(k.Options, 2, 2).SetRequiresGrad(true), torch.Ones(k.Options, 2, 2).SetRequiresGrad(true)
			for name, loss := range map[string]torch.Tensor{
				"sum of a sum":    a.Add(b).Sum(),
				"mean of a sum":   a.Add(b).Mean(),
				"product of sums": a.Add(b).Mul(a.Sub(b).AddScalar(1)).Sum(),
			} {
				grads := torch.Grad(loss, []torch.Tensor{a, b})
				want := [2]array{read(grads[0]), read(grads[1])}
				for i, g := range grads {
					g.AddScalar_(float64(i + 1))
					for j := range want[i].v {
						want[i].v[j] += float64(i + 1)
					}
				}
				for i, g := range grads {
					equal(t, fmt.Sprint(name, ", gradient ", i), read(g), want[i], k.tolerance)
				}
			}
			// The loss itself, and an input used as it is.
			loss := a.Sum()
			if got := torch.Grad(loss, []torch.Tensor{a})[0].MulScalar_(3); got.Sum().Item() != 12 || a.Sum().Item() != 4 {
				t.Error("the gradient of a sum shares elements with something")
			}
		})
	})
}

func TestNoGrad(t *testing.T) {
	do(t, func(*torch.Scope) {
		x := torch.Ones(float32s(), 2).SetRequiresGrad(true)
		if !x.RequiresGrad() || !x.AddScalar(1).RequiresGrad() || x.Detach().RequiresGrad() {
			t.Error("gradients are not recorded as they should be")
		}
		torch.NoGrad(func() {
			torch.NoGrad(func() {})
			if torch.GradEnabled() || x.AddScalar(1).RequiresGrad() || !x.RequiresGrad() {
				t.Error("gradients are recorded inside NoGrad, after an inner one")
			}
			x.AddScalar_(1) // allowed here only
		})
		if !torch.GradEnabled() || x.Sum().Item() != 4 {
			t.Error("not as before after NoGrad")
		}
		if text := panics(func() { torch.NoGrad(func() { panic("words") }) }); text != "words" || !torch.GradEnabled() {
			t.Errorf("after the panic %q gradients are not recorded", text)
		}
		if text := panics(func() { torch.NoGrad(func() { x.Add(torch.Ones(float32s(), 3)) }) }); !strings.Contains(text, "must match") || !torch.GradEnabled() {
			t.Errorf("after the error %q gradients are not recorded", text)
		}
		if x.SetRequiresGrad(false).RequiresGrad() {
			t.Error("still a leaf with a gradient")
		}
	})
}

// max / (norm + 1e-6), at most 1: torch.nn.utils.clip_grad_norm_.
func TestClipGradNorm(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		for name, c := range map[string]struct {
			grads []array
			max   float64
		}{
			"above":          {[]array{{[]int64{1}, []float64{3}}, {[]int64{2, 1}, []float64{0, -4}}}, 1},
			"below":          {[]array{{[]int64{1}, []float64{3}}, {[]int64{2, 1}, []float64{0, -4}}}, 7},
			"just":           {[]array{{[]int64{}, []float64{5}}}, 5},
			"of nothing":     {[]array{{[]int64{2}, []float64{0, 0}}}, 1},
			"empty tensor":   {[]array{{[]int64{0}, nil}, {[]int64{1}, []float64{-8}}}, 2},
			"many":           {[]array{random(generator(1), 20, 20), random(generator(2), 7), random(generator(3), 3, 4, 5)}, 0.25},
			"nothing at all": {nil, 1},
		} {
			norm := 0.0
			for _, g := range c.grads {
				for _, v := range g.v {
					norm += v * v
				}
			}
			norm = math.Sqrt(norm)
			factor := min(1, c.max/(norm+1e-6))
			do(t, func(*torch.Scope) {
				grads := []torch.Tensor{{}} // undefined ones do not count
				for _, g := range c.grads {
					grads = append(grads, g.tensor(k.Options), torch.Tensor{})
				}
				live := torch.Live()
				equal(t, name+", Norm", read(torch.Norm(grads)), array{[]int64{}, []float64{norm}}, k.tolerance)
				equal(t, name+", norm", read(torch.ClipGradNorm(grads, c.max)), array{[]int64{}, []float64{norm}}, k.tolerance)
				if torch.Live() != live+2 {
					t.Errorf("%s: %d new tensors, not the two norms", name, torch.Live()-live)
				}
				for i, g := range c.grads {
					equal(t, name, read(grads[2*i+1]), build(g.shape, func(j []int64) float64 { return g.at(j...) * factor }), k.tolerance)
				}
			})
		}
	})
}

// Grad stores nothing in any leaf: neither in its inputs nor in others that the loss depends on.
func TestGradStoresNothing(t *testing.T) {
	do(t, func(*torch.Scope) {
		asked, other := torch.Ones(float32s(), 2).SetRequiresGrad(true), torch.Ones(float32s(), 2).SetRequiresGrad(true)
		if g := torch.Grad(asked.Mul(other).Sum(), []torch.Tensor{asked})[0].Sum().Item(); g != 2 {
			t.Errorf("gradient %v, not 2", g)
		}
		for name, leaf := range map[string]torch.Tensor{"input": asked, "other": other} {
			if leaf.Grad().Defined() {
				t.Errorf("a gradient is stored in the %s", name)
			}
		}
	})
}
