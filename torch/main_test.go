package torch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var (
	do         = torchtest.Do
	eachDevice = torchtest.EachDevice
	panics     = torchtest.Panics
)

// kind is where and as what a check runs, and how far its results may be from float64's: relative
// to the larger of 1 and the value.
type kind struct {
	torch.Options
	tolerance float64
}

// eachKind runs f for both types of floating point, on every device.
func eachKind(t *testing.T, f func(t *testing.T, k kind)) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		// Sums of up to about a thousand products, each rounded: 2^-24 and 2^-53 times about 300.
		t.Run("float32", func(t *testing.T) { f(t, kind{torch.Options{DType: torch.Float32, Device: d}, 2e-5}) })
		t.Run("float64", func(t *testing.T) { f(t, kind{torch.Options{DType: torch.Float64, Device: d}, 4e-14}) })
	})
}

// array is a tensor in plain Go, in row-major order.
type array struct {
	shape []int64
	v     []float64
}

func size(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// build is the array whose element at i is f(i).
func build(shape []int64, f func(i []int64) float64) array {
	a := array{slices.Clone(shape), make([]float64, size(shape))}
	i := make([]int64, len(shape))
	for n := range a.v {
		a.v[n] = f(i)
		for d := len(i) - 1; d >= 0; d-- {
			if i[d]++; i[d] < shape[d] {
				break
			}
			i[d] = 0
		}
	}
	return a
}

func zeros(shape ...int64) array { return build(shape, func([]int64) float64 { return 0 }) }

// random has multiples of 1/64 in [-4,4]: exact in float32 and even in TF32, so that types and
// devices start from the same numbers.
func random(r *rand.Rand, shape ...int64) array {
	return build(shape, func([]int64) float64 { return float64(r.IntN(513)-256) / 64 })
}

// distinct has no number twice, none is zero and no two are closer than 1/64.
func distinct(r *rand.Rand, shape ...int64) array {
	n := size(shape)
	order := r.Perm(int(n))
	k := -1
	return build(shape, func([]int64) float64 { k++; return (float64(order[k]) - float64(n/2) + 0.5) / 64 })
}

func (a array) index(i ...int64) int64 {
	n := int64(0)
	for d, k := range i {
		n = n*a.shape[d] + k
	}
	return n
}

func (a array) at(i ...int64) float64 { return a.v[a.index(i...)] }

func (a array) tensor(o torch.Options) torch.Tensor {
	return torch.FromFloat64(a.v, a.shape...).To(o.DType).ToDevice(o.Device)
}

// read copies t out.
func read(t torch.Tensor) array { return array{t.Shape(), t.Float64s()} }

// differ says where got is not want, within the tolerance; empty when it is everywhere.
func differ(got, want array, tolerance float64) string {
	if !slices.Equal(got.shape, want.shape) {
		return fmt.Sprintf("shape %v, want %v", got.shape, want.shape)
	}
	for i, w := range want.v {
		g := got.v[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= tolerance*math.Max(1, math.Abs(w))) {
			return fmt.Sprintf("element %d of %v is %v, want %v", i, want.shape, g, w)
		}
	}
	return ""
}

func equal(t torchtest.T, what string, got, want array, tolerance float64) {
	t.Helper()
	if d := differ(got, want, tolerance); d != "" {
		t.Fatalf("%s: %s", what, d)
	}
}

func generator(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
