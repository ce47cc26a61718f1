package torch_test

import (
	"errors"
	"maps"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Operations are counted where they do something: not the ones that call them, views and allocations. Nested
// counting is an error, and a panic ends the counting.
func TestLaunches(t *testing.T) {
	torchtest.OnCPU(t) // the names of the operations are those of the CPU
	torchtest.Do(t, func(*torch.Scope) {
		x := torch.Ones(torchtest.Options(torch.Float32), 2, 4, 4, 4)
		w := torch.Ones(torchtest.Options(torch.Float32), 4, 4, 1, 1).SetRequiresGrad(true)
		got := torch.Launches(func() {
			y := torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{})
			y = y.Reshape(2, -1).Narrow(0, 0, 1).Select(0, 0).ReLU()
			torch.ScaleAll(torch.Grad(y.Sum(), []torch.Tensor{w}), 0.5)
		})
		convolutions, total := 0, 0
		for name, n := range got {
			total += n
			if name == "aten::mkldnn_convolution" || name == "aten::_slow_conv2d_forward" || name == "aten::convolution_overrideable" {
				convolutions += n
			}
		}
		if convolutions != 1 || got["aten::clamp_min"] != 1 || got["aten::threshold_backward"] != 1 || got["aten::_foreach_mul_"] != 1 || got["aten::mul_"] != 0 || total > 16 {
			t.Errorf("%d launches: %v", total, got)
		}
		many := make([]torch.Tensor, 111)
		for i := range many {
			many[i] = torch.Ones(torchtest.Options(torch.Float32), 3)
		}
		if got := torch.Launches(func() { torch.ScaleAll(many, 2) }); !maps.Equal(got, map[string]int{"aten::_foreach_mul_": 2}) {
			t.Errorf("a list of 111 tensors: %v", got)
		}
		failed := errors.New("failed")
		func() {
			defer func() {
				if r := recover(); r != failed {
					t.Error(r)
				}
			}()
			torch.Launches(func() { panic(failed) })
		}()
		if words := torchtest.Panics(func() { torch.Launches(func() { torch.Launches(func() {}) }) }); words == "" {
			t.Error("it counts within a count")
		}
		if got := torch.Launches(func() {}); len(got) != 0 {
			t.Error(got)
		}
	})
}
