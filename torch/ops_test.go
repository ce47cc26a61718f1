package torch_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hdas/torch"
)

// twins is the frame of the checks here: it draws shapes with rapid, then runs op and compares it
// with what plain Go computes. Drawing and failing happen outside Do, where rapid's own panics
// belong.
func twins(t *testing.T, op string, k kind, draw func(t *rapid.T, r *rand.Rand) (inputs []array, want array, run func(in []torch.Tensor) torch.Tensor)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		inputs, want, run := draw(t, generator(rapid.Uint64().Draw(t, "values")))
		var got array
		do(t, func(*torch.Scope) {
			in := make([]torch.Tensor, len(inputs))
			for i, a := range inputs {
				in[i] = a.tensor(k.Options)
			}
			out := run(in)
			if out.Device() != k.Device {
				panic("the result is on " + out.Device().String())
			}
			got = read(out)
		})
		equal(t, op, got, want, k.tolerance)
	})
}

func drawShape(t *rapid.T, least, most int) []int64 {
	return rapid.SliceOfN(rapid.Int64Range(1, 5), least, most).Draw(t, "shape")
}

func drawDim(t *rapid.T, shape []int64) (dim int64, positive int) {
	positive = rapid.IntRange(0, len(shape)-1).Draw(t, "dim")
	if rapid.Bool().Draw(t, "counted from behind") {
		return int64(positive - len(shape)), positive
	}
	return int64(positive), positive
}

func without(shape []int64, d int) []int64 { return slices.Delete(slices.Clone(shape), d, d+1) }

func with(shape []int64, d int, n int64) []int64 { return slices.Insert(slices.Clone(shape), d, n) }

func swap(shape []int64, d int, n int64) []int64 {
	s := slices.Clone(shape)
	s[d] = n
	return s
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestArithmetic(t *testing.T) {
	binary := map[string]struct {
		run  func(a, b torch.Tensor) torch.Tensor
		want func(a, b float64) float64
	}{
		"add":     {torch.Tensor.Add, func(a, b float64) float64 { return a + b }},
		"add_":    {func(a, b torch.Tensor) torch.Tensor { return a.Clone().Add_(b) }, func(a, b float64) float64 { return a + b }},
		"sub":     {torch.Tensor.Sub, func(a, b float64) float64 { return a - b }},
		"mul":     {torch.Tensor.Mul, func(a, b float64) float64 { return a * b }},
		"greater": {torch.Tensor.Greater, func(a, b float64) float64 { return truth(a > b) }},
		"equal":   {torch.Tensor.Equal, func(a, b float64) float64 { return truth(a == b) }},
		"copy_":   {func(a, b torch.Tensor) torch.Tensor { return a.Clone().Copy_(b) }, func(_, b float64) float64 { return b }},
	}
	unary := map[string]struct {
		run  func(a torch.Tensor, v float64) torch.Tensor
		want func(a, v float64) float64
	}{
		"add scalar":  {torch.Tensor.AddScalar, func(a, v float64) float64 { return a + v }},
		"add_ scalar": {func(a torch.Tensor, v float64) torch.Tensor { return a.Clone().AddScalar_(v) }, func(a, v float64) float64 { return a + v }},
		"mul scalar":  {torch.Tensor.MulScalar, func(a, v float64) float64 { return a * v }},
		"clamp_":      {func(a torch.Tensor, v float64) torch.Tensor { return a.Clone().Clamp_(-v*v, v*v) }, func(a, v float64) float64 { return min(max(a, -v*v), v*v) }},
		"mul_ scalar": {func(a torch.Tensor, v float64) torch.Tensor { return a.Clone().MulScalar_(v) }, func(a, v float64) float64 { return a * v }},
		"relu":        {func(a torch.Tensor, _ float64) torch.Tensor { return a.ReLU() }, func(a, _ float64) float64 { return max(a, 0) }},
		"reciprocal":  {func(a torch.Tensor, _ float64) torch.Tensor { return a.Reciprocal() }, func(a, _ float64) float64 { return 1 / a }},
		"zero_":       {func(a torch.Tensor, _ float64) torch.Tensor { return a.Clone().Zero_() }, func(_, _ float64) float64 { return 0 }},
		"clone":       {func(a torch.Tensor, _ float64) torch.Tensor { return a.Clone() }, func(a, _ float64) float64 { return a }},
		"detach":      {func(a torch.Tensor, _ float64) torch.Tensor { return a.Detach() }, func(a, _ float64) float64 { return a }},
		"to int64":    {func(a torch.Tensor, _ float64) torch.Tensor { return a.To(torch.Int64) }, func(a, _ float64) float64 { return math.Trunc(a) }},
		"to bool":     {func(a torch.Tensor, _ float64) torch.Tensor { return a.To(torch.Bool) }, func(a, _ float64) float64 { return truth(a != 0) }},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for name, op := range binary {
			t.Run(name, func(t *testing.T) {
				twins(t, name, k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
					shape := drawShape(t, 0, 4)
					// The second operand broadcasts: some of its dimensions are 1, its first ones absent.
					other := slices.Clone(shape)
					for d := range other {
						if rapid.Bool().Draw(t, "broadcast") {
							other[d] = 1
						}
					}
					other = other[rapid.IntRange(0, len(shape)).Draw(t, "dimensions left out"):]
					a, b := random(r, shape...), random(r, other...)
					want := build(shape, func(i []int64) float64 {
						j := slices.Clone(i[len(shape)-len(other):])
						for d := range j {
							j[d] = min(j[d], other[d]-1)
						}
						return op.want(a.at(i...), b.at(j...))
					})
					return []array{a, b}, want, func(in []torch.Tensor) torch.Tensor { return op.run(in[0], in[1]) }
				})
			})
		}
		for name, op := range unary {
			t.Run(name, func(t *testing.T) {
				twins(t, name, k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
					a := random(r, drawShape(t, 0, 4)...)
					v := float64(rapid.IntRange(-100, 100).Draw(t, "v")) / 64
					want := build(a.shape, func(i []int64) float64 { return op.want(a.at(i...), v) })
					return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return op.run(in[0], v) }
				})
			})
		}
	})
}

func TestReductions(t *testing.T) {
	// along maps the elements along one dimension to one.
	along := map[string]struct {
		run  func(a torch.Tensor, d int64) torch.Tensor
		want func(line []float64) float64
	}{
		"sum": {torch.Tensor.SumDim, func(line []float64) float64 {
			s := 0.0
			for _, v := range line {
				s += v
			}
			return s
		}},
		"argmax": {torch.Tensor.Argmax, func(line []float64) float64 { return float64(slices.Index(line, slices.Max(line))) }},
	}
	eachKind(t, func(t *testing.T, k kind) {
		for name, op := range along {
			t.Run(name, func(t *testing.T) {
				twins(t, name, k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
					a := distinct(r, drawShape(t, 1, 4)...)
					d, at := drawDim(t, a.shape)
					want := build(without(a.shape, at), func(i []int64) float64 { return op.want(line(a, at, with(i, at, 0))) })
					return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return op.run(in[0], d) }
				})
			})
		}
		for name, run := range map[string]func(torch.Tensor) torch.Tensor{"sum of all": torch.Tensor.Sum, "mean of all": torch.Tensor.Mean} {
			t.Run(name, func(t *testing.T) {
				twins(t, name, k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
					a := random(r, drawShape(t, 0, 4)...)
					want := zeros()
					for _, v := range a.v {
						want.v[0] += v
					}
					if name == "mean of all" {
						want.v[0] /= float64(len(a.v))
					}
					return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return run(in[0]) }
				})
			})
		}
		t.Run("softmax", func(t *testing.T) {
			twins(t, "softmax", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := random(r, drawShape(t, 1, 4)...)
				d, at := drawDim(t, a.shape)
				want := build(a.shape, func(i []int64) float64 {
					sum := 0.0
					for _, v := range line(a, at, i) {
						sum += math.Exp(v - a.at(i...))
					}
					return 1 / sum
				})
				return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return in[0].Softmax(d) }
			})
		})
		t.Run("topk", func(t *testing.T) {
			twins(t, "topk", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := distinct(r, drawShape(t, 1, 4)...)
				d, at := drawDim(t, a.shape)
				n := rapid.Int64Range(1, a.shape[at]).Draw(t, "k")
				want := build(swap(a.shape, at, n), func(i []int64) float64 {
					l := line(a, at, i)
					sorted := slices.Sorted(slices.Values(l))
					return float64(slices.Index(l, sorted[len(l)-1-int(i[at])]))
				})
				return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return in[0].TopK(n, d) }
			})
		})
	})
}

// line is the elements of a along dimension d through i.
func line(a array, d int, i []int64) []float64 {
	var l []float64
	for n := range a.shape[d] {
		l = append(l, a.at(swap(i, d, n)...))
	}
	return l
}

func TestViewsAndJoins(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		t.Run("reshape", func(t *testing.T) {
			twins(t, "reshape", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := random(r, drawShape(t, 0, 4)...)
				shape := rapid.Permutation(a.shape).Draw(t, "to")
				ask := slices.Clone(shape)
				if len(shape) > 0 && rapid.Bool().Draw(t, "one left to libtorch") {
					ask[0] = -1
				}
				return []array{a}, array{shape, a.v}, func(in []torch.Tensor) torch.Tensor { return in[0].Reshape(ask...) }
			})
		})
		t.Run("narrow", func(t *testing.T) {
			twins(t, "narrow", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := random(r, drawShape(t, 1, 4)...)
				d, at := drawDim(t, a.shape)
				start := rapid.Int64Range(0, a.shape[at]).Draw(t, "start")
				length := rapid.Int64Range(0, a.shape[at]-start).Draw(t, "length")
				want := build(swap(a.shape, at, length), func(i []int64) float64 { return a.at(swap(i, at, i[at]+start)...) })
				return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return in[0].Narrow(d, start, length) }
			})
		})
		t.Run("select", func(t *testing.T) {
			twins(t, "select", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := random(r, drawShape(t, 1, 4)...)
				d, at := drawDim(t, a.shape)
				n := rapid.Int64Range(0, a.shape[at]-1).Draw(t, "index")
				want := build(without(a.shape, at), func(i []int64) float64 { return a.at(with(i, at, n)...) })
				return []array{a}, want, func(in []torch.Tensor) torch.Tensor { return in[0].Select(d, n) }
			})
		})
		t.Run("gather", func(t *testing.T) {
			twins(t, "gather", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				a := random(r, drawShape(t, 1, 4)...)
				d, at := drawDim(t, a.shape)
				index := build(swap(a.shape, at, rapid.Int64Range(1, 6).Draw(t, "picks")), func([]int64) float64 { return float64(r.Int64N(a.shape[at])) })
				want := build(index.shape, func(i []int64) float64 { return a.at(swap(i, at, int64(index.at(i...)))...) })
				return []array{a, index}, want, func(in []torch.Tensor) torch.Tensor { return in[0].Gather(d, in[1].To(torch.Int64)) }
			})
		})
		t.Run("cat", func(t *testing.T) {
			twins(t, "cat", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				shape := drawShape(t, 1, 4)
				d, at := drawDim(t, shape)
				var parts []array
				total := int64(0)
				for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 4), 1, 5).Draw(t, "sizes") {
					parts = append(parts, random(r, swap(shape, at, n)...))
					total += n
				}
				want := build(swap(shape, at, total), func(i []int64) float64 {
					n, p := i[at], 0
					for ; n >= parts[p].shape[at]; p++ {
						n -= parts[p].shape[at]
					}
					return parts[p].at(swap(i, at, n)...)
				})
				return parts, want, func(in []torch.Tensor) torch.Tensor { return torch.Cat(in, d) }
			})
		})
		t.Run("stack", func(t *testing.T) {
			twins(t, "stack", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
				shape := drawShape(t, 0, 3)
				n := rapid.Int64Range(1, 5).Draw(t, "tensors")
				var parts []array
				for range n {
					parts = append(parts, random(r, shape...))
				}
				d, at := drawDim(t, with(shape, 0, n))
				want := build(with(shape, at, n), func(i []int64) float64 { return parts[i[at]].at(without(i, at)...) })
				return parts, want, func(in []torch.Tensor) torch.Tensor { return torch.Stack(in, d) }
			})
		})
	})
}
