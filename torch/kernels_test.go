package torch_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"hdas/torch"
)

// Depthwise convolution and 3x3 pooling equal libtorch's own, values and gradients, on random
// shapes, in both types.
func TestKernelsEqualLibtorch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom([]torch.DType{torch.Float32, torch.Float64}).Draw(t, "dtype")
		tolerance := map[torch.DType]float64{torch.Float32: 1e-5, torch.Float64: 1e-12}[dtype]
		n, c := rapid.Int64Range(1, 3).Draw(t, "n"), rapid.Int64Range(2, 5).Draw(t, "c")
		h, w := rapid.Int64Range(1, 40).Draw(t, "h"), rapid.Int64Range(1, 40).Draw(t, "w")
		stride := rapid.Int64Range(1, 2).Draw(t, "stride")
		kind := rapid.SampledFrom([]string{"depthwise", "max", "avg"}).Draw(t, "kind")
		k := rapid.SampledFrom([]int64{3, 5, 7}).Draw(t, "k")
		dilation := rapid.Int64Range(1, 2).Draw(t, "dilation")
		twice := rapid.Bool().Draw(t, "twice") // the same input read by two operations
		err := torch.Do(func(*torch.Scope) {
			torch.Seed(rapid.Uint64().Draw(t, "seed"))
			o := torch.Options{DType: dtype}
			x := torch.Randn(o, n, c, h, w).SetRequiresGrad(true)
			weight := torch.Randn(o, c, 1, k, k).SetRequiresGrad(true)
			compute := func() []torch.Tensor {
				run := func() torch.Tensor {
					switch kind {
					case "max":
						return torch.MaxPool2d(x, 3, stride, 1)
					case "avg":
						return torch.AvgPool2d(x, 3, stride, 1)
					}
					return torch.Conv2d(x, weight, torch.Tensor{}, torch.ConvOptions{
						Stride: []int64{stride}, Padding: []int64{dilation * (k / 2)}, Dilation: []int64{dilation}, Groups: c})
				}
				y := run()
				loss := y.Mul(y).Sum()
				if twice {
					loss = loss.Add(run().Sum())
				}
				grads := torch.Grad(loss, []torch.Tensor{x, weight})
				return append([]torch.Tensor{y}, grads...)
			}
			ours := compute()
			torch.PlainKernels(true)
			defer torch.PlainKernels(false)
			for i, want := range compute() {
				if ours[i].Defined() != want.Defined() {
					t.Fatalf("result %d: defined %v and %v", i, ours[i].Defined(), want.Defined())
				}
				if want.Defined() {
					near(t, fmt.Sprintf("%s, result %d", kind, i), ours[i], want, tolerance)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A NaN in a window is its maximum, and equal values send the gradient to the first.
func TestMaxPoolNaNAndTies(t *testing.T) {
	err := torch.Do(func(*torch.Scope) {
		x := torch.FromFloat64([]float64{1, 1, 1, math.NaN(), 0, 2, 2, 0, 0, 2, 2, 0, -1, -1, -1, -1}, 1, 1, 4, 4).SetRequiresGrad(true)
		both := func() (torch.Tensor, torch.Tensor) {
			y := torch.MaxPool2d(x, 3, 2, 1)
			return y, torch.Grad(y.Sum(), []torch.Tensor{x})[0]
		}
		y, dx := both()
		torch.PlainKernels(true)
		defer torch.PlainKernels(false)
		wantY, wantDX := both()
		for i, v := range wantY.Float64s() {
			if got := y.Float64s()[i]; got != v && !(math.IsNaN(got) && math.IsNaN(v)) {
				t.Errorf("value %d is %v, not %v", i, got, v)
			}
		}
		near(t, "gradient", dx, wantDX, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// near fails where the largest difference exceeds tolerance times the largest value.
func near(t interface {
	Helper()
	Errorf(string, ...any)
}, what string, got, want torch.Tensor, tolerance float64) {
	t.Helper()
	a, b := got.Float64s(), want.Float64s()
	if len(a) != len(b) {
		t.Errorf("%s: %d values, not %d", what, len(a), len(b))
		return
	}
	diff, size := 0.0, 0.0
	for i := range a {
		diff, size = max(diff, math.Abs(a[i]-b[i])), max(size, math.Abs(b[i]))
	}
	if !(diff <= tolerance*max(size, 1)) {
		t.Errorf("%s: differs by %g, of %g", what, diff, size)
	}
}
