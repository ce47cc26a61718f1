package ops_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"hdas/models/ops"
	"hdas/torch"
	"hdas/torch/nn"
)

// A Dag of random operations equals the same operations run one after the other by libtorch: values,
// gradients of the input, of all weights and of the scales, and running statistics, in both types, on
// random and odd sizes, with drop path, with states read several times, stored or computed again.
// In float32 gradients are ill-conditioned: behind batch norms of a few pixels, and where rounding
// takes a value to the other side of a ReLU; there libtorch's own are off by as much as their tolerance
// here. Equality is shown in float64. By the kernels, and by libtorch's operations shared.
func TestDagEqualsModules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { equal(t, true) })
}

// The same in evaluation, without gradients.
func TestDagEqualsModulesInEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { equal(t, false) })
}

type term struct {
	from, to int
	module   nn.Module
	at       int64 // of the scales; -1 without
	keep     bool
}

func equal(t *rapid.T, train bool) {
	dtype := rapid.SampledFrom([]torch.DType{torch.Float32, torch.Float64}).Draw(t, "dtype")
	tolerance := map[torch.DType]float64{torch.Float32: 1e-5, torch.Float64: 1e-10}[dtype]
	size := func(name string, from, to int64) int64 { return rapid.Int64Range(from, to).Draw(t, name) }
	n, c := size("n", 3, 19), size("c", 1, 6)*size("times", 1, 7)
	h, w := 2*size("h", 2, 9), 2*size("w", 2, 9)
	odd := rapid.Bool().Draw(t, "odd") && c > 1
	if odd {
		h, w = h+1, w-1
	}
	affine, recompute := rapid.Bool().Draw(t, "affine"), torch.Recompute(size("recompute", 0, 2))
	path := torch.Path(size("path", 0, 1))
	names := []string{"skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"}
	failure := torch.Do(func(*torch.Scope) {
		o := torch.Options{DType: dtype}
		torch.Seed(rapid.Uint64().Draw(t, "seed"))
		store := nn.NewStore(o)
		defer store.Free()
		scales := torch.Randn(o, 3, 4).SetRequiresGrad(true)
		keep := torch.Randn(o, n, 1, 1, 1)
		// States 0 and 1 are inputs of one size; 2 to 4 are sums, of half the size behind stride 2.
		stride := size("stride", 1, 2)
		var terms []term
		reads := map[int]bool{}
		for to := 2; to < 5; to++ {
			for i := range int(size("terms", 1, 3)) {
				e := term{from: int(size("from", 0, int64(to-1))), to: to, at: size("at", -1, 11), keep: rapid.Bool().Draw(t, "keep")}
				s := int64(1)
				if e.from < 2 {
					s = stride
				}
				choice := names
				if odd && s == 2 || c%2 == 1 {
					choice = names[1:] // a FactorizedReduce halves even sizes and channels
				}
				name := rapid.SampledFrom(choice).Draw(t, "op")
				l, err := ops.New(name, ops.Spec{C: c, Stride: s, Affine: affine, PoolNorm: rapid.Bool().Draw(t, "pool norm")})
				if err != nil {
					t.Fatal(err)
				}
				e.module = l.New(store.Root().In("%d.%d", to, i))
				terms, reads[e.from] = append(terms, e), true
			}
		}
		torch.NoGrad(func() {
			for p := range store.All() {
				p.Tensor.Add_(torch.Randn(o, p.Tensor.Shape()...).MulScalar(0.05))
				if p.Name[len(p.Name)-3:] == "var" {
					p.Tensor.AddScalar_(1)
				}
			}
		})
		out := []int{4, 2}
		before := copies(store)
		x := []torch.Tensor{torch.Randn(o, n, c, h, w), torch.Randn(o, n, c, h, w)}
		for i := range x {
			x[i].SetRequiresGrad(true)
		}
		asked := append(append([]torch.Tensor{scales}, x...), nn.Tensors(store.Weights())...)
		if rapid.Bool().Draw(t, "scales alone") {
			asked = asked[:1]
		}
		ctx := &nn.Ctx{Train: train}
		torch.SetPath(path)
		defer torch.SetPath(torch.Kernels)
		ours := func() torch.Tensor {
			d := torch.Dag{Inputs: x, States: 5, Out: out, Train: train, Recompute: recompute}
			for _, e := range terms {
				ts, ok := nn.Terms(ctx, e.module)
				if !ok {
					t.Fatal("an operation has no terms")
				}
				for _, u := range ts {
					u.From, u.To = e.from, e.to
					if e.at >= 0 {
						u.Scale, u.At = scales, e.at
					}
					if e.keep {
						u.Keep = keep
					}
					d.Terms = append(d.Terms, u)
				}
			}
			y, ok := torch.Compute(d)
			if !ok {
				t.Fatal("refused")
			}
			return y
		}
		plain := func() torch.Tensor {
			states := append([]torch.Tensor(nil), x...)
			states = append(states, make([]torch.Tensor, 3)...)
			flat := scales.Reshape(-1)
			for _, e := range terms {
				y := e.module.Forward(ctx, states[e.from])
				if e.at >= 0 {
					y = y.Mul(flat.Select(0, e.at))
				}
				if e.keep {
					y = y.Mul(keep)
				}
				if states[e.to].Defined() {
					y = states[e.to].Add(y)
				}
				states[e.to] = y
			}
			return torch.Cat([]torch.Tensor{states[4], states[2]}, 1)
		}
		run := func(f func() torch.Tensor) (all []torch.Tensor, running map[string][]float64) {
			if err := store.Load(before); err != nil {
				t.Fatal(err)
			}
			if !train {
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
		got, followed := run(ours)
		want, followedWant := run(plain)
		// In float32 a gradient that cancels to nothing is as exact as what it is the sum of.
		single, gradients := dtype == torch.Float32, 1.0
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
			if want[i].Defined() != got[i].Defined() {
				t.Errorf("%s: defined %v, not %v", what, got[i].Defined(), want[i].Defined())
			} else if want[i].Defined() {
				near(t, what, got[i].Float64s(), want[i].Float64s(), floor, tolerance)
			}
		}
		for name, v := range followedWant {
			near(t, name, followed[name], v, 1, tolerance)
		}
	})
	if failure != nil {
		t.Fatal(failure)
	}
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

// largest is the largest magnitude.
func largest(v []float64) (size float64) {
	for _, x := range v {
		size = max(size, math.Abs(x))
	}
	return size
}
