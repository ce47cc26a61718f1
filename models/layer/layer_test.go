package layer_test

import (
	"testing"

	"hdas/models/layer"
)

// PyTorch draws the weights of a convolution and of a linear map, and the latter's bias, from U(-b, b),
// b = 1/sqrt(fan in): the number of inputs of one output. A batch norm starts with 1, 0, 0, 1.
func TestInitialValues(t *testing.T) {
	for _, c := range []struct {
		layer.Layer
		name  string
		fanIn int64
		value float64
	}{
		{layer.Conv{In: 32, Out: 64, Kernel: 3}, "weight", 32 * 9, 0},
		{layer.Linear{In: 100, Out: 20}, "weight", 100, 0},
		{layer.Linear{In: 100, Out: 20}, "bias", 100, 0},
		{layer.BatchNorm{C: 7, Affine: true}, "weight", 0, 1},
		{layer.BatchNorm{C: 7, Affine: true}, "bias", 0, 0},
		{layer.BatchNorm{C: 7}, "running_mean", 0, 0},
		{layer.BatchNorm{C: 7}, "running_var", 0, 1},
	} {
		found := false
		for _, p := range c.Params() {
			if p.Name == c.name {
				found = true
				if p.FanIn != c.fanIn || p.Value != c.value {
					t.Errorf("%T, %s: fan in %d, value %v, not %d, %v", c.Layer, c.name, p.FanIn, p.Value, c.fanIn, c.value)
				}
			}
		}
		if !found {
			t.Errorf("%T has no %s", c.Layer, c.name)
		}
	}
	if w := layer.Weight("depthwise", 256, 1, 3, 3); w.FanIn != 9 {
		t.Errorf("depthwise: fan in %d, not 9", w.FanIn)
	}
}
