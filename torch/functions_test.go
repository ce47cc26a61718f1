package torch_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/torch"
)

func TestLinear(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		twins(t, "linear", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
			n, in, out := rapid.Int64Range(1, 6).Draw(t, "n"), rapid.Int64Range(1, 20).Draw(t, "in"), rapid.Int64Range(1, 6).Draw(t, "out")
			x, w, b := random(r, n, in), random(r, out, in), random(r, out)
			biased := rapid.Bool().Draw(t, "bias")
			want := build([]int64{n, out}, func(i []int64) float64 {
				s := 0.0
				for c := range in {
					s += x.at(i[0], c) * w.at(i[1], c)
				}
				if biased {
					s += b.at(i[1])
				}
				return s
			})
			return []array{x, w, b}, want, func(in []torch.Tensor) torch.Tensor {
				if !biased {
					in[2] = torch.Tensor{}
				}
				return torch.Linear(in[0], in[1], in[2])
			}
		})
	})
}

func TestCrossEntropy(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		twins(t, "cross entropy", k, func(t *rapid.T, r *rand.Rand) ([]array, array, func([]torch.Tensor) torch.Tensor) {
			n, classes := rapid.Int64Range(1, 6).Draw(t, "n"), rapid.Int64Range(1, 8).Draw(t, "classes")
			smoothing := rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "smoothing")
			logits := random(r, n, classes)
			labels := build([]int64{n}, func([]int64) float64 { return float64(r.Int64N(classes)) })
			want := zeros()
			for i := range n {
				// The target is 1 - smoothing on the label plus smoothing/classes everywhere.
				sum := 0.0
				for c := range classes {
					sum += math.Exp(logits.at(i, c))
				}
				for c := range classes {
					target := smoothing / float64(classes)
					if c == int64(labels.at(i)) {
						target += 1 - smoothing
					}
					want.v[0] -= target * (logits.at(i, c) - math.Log(sum)) / float64(n)
				}
			}
			return []array{logits, labels}, want, func(in []torch.Tensor) torch.Tensor {
				return torch.CrossEntropy(in[0], in[1].To(torch.Int64), smoothing)
			}
		})
	})
}

func TestBatchNorm(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		// Where a channel varies little, its inverse deviation, up to 1/sqrt(1e-3), multiplies rounding.
		k.tolerance *= 32
		rapid.Check(t, func(t *rapid.T) {
			r := generator(rapid.Uint64().Draw(t, "values"))
			shape := []int64{rapid.Int64Range(2, 4).Draw(t, "n"), rapid.Int64Range(1, 4).Draw(t, "c"), rapid.Int64Range(1, 4).Draw(t, "h"), rapid.Int64Range(1, 4).Draw(t, "w")}
			c := shape[1]
			affine, train := rapid.Bool().Draw(t, "affine"), rapid.Bool().Draw(t, "train")
			momentum, eps := rapid.SampledFrom([]float64{0.1, 0.25}).Draw(t, "momentum"), 1e-3
			x, weight, bias, mean := random(r, shape...), random(r, c), random(r, c), random(r, c)
			variance := build([]int64{c}, func([]int64) float64 { return float64(r.IntN(64)+1) / 16 })

			count := float64(shape[0] * shape[2] * shape[3])
			usedMean, usedVar := slices.Clone(mean.v), slices.Clone(variance.v)
			newMean, newVar := array{[]int64{c}, slices.Clone(mean.v)}, array{[]int64{c}, slices.Clone(variance.v)}
			if train {
				clear(usedMean)
				clear(usedVar)
				build(shape, func(i []int64) float64 { usedMean[i[1]] += x.at(i...) / count; return 0 })
				build(shape, func(i []int64) float64 { usedVar[i[1]] += math.Pow(x.at(i...)-usedMean[i[1]], 2) / count; return 0 })
				for i := range newMean.v {
					newMean.v[i] += momentum * (usedMean[i] - mean.v[i])
					// The running variance is the unbiased one.
					newVar.v[i] += momentum * (usedVar[i]*count/(count-1) - variance.v[i])
				}
			}
			want := build(shape, func(i []int64) float64 {
				y := (x.at(i...) - usedMean[i[1]]) / math.Sqrt(usedVar[i[1]]+eps)
				if affine {
					y = y*weight.at(i[1]) + bias.at(i[1])
				}
				return y
			})

			var got, gotMean, gotVar array
			do(t, func(*torch.Scope) {
				m, v := mean.tensor(k.Options), variance.tensor(k.Options)
				var w, b torch.Tensor
				if affine {
					w, b = weight.tensor(k.Options), bias.tensor(k.Options)
				}
				got = read(torch.BatchNorm(x.tensor(k.Options), w, b, m, v, train, momentum, eps))
				gotMean, gotVar = read(m), read(v)
			})
			equal(t, "result", got, want, k.tolerance)
			equal(t, "running mean", gotMean, newMean, k.tolerance)
			equal(t, "running variance", gotVar, newVar, k.tolerance)
		})
	})
}

// In one process, a batch norm over the processes is a batch norm: its value, its gradients, and the running statistics.
func TestSyncBatchNorm(t *testing.T) {
	do(t, func(*torch.Scope) {
		o := torchtest.Options(torch.Float64)
		torch.Seed(1)
		from := torch.Randn(o, 4, 3, 5, 6).AddScalar(2)
		for _, affine := range []bool{true, false} {
			compute := func(norm func(x, w, b, m, v torch.Tensor) torch.Tensor) (all [][]float64) {
				x := from.Clone().SetRequiresGrad(true)
				asked, w, b := []torch.Tensor{x}, torch.Tensor{}, torch.Tensor{}
				if affine {
					w, b = torch.Full(o, 1.5, 3).SetRequiresGrad(true), torch.Full(o, -0.5, 3).SetRequiresGrad(true)
					asked = append(asked, w, b)
				}
				m, v := torch.Zeros(o, 3), torch.Full(o, 1, 3)
				y := norm(x, w, b, m, v)
				for _, t := range append(torch.Grad(y.Mul(y).Mul(from).Sum(), asked), y, m, v) {
					all = append(all, t.Float64s())
				}
				return all
			}
			got := compute(func(x, w, b, m, v torch.Tensor) torch.Tensor { return torch.SyncBatchNorm(x, w, b, m, v, true) })
			want := compute(func(x, w, b, m, v torch.Tensor) torch.Tensor { return torch.BatchNorm(x, w, b, m, v, true, 0.1, 1e-5) })
			for i := range want {
				for k := range want[i] {
					if d := math.Abs(got[i][k] - want[i][k]); !(d < 1e-12*max(1, math.Abs(want[i][k]))) {
						t.Fatalf("affine %v: number %d of tensor %d is %v, not %v", affine, k, i, got[i][k], want[i][k])
					}
				}
			}
		}
	})
}
