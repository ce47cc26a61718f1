package models

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// A program of random operations equals the same operations run one after the other by libtorch:
// values, gradients of the inputs, of all weights and of the scales, and running statistics, in both
// types, on random and odd sizes, with masks, with states read several times, stored or computed
// again, before and after a step has changed the weights. In float32 gradients are ill-conditioned:
// behind batch norms of a few pixels, and where rounding takes a value to the other side of a ReLU;
// there libtorch's own are off by as much as their tolerance here. Equality is shown in float64. By
// the kernels, and by libtorch's operations edge by edge and with equal edges grouped.
func TestProgramEqualsOperationsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { equal(t, true, true) })
}

// The same with running statistics and with gradients.
func TestProgramByRunningStatistics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { equal(t, false, true) })
}

// The same in evaluation, without gradients.
func TestProgramInEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { equal(t, false, false) })
}

func equal(t *rapid.T, train, gradients bool) {
	dtype := rapid.SampledFrom([]torch.DType{torch.Float32, torch.Float64}).Draw(t, "dtype")
	tolerance := map[torch.DType]float64{torch.Float32: 1e-5, torch.Float64: 1e-10}[dtype]
	size := func(name string, from, to int64) int64 { return rapid.Int64Range(from, to).Draw(t, name) }
	n, c := size("n", 3, 19), size("c", 1, 6)*size("times", 1, 7)
	h, w := 2*size("h", 2, 9), 2*size("w", 2, 9)
	odd := rapid.Bool().Draw(t, "odd") && c > 1
	if odd {
		h, w = h+1, w-1
	}
	affine := rapid.Bool().Draw(t, "affine")
	how := torch.Pass{Recompute: kernel.Recompute(size("recompute", 0, 2)), Path: kernel.Path(size("path", 0, 2))}
	if !train {
		how.Norm = kernel.RunningStatistics
	} else if rapid.Bool().Draw(t, "sync") { // of one process
		how.Norm = kernel.SyncStatistics
	}
	names := []string{"skip_connect", "none", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"}
	if how.Path == kernel.Grouped { // few operations, so that some are equal
		names = []string{"skip_connect", rapid.SampledFrom(names[1:]).Draw(t, "first op"), rapid.SampledFrom(names[1:]).Draw(t, "second op")}
	}
	err := torch.Do(func(*torch.Scope) error {
		o := torchtest.Options(dtype)
		torch.Seed(rapid.Uint64().Draw(t, "seed"))
		store := nn.NewStore(o)
		defer store.Free()
		scales := torch.Randn(o, 3, 4).SetRequiresGrad(gradients)
		how.Scales = []torch.Tensor{scales}
		// States 0 and 1 are inputs of one size; 2 to 4 are sums, of half the size behind stride 2.
		stride := size("stride", 1, 2)
		outs := [][]int{{4, 2}, {2, 4, 2}, {2, 3, 4}}
		if stride == 1 {
			outs = append(outs, []int{1, 4}) // an input
		}
		g := graph{builder: builder{store: store}, Graph: torch.Graph{Inputs: 2, States: 5, Out: rapid.SampledFrom(outs).Draw(t, "out")}}
		for to := 2; to < 5; to++ {
			for i := range int(size("terms", 1, 3)) {
				term := torch.Term{From: int(size("from", 0, int64(to-1))), To: to, Masked: rapid.Bool().Draw(t, "masked")}
				if at := size("at", -1, 11); at >= 0 {
					term.Scale = &torch.Scale{Element: at}
				}
				s := int64(1)
				if term.From < 2 {
					s = stride
				}
				choice := names
				if odd && s == 2 || c%2 == 1 {
					choice = names[1:] // a FactorizedReduce halves even sizes and channels
				}
				name := rapid.SampledFrom(choice).Draw(t, "op")
				rounds, err := ops.New(name, ops.Spec{C: c, Stride: s, Affine: affine, PoolNorm: rapid.Bool().Draw(t, "pool norm")})
				if err != nil {
					t.Fatal(err)
				}
				e := plan.Entry{At: fmt.Sprintf("%d.%d", to, i), Rounds: rounds}
				g.make(layer.Under(e.At, rounds.Params()))
				term.Rounds = g.bind(e)
				g.Terms = append(g.Terms, term)
				if term.Masked && rapid.Bool().Draw(t, "mask") {
					how.Masks = append(how.Masks, torch.Randn(o, n, 1, 1, 1))
				} else if term.Masked {
					how.Masks = append(how.Masks, torch.Tensor{})
				}
			}
		}
		// At least one scale, so that the pass has a tensor of scales.
		g.Terms[0].Scale = &torch.Scale{Element: 11}
		disturb := func(by float64) {
			torch.NoGrad(func() {
				for p := range store.All() {
					p.Tensor.Add_(torch.Randn(o, p.Tensor.Shape()...).MulScalar(by))
					if p.Name[len(p.Name)-3:] == "var" {
						p.Tensor.Copy_(p.Tensor.ReLU()).AddScalar_(0.5)
					}
				}
			})
		}
		disturb(0.05)
		x := []torch.Tensor{torch.Randn(o, n, c, h, w), torch.Randn(o, n, c, h, w)}
		for i := range x {
			x[i].SetRequiresGrad(gradients)
		}
		asked := append(append([]torch.Tensor{scales}, x...), nn.Tensors(store.Weights())...)
		if rapid.Bool().Draw(t, "scales alone") {
			asked = asked[:1]
		}
		program := g.compile()
		for range 2 {
			before := copies(store)
			run := func(f func() torch.Tensor) (all []torch.Tensor, running map[string][]float64) {
				if err := store.Load(before); err != nil {
					t.Fatal(err)
				}
				if !gradients {
					torch.NoGrad(func() { all = []torch.Tensor{f()} })
					return all, nil
				}
				y := f()
				all = append(all, y)
				all = append(all, torch.Grad(y.Mul(y).Sum(), asked)...)
				running = map[string][]float64{}
				for p := range store.All() {
					if !p.Trainable {
						running[p.Name] = p.Tensor.Float64s()
					}
				}
				return all, running
			}
			got, followed := run(func() torch.Tensor { return program.Run(x, how) })
			want, followedWant := run(func() torch.Tensor { return oneByOne(g.Graph, x, how) })
			compare(t, store, got, want, dtype == torch.Float32, tolerance)
			for name, v := range followedWant {
				near(t, name, followed[name], v, 1, tolerance)
			}
			disturb(0.1) // as a step does: the program is bound to tensors, not to what they held
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compare compares values, and the gradients of the scales, of both inputs and of the weights.
func compare(t *rapid.T, store *nn.Store, got, want []torch.Tensor, single bool, tolerance float64) {
	// In float32, a gradient whose summands cancel has the absolute error of its summands.
	gradients := 1.0
	for _, w := range want[1:] {
		if w.Defined() && single {
			gradients = max(gradients, 0.01*largest(w.Float64s()))
		}
	}
	for i := range want {
		what, floor, tolerance := "value", 1.0, tolerance
		if i > 0 {
			if single {
				floor, tolerance = gradients, 3e-2
			}
			what = fmt.Sprintf("gradient %d", i-1)
			if k := i - 1 - 3; k >= 0 {
				what = "gradient of " + store.Weights()[k].Name
			}
		}
		// Gradients through a zero are undefined with libtorch, and may be zeros with the kernels.
		switch {
		case want[i].Defined() && got[i].Defined():
			near(t, what, got[i].Float64s(), want[i].Float64s(), floor, tolerance)
		case want[i].Defined():
			t.Errorf("%s is undefined", what)
		case got[i].Defined() && largest(got[i].Float64s()) != 0:
			t.Errorf("%s is not zero", what)
		}
	}
}

// oneByOne computes a graph with separate operations of libtorch.
func oneByOne(g torch.Graph, x []torch.Tensor, how torch.Pass) torch.Tensor {
	states := append(append([]torch.Tensor(nil), x...), make([]torch.Tensor, g.States-g.Inputs)...)
	masks := how.Masks
	for _, term := range g.Terms {
		y := states[term.From]
		for _, r := range term.Rounds {
			y = round(r, y, how.Norm != kernel.RunningStatistics)
		}
		if term.Scale != nil {
			y = y.Mul(how.Scales[term.Scale.Tensor].Reshape(-1).Select(0, term.Scale.Element))
		}
		if term.Masked {
			if masks[0].Defined() {
				y = y.Mul(masks[0])
			}
			masks = masks[1:]
		}
		states[term.To] = add(states[term.To], y)
	}
	return concat(states, g.Out)
}

func round(r torch.Round, x torch.Tensor, batch bool) torch.Tensor {
	if r.ReLU {
		x = x.ReLU()
	}
	o := torch.ConvOptions{Stride: r.Stride[:], Padding: r.Padding[:], Dilation: r.Dilation[:]}
	none := torch.Tensor{}
	switch r.Kind() {
	case kernel.Point:
		x = torch.Conv2d(x, r.Point, none, torch.ConvOptions{})
	case kernel.Depthwise:
		o.Groups = r.In
		x = torch.Conv2d(torch.Conv2d(x, r.Window, none, o), r.Point, none, torch.ConvOptions{})
	case kernel.Dense:
		x = torch.Conv2d(x, r.Window, none, o)
	case kernel.Halve:
		two := torch.ConvOptions{Stride: []int64{2}}
		shifted := x.Narrow(2, 1, x.Size(2)-1).Narrow(3, 1, x.Size(3)-1)
		x = torch.Cat([]torch.Tensor{torch.Conv2d(x, r.Point, none, two), torch.Conv2d(shifted, r.Shifted, none, two)}, 1)
	case kernel.MaxPool:
		x = torch.MaxPool2d(x, 3, r.Stride[0], 1)
	case kernel.AvgPool:
		x = torch.AvgPool2d(x, 3, r.Stride[0], 1)
	case kernel.Zero:
		h, w, _ := r.Size(x.Size(2), x.Size(3))
		x = torch.Zeros(torchtest.Options(x.DType()), x.Size(0), x.Size(1), h, w)
	}
	if r.Norm {
		x = torch.BatchNorm(x, r.Gamma, r.Beta, r.Mean, r.Var, batch, 0.1, 1e-5)
	}
	return x
}

func copies(s *nn.Store) map[string]torch.Tensor {
	m := map[string]torch.Tensor{}
	for p := range s.All() {
		m[p.Name] = p.Tensor.Detach().Clone()
	}
	return m
}

// near fails where the largest difference exceeds tolerance times the largest value, or times floor.
func near(t *rapid.T, what string, got, want []float64, floor, tolerance float64) {
	if len(got) != len(want) {
		t.Errorf("%s: %d values, not %d", what, len(got), len(want))
		return
	}
	diff, size := 0.0, max(floor, largest(want))
	for i := range want {
		diff = max(diff, math.Abs(got[i]-want[i]))
	}
	if !(diff <= tolerance*size) {
		t.Errorf("%s differs by %g, of %g", what, diff, size)
	}
}

// largest returns the largest absolute value.
func largest(v []float64) (size float64) {
	for _, x := range v {
		size = max(size, math.Abs(x))
	}
	return size
}
