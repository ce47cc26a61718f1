package torch_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/kernel"
)

// separable is a depthwise 3x3 convolution, a 1x1 convolution and a batch norm from 4 to 6 channels.
func separable() torch.Round {
	o := torchtest.Options(torch.Float32)
	return torch.Round{
		Round: kernel.Round{ReLU: true, Window: kernel.Depthwise, Kernel: [2]int64{3, 3}, Stride: [2]int64{1, 1}, Padding: [2]int64{1, 1}, Dilation: [2]int64{1, 1},
			In: 4, Out: 6, Norm: true, Affine: true},
		Window: torch.Randn(o, 4, 1, 3, 3), Point: torch.Randn(o, 6, 4, 1, 1),
		Gamma: torch.Ones(o, 6), Beta: torch.Zeros(o, 6), Mean: torch.Zeros(o, 6), Var: torch.Ones(o, 6),
	}
}

func graphOf(r ...torch.Round) torch.Graph {
	return torch.Graph{Inputs: 1, States: 2, Terms: []torch.Term{{From: 0, To: 1, Rounds: r}}, Out: []int{1}}
}

// Whatever is wrong with a graph, or does not fit it, is an *Error that says where, before anything
// is computed; a parameter's or an input's shape is in it.
func TestImpossiblePrograms(t *testing.T) {
	change := func(f func(r *torch.Round)) torch.Graph {
		r := separable()
		f(&r)
		return graphOf(r)
	}
	term := func(f func(t *torch.Term)) torch.Graph {
		g := graphOf(separable())
		f(&g.Terms[0])
		return g
	}
	do(t, func(*torch.Scope) {
		for name, c := range map[string]struct {
			g      torch.Graph
			words  string
			shapes [][]int64
		}{
			"no output":            {torch.Graph{Inputs: 1, States: 1}, "at least one", nil},
			"output beyond":        {torch.Graph{Inputs: 1, States: 1, Out: []int{1}}, "0..0", nil},
			"from beyond":          {term(func(t *torch.Term) { t.From = 7 }), "term 0", nil},
			"from itself":          {term(func(t *torch.Term) { t.From = 1 }), "earlier", nil},
			"negative from":        {term(func(t *torch.Term) { t.From = -1 }), "earlier", nil},
			"into an input":        {term(func(t *torch.Term) { t.To = 0 }), "earlier", nil},
			"to beyond":            {term(func(t *torch.Term) { t.To = 2 }), "earlier", nil},
			"negative scale":       {term(func(t *torch.Term) { t.Scale = &torch.Scale{Element: -1} }), "negative", nil},
			"window too small":     {change(func(r *torch.Round) { r.Kernel, r.Padding = [2]int64{5, 5}, [2]int64{2, 2} }), "window", [][]int64{{4, 1, 5, 5}, {4, 1, 3, 3}}},
			"other channels":       {change(func(r *torch.Round) { r.In = 8 }), "window", [][]int64{{8, 1, 3, 3}, {4, 1, 3, 3}}},
			"no window":            {change(func(r *torch.Round) { r.Window = torch.Tensor{} }), "window", [][]int64{{4, 1, 3, 3}, nil}},
			"point too small":      {change(func(r *torch.Round) { r.Point = torch.Ones(torchtest.Options(torch.Float32), 5, 4, 1, 1) }), "1x1", [][]int64{{6, 4, 1, 1}, {5, 4, 1, 1}}},
			"surplus parameter":    {change(func(r *torch.Round) { r.Shifted = r.Point }), "shifted", [][]int64{nil, {6, 4, 1, 1}}},
			"mean too small":       {change(func(r *torch.Round) { r.Mean = torch.Ones(torchtest.Options(torch.Float32), 2) }), "running mean", [][]int64{{6}, {2}}},
			"stride 0":             {change(func(r *torch.Round) { r.Stride[1] = 0 }), "stride", nil},
			"padding too large":    {change(func(r *torch.Round) { r.Padding[0] = 3 }), "padding", nil},
			"unknown window":       {change(func(r *torch.Round) { r.Round.Window = 99 }), "window 99", nil},
			"pooling of 5x5":       {graphOf(torch.Round{Round: kernel.Round{Window: kernel.MaxPool, Kernel: [2]int64{5, 5}, Stride: [2]int64{1, 1}, Padding: [2]int64{2, 2}, Dilation: [2]int64{1, 1}, In: 4, Out: 4}}), "3x3", nil},
			"channels do not meet": {graphOf(separable(), separable()), "round 1", nil},
		} {
			err := torch.Do(func(*torch.Scope) error { torch.Compile(c.g).Free(); return nil })
			var fault *torch.Error
			if !errors.As(err, &fault) || fault.Op != "compile" || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v does not say %q", name, err, c.words)
			} else if !slices.EqualFunc(fault.Shapes, c.shapes, slices.Equal) {
				t.Errorf("%s: shapes %v, not %v", name, fault.Shapes, c.shapes)
			}
		}

		g := graphOf(separable())
		g.Terms[0].Scale, g.Terms[0].Masked = &torch.Scale{Element: 5}, true
		p := torch.Compile(g)
		defer p.Free()
		o := torchtest.Options(torch.Float32)
		scales := []torch.Tensor{torch.Ones(o, 2, 3)}
		x := torch.Ones(o, 2, 4, 6, 6)
		for name, c := range map[string]struct {
			in    []torch.Tensor
			how   torch.Pass
			words string
		}{
			"no input":          {nil, torch.Pass{Scales: scales}, "inputs"},
			"other channels":    {[]torch.Tensor{torch.Ones(o, 2, 5, 6, 6)}, torch.Pass{Scales: scales}, "4 channels"},
			"three dimensions":  {[]torch.Tensor{torch.Ones(o, 4, 6, 6)}, torch.Pass{Scales: scales}, "(N,C,H,W)"},
			"no samples":        {[]torch.Tensor{torch.Ones(o, 0, 4, 6, 6)}, torch.Pass{Scales: scales}, "(N,C,H,W)"},
			"no scales":         {[]torch.Tensor{x}, torch.Pass{}, "scales"},
			"scales too small":  {[]torch.Tensor{x}, torch.Pass{Scales: []torch.Tensor{torch.Ones(o, 5)}}, "6 elements"},
			"too many masks":    {[]torch.Tensor{x}, torch.Pass{Scales: scales, Masks: make([]torch.Tensor, 2)}, "masks"},
			"mask of others":    {[]torch.Tensor{x}, torch.Pass{Scales: scales, Masks: []torch.Tensor{torch.Ones(o, 3, 1, 1, 1)}}, "mask 0"},
			"of another device": {[]torch.Tensor{x.To(torch.Float64)}, torch.Pass{Scales: scales}, ""},
		} {
			for path := kernel.Kernels; path <= kernel.Grouped; path++ {
				c.how.Path = path
				err := torch.Do(func(*torch.Scope) error { p.Run(c.in, c.how); return nil })
				var fault *torch.Error
				if !errors.As(err, &fault) || fault.Op != "cell" || len(fault.Shapes) != len(c.in) || !strings.Contains(err.Error(), c.words) {
					t.Errorf("%s: %v does not say %q", name, err, c.words)
				}
			}
		}
	})
}

// A window that does not fit the padded input, and an odd size that is to be halved, are errors too.
func TestSizesThatDoNotFit(t *testing.T) {
	one, two := [2]int64{1, 1}, [2]int64{2, 2}
	do(t, func(*torch.Scope) {
		o := torchtest.Options(torch.Float32)
		dense := torch.Round{Round: kernel.Round{Window: kernel.Dense, Kernel: [2]int64{1, 7}, Stride: one, Dilation: one, In: 2, Out: 2}, Window: torch.Ones(o, 2, 2, 1, 7)}
		halve := torch.Round{Round: kernel.Round{Window: kernel.Halve, Kernel: one, Stride: two, Dilation: one, In: 2, Out: 4}, Point: torch.Ones(o, 2, 2, 1, 1), Shifted: torch.Ones(o, 2, 2, 1, 1)}
		for _, c := range []struct {
			torch.Round
			h, w int64
		}{{dense, 7, 6}, {halve, 5, 4}, {halve, 4, 5}} {
			p := torch.Compile(graphOf(c.Round))
			err := torch.Do(func(*torch.Scope) error {
				p.Run([]torch.Tensor{torch.Ones(o, 1, 2, c.h, c.w)}, torch.Pass{})
				return nil
			})
			p.Free()
			var fault *torch.Error
			if !errors.As(err, &fault) {
				t.Errorf("%v of %dx%d pixels: %v", c.Kind(), c.h, c.w, err)
			}
		}
	})
}

// A NaN or an infinity in the input, or in a weight, comes out where libtorch has it.
func TestProgramKeepsNaN(t *testing.T) {
	do(t, func(*torch.Scope) {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			values := make([]float64, 2*4*5*5)
			for i := range values {
				values[i] = float64(i%7) - 3
			}
			values[4*25+12] = bad // the middle of a channel of the second sample
			r := separable()
			r.Norm, r.Affine = false, false
			r.Gamma, r.Beta, r.Mean, r.Var = torch.Tensor{}, torch.Tensor{}, torch.Tensor{}, torch.Tensor{}
			p := torch.Compile(graphOf(r))
			x := []torch.Tensor{torchtest.Float64s(values, 2, 4, 5, 5).To(torch.Float32)}
			a, b := p.Run(x, torch.Pass{Path: kernel.Kernels}).Float64s(), p.Run(x, torch.Pass{Path: kernel.Operations}).Float64s()
			p.Free()
			odd := 0
			for i := range a {
				if math.IsNaN(a[i]) != math.IsNaN(b[i]) || math.IsInf(a[i], 0) != math.IsInf(b[i], 0) {
					t.Fatalf("%v: element %d is %v, by libtorch's operations %v", bad, i, a[i], b[i])
				}
				if math.IsNaN(b[i]) || math.IsInf(b[i], 0) {
					odd++
				}
			}
			if (odd == 0) != (bad < 0) { // ReLU takes minus infinity to 0
				t.Errorf("%v: %d elements are not finite", bad, odd)
			}
		}
	})
}

// The factor of a skip, and its gradient, are not rounded to the type of the features: in float16 a gradient of
// more than 65504 stays finite, and a factor a little above 1 is not 1.
func TestFactorsKeepTheirType(t *testing.T) {
	do(t, func(*torch.Scope) {
		p := torch.Compile(torch.Graph{Inputs: 1, States: 2, Out: []int{1}, Terms: []torch.Term{{From: 0, To: 1, Scale: &torch.Scale{}}}})
		defer p.Free()
		const n, ulp = 1 << 17, 1.0 / 1024 // of float16, between 1 and 2
		alpha := torchtest.Float64s([]float64{1 + 0.49*ulp}, 1).To(torch.Float32).SetRequiresGrad(true)
		x := torch.Ones(torchtest.Options(torch.Float16), 1, 1, 1, n).MulScalar(1.5)
		for path := kernel.Kernels; path <= kernel.Grouped; path++ {
			y := p.Run([]torch.Tensor{x}, torch.Pass{Scales: []torch.Tensor{alpha}, Path: path})
			if got := y.Narrow(3, 0, 1).Float64s()[0]; y.DType() != torch.Float16 || got != 1.5+ulp {
				t.Errorf("%v: %v of type %v, not %v", path, got, y.DType(), 1.5+ulp)
			}
			grad := torch.Grad(y.To(torch.Float32).Sum(), []torch.Tensor{alpha})[0]
			if got := grad.Float64s()[0]; grad.DType() != torch.Float32 || got != 1.5*n {
				t.Errorf("%v: gradient %v of type %v, not %v", path, got, grad.DType(), 1.5*n)
			}
		}
	})
}

// A program counts as one live tensor until it is freed, and a second Free does nothing.
func TestProgramIsCounted(t *testing.T) {
	do(t, func(*torch.Scope) {
		r := separable()
		live := torch.Live()
		p := torch.Compile(graphOf(r))
		if n := torch.Live() - live; n != 1 {
			t.Errorf("a program counts as %d", n)
		}
		p.Free()
		p.Free()
		if n := torch.Live() - live; n != 0 {
			t.Errorf("%d are left", n)
		}
		if text := panics(func() { p.Run(nil, torch.Pass{}) }); !strings.Contains(text, "freed") {
			t.Errorf("a freed program: %q", text)
		}
	})
}
