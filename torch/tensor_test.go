package torch_test

import (
	"math"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Views share elements, copies do not.
func TestSharing(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			x := torch.Zeros(k.Options, 2, 2)
			x.Narrow(0, 0, 1).AddScalar_(1)
			x.Select(1, 1).AddScalar_(2)
			x.Detach().AddScalar_(4)
			x.Reshape(4).AddScalar_(8)
			x.Clone().AddScalar_(16)
			x.Add(x).AddScalar_(16)
			equal(t, "elements", read(x), array{[]int64{2, 2}, []float64{13, 15, 12, 14}}, 0)
		})
	})
}

func TestConstructors(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		for _, dtype := range []torch.DType{0, torch.Int64, torch.Float16, torch.Float32, torch.Float64, torch.Bool, torch.BFloat16} {
			for _, shape := range [][]int64{{}, {0}, {3}, {2, 0, 4}, {2, 3, 4}} {
				do(t, func(*torch.Scope) {
					o := torch.Options{DType: dtype, Device: d}
					want := dtype
					if want == 0 {
						want = torch.Float32
					}
					full := 3.0
					if dtype == torch.Bool {
						full = 1
					}
					for v, x := range map[float64]torch.Tensor{0: torch.Zeros(o, shape...), 1: torch.Ones(o, shape...), 2: torch.Full(o, 3, shape...)} {
						if v == 2 {
							v = full
						}
						if x.DType() != want || x.Device() != d || x.Numel() != size(shape) {
							t.Errorf("%v where %v %v on %v was asked for", x, want, shape, d)
						}
						equal(t, x.String(), read(x), build(shape, func([]int64) float64 { return v }), 0)
					}
				})
			}
		}
	})
}

func TestFullKeepsEveryDigit(t *testing.T) {
	do(t, func(*torch.Scope) {
		for _, v := range []float64{math.Pi, -1e-300, math.Inf(1), math.Copysign(0, -1)} {
			if got := torch.Full(torchtest.Options(torch.Float64), v).Item(); math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("%v became %v", v, got)
			}
		}
	})
}

func TestIsFinite(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			x := array{[]int64{5}, []float64{1, math.Inf(1), math.Inf(-1), math.NaN(), 0}}.tensor(k.Options).IsFinite()
			if x.DType() != torch.Bool {
				t.Errorf("%v, not of Bool", x)
			}
			equal(t, "isfinite", read(x), array{[]int64{5}, []float64{1, 0, 0, 0, 1}}, 0)
		})
	})
}
