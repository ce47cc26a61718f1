package torch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// shapes are those of a drawn list of tensors; some have no elements.
func shapes(t *rapid.T) [][]int64 {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.Int64Range(0, 9), 0, 3), 1, 8).Draw(t, "shapes")
}

// fresh returns tensors of the shapes with random elements, each with memory of its own.
func fresh(r *rand.Rand, o torch.Options, shapes [][]int64) []torch.Tensor {
	ts := make([]torch.Tensor, len(shapes))
	for i, s := range shapes {
		ts[i] = random(r, s...).tensor(o)
	}
	return ts
}

// rearrange returns copies of ts that are, in memory, one by one, in a drawn order, in two pieces, or
// with gaps: as gradients and parameters may be.
func rearrange(t *rapid.T, ts []torch.Tensor) []torch.Tensor {
	out := make([]torch.Tensor, len(ts))
	for i, x := range ts {
		out[i] = x.Detach().Clone()
	}
	order := rapid.Permutation(out).Draw(t, "order")
	switch rapid.SampledFrom([]string{"apart", "flat", "two pieces", "strided"}).Draw(t, "memory") {
	case "flat":
		torch.Flatten(order)
	case "two pieces":
		n := rapid.IntRange(0, len(order)).Draw(t, "piece")
		torch.Flatten(order[:n])
		torch.Flatten(order[n:])
	case "strided":
		for i, x := range out {
			if s := slices.Clone(x.Shape()); len(s) > 1 {
				s[1] += 2
				wide := torch.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, s...)
				out[i] = wide.Narrow(1, 1, x.Size(1)).Copy_(x)
			}
		}
	}
	return out
}

func values(ts []torch.Tensor) [][]float64 {
	out := make([][]float64, len(ts))
	for i, t := range ts {
		if t.Defined() {
			out[i] = t.Float64s()
		}
	}
	return out
}

func alike(t fataler, what string, got, want [][]float64, tolerance float64) {
	for i := range want {
		for k, w := range want[i] {
			if d := math.Abs(got[i][k] - w); !(d <= tolerance*max(1, math.Abs(w))) {
				t.Fatalf("%s: element %d of tensor %d is %v, not %v", what, k, i, got[i][k], w)
			}
		}
	}
}

type fataler interface{ Fatalf(string, ...any) }

// Lists in any memory give the numbers of lists whose tensors are apart, and element by element those of single
// operations: steps, clipping, scaling, copies and sums.
func TestListsInAnyMemory(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		rapid.Check(t, func(t *rapid.T) {
			do(t, func(*torch.Scope) {
				r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				of := shapes(t)
				p0, g0, m0, v0 := fresh(r, k.Options, of), fresh(r, k.Options, of), fresh(r, k.Options, of), fresh(r, k.Options, of)
				for i := range v0 {
					v0[i] = v0[i].Mul(v0[i]) // second moments are not negative
				}
				both := func(what string, tolerance float64, f func(p, g, m, v []torch.Tensor) [][]float64) {
					t.Helper()
					copies := func(ts []torch.Tensor) []torch.Tensor {
						out := make([]torch.Tensor, len(ts))
						for i, x := range ts {
							out[i] = x.Clone()
						}
						return out
					}
					want := f(copies(p0), copies(g0), copies(m0), copies(v0))
					got := f(rearrange(t, p0), rearrange(t, g0), rearrange(t, m0), rearrange(t, v0))
					alike(t, what, got, want, tolerance)
				}
				fresh := make([]bool, len(of))
				steps := make([]int64, len(of))
				for i := range fresh {
					fresh[i], steps[i] = rapid.Bool().Draw(t, "fresh"), rapid.Int64Range(1, 3).Draw(t, "step")
				}
				both("sgd", 0, func(p, g, m, _ []torch.Tensor) [][]float64 {
					torch.SGDStep(p, g, m, fresh, torch.SGDOptions{LR: 0.25, Momentum: 0.5, WeightDecay: 0.125, Nesterov: steps[0] == 1})
					return slices.Concat(values(p), values(g), values(m))
				})
				both("adam", 1e-6, func(p, g, m, v []torch.Tensor) [][]float64 {
					torch.AdamStep(p, g, m, v, steps, nil, torch.AdamOptions{LR: 0.25, Beta1: 0.5, Beta2: 0.75, Eps: 1e-3, WeightDecay: 0.125})
					return slices.Concat(values(p), values(g), values(m), values(v))
				})
				both("clip", k.tolerance, func(_, g, _, _ []torch.Tensor) [][]float64 {
					norm := torch.ClipGradNorm(g, 1)
					return append(values(g), norm.Float64s(), torch.Norm(g).Float64s())
				})
				both("scale", 0, func(_, g, _, _ []torch.Tensor) [][]float64 {
					torch.ScaleAll(g, 0.375)
					return values(g)
				})
				both("clone and copy", 0, func(p, g, m, v []torch.Tensor) [][]float64 {
					c := torch.CloneAll(p)
					torch.CopyAll(p, g)
					torch.CopyAll(m, torch.ToCPU(c))
					torch.CopyAll(c, v)
					return slices.Concat(values(p), values(m), values(torch.ToCPU(c)), values(torch.ZerosLike(p)))
				})
				both("add", 0, func(p, g, _, _ []torch.Tensor) [][]float64 {
					want := make([]torch.Tensor, len(p))
					factor := torch.Full(torch.Options{Device: k.Device, DType: k.DType}, 0.375)
					for i := range p {
						want[i] = p[i].Add(g[i].Mul(factor))
					}
					torch.AddAll(p, g, factor)
					alike(t, "added", values(p), values(want), 0)
					return values(p)
				})
				both("keep", 0, func(p, g, m, v []torch.Tensor) [][]float64 {
					torch.KeepIf(torch.Zeros(k.Options).IsFinite(), p, g)
					torch.KeepIf(torch.Full(k.Options, math.NaN()).IsFinite(), m, v)
					return slices.Concat(values(p), values(m))
				})
				both("flatten like", 0, func(p, g, _, _ []torch.Tensor) [][]float64 {
					torch.FlattenLike(g, p)
					return values(g)
				})
			})
		})
	})
}

// Tensors that are moved to one storage keep their values, what refers to them, and their gradients; a step
// changes them there. A tensor between them that has no gradient stays as it is.
func TestFlatten(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			r := rand.New(rand.NewPCG(1, 1))
			ts := fresh(r, k.Options, [][]int64{{2, 3}, {}, {4}, {0, 2}, {5, 1, 2}})
			var also []torch.Tensor
			for i := range ts {
				ts[i].SetRequiresGrad(true)
				also = append(also, ts[i].Reshape(-1))
			}
			before := values(ts)
			order := []torch.Tensor{ts[4], ts[0], ts[3], ts[2], ts[1]}
			if torch.Adjacent(order) {
				t.Error("they are adjacent before they are moved")
			}
			torch.Flatten(order)
			if !torch.Adjacent(order) || torch.Adjacent(ts) {
				t.Error("they are not in that order")
			}
			alike(t, "moved", values(ts), before, 0)
			loss := torch.Zeros(k.Options)
			for i, x := range ts {
				if !x.RequiresGrad() {
					t.Errorf("tensor %d requires no gradient", i)
				}
				if i != 0 {
					loss = loss.Add(x.Mul(x).Sum())
				}
			}
			grads := torch.Grad(loss, ts)
			if grads[0].Defined() {
				t.Error("a gradient of a tensor that is not used")
			}
			var params, gs []torch.Tensor
			for i, g := range grads {
				if g.Defined() {
					alike(t, "gradient", [][]float64{g.MulScalar(0.5).Float64s()}, before[i:i+1], 0)
					params, gs = append(params, ts[i]), append(gs, g)
				}
			}
			torch.SGDStep(params, gs, nil, nil, torch.SGDOptions{LR: 0.25})
			for i, v := range before {
				for j := range v {
					if i != 0 {
						v[j] -= 0.5 * v[j]
					}
				}
			}
			alike(t, "stepped", values(ts), before, 0)
			alike(t, "views made before", values(also[:1]), before[:1], 0)
			torch.FlattenLike(grads, ts)
			if !torch.Adjacent([]torch.Tensor{grads[4], grads[3], grads[2], grads[1]}) {
				t.Error("the gradients are not in the order of their parameters")
			}
			if x := torch.CloneAll(order); !torch.Adjacent(x) {
				t.Error("copies are not adjacent")
			}
			if x := torch.ZerosLike(order); !torch.Adjacent(x) || x[0].RequiresGrad() {
				t.Error("zeros are not adjacent, or require a gradient")
			}
		})
	})
}

// A tensor that was changed in a list cannot be differentiated through any more, as if it had been changed alone.
func TestListsTellAutograd(t *testing.T) {
	do(t, func(*torch.Scope) {
		ts := []torch.Tensor{torch.Ones(torchtest.Options(torch.Float32), 2), torch.Ones(torchtest.Options(torch.Float32), 3)}
		for _, x := range ts {
			x.SetRequiresGrad(true)
		}
		torch.Flatten(ts)
		for i := range ts {
			loss := ts[i].Mul(ts[i]).Sum()
			torch.ScaleAll(ts, 2)
			if text := panics(func() { torch.Grad(loss, ts[i:i+1]) }); text == "" {
				t.Errorf("the gradient of tensor %d is that of its old value times its new one", i)
			}
		}
	})
}

func TestFlattenRefuses(t *testing.T) {
	do(t, func(*torch.Scope) {
		x := torch.Ones(torchtest.Options(torch.Float32), 2).SetRequiresGrad(true)
		for name, ts := range map[string][]torch.Tensor{
			"other types": {torch.Ones(torchtest.Options(torch.Float32), 2), torch.Ones(torchtest.Options(torch.Float64), 2)},
			"no leaf":     {torch.Ones(torchtest.Options(torch.Float32), 2), x.MulScalar(2)},
		} {
			if text := panics(func() { torch.Flatten(ts) }); text == "" {
				t.Errorf("%s: no error", name)
			}
		}
		if text := panics(func() {
			torch.CopyAll([]torch.Tensor{x}, []torch.Tensor{torch.Ones(torchtest.Options(torch.Float32), 1)})
		}); text == "" {
			t.Error("a copy of another shape")
		}
	})
}

// A large norm has the digits of its type: float32 sums of two million squares lose some.
func TestNormOfManyElements(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			var ts []torch.Tensor
			squares := 0.0
			torch.Seed(3)
			for i := range 40 {
				x := torch.Randn(torchtest.Options(torch.Float32), int64(50000+i))
				for _, v := range x.Float64s() {
					squares += v * v
				}
				ts = append(ts, x.ToDevice(d))
			}
			torch.Flatten(ts)
			want := math.Sqrt(squares)
			if got := torch.Norm(ts).Item(); math.Abs(got-want) > 3e-7*want {
				t.Errorf("norm %v, not %v: off by %.2g", got, want, math.Abs(got-want)/want)
			}
		})
	})
}

// Adam with its numbers of steps on the device takes the same steps.
func TestAdamCountsOnDevice(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			o := torch.AdamOptions{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-3}
			var got [2][][]float64
			for way := range got {
				r := rand.New(rand.NewPCG(2, 2))
				of := [][]int64{{3, 2}, {5}}
				p := fresh(r, k.Options, of)
				m, v := torch.ZerosLike(p), torch.ZerosLike(p)
				for step := range 20 {
					steps := []int64{int64(step + 1), int64(step + 2)}
					var counts []torch.Tensor
					if way == 1 {
						c := torch.FromInt64(steps, 2).ToDevice(k.Device)
						counts = []torch.Tensor{c.Select(0, 0), c.Select(0, 1)}
					}
					torch.AdamStep(p, fresh(r, k.Options, of), m, v, steps, counts, o)
				}
				got[way] = slices.Concat(values(p), values(m), values(v))
			}
			alike(t, "adam", got[1], got[0], k.tolerance)
		})
	})
}

// The switches of CUDA are those of libtorch's context, which exists without a device. deterministic and
// benchmark exclude each other.
func TestCUDASwitches(t *testing.T) {
	do(t, func(*torch.Scope) {
		state := func() string { return fmt.Sprint(torch.CUDASwitches()) }
		defer func() { torch.SetTF32(false); torch.SetDeterministic(false) }()
		for _, c := range []struct {
			set  func()
			want string
		}{
			{func() { torch.SetTF32(false); torch.SetDeterministic(false) }, "false false false"},
			{func() { torch.SetTF32(true) }, "true false false"},
			{func() { torch.SetDeterministic(true) }, "true true false"},
			{func() { torch.SetBenchmark(true) }, "true false true"},
			{func() { torch.SetDeterministic(true) }, "true true false"},
			{func() { torch.SetTF32(false) }, "false true false"},
		} {
			if c.set(); state() != c.want {
				t.Errorf("switches %s, not %s", state(), c.want)
			}
		}
	})
}
