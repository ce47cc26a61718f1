package predict

import (
	"math"
	"testing"

	"hdas/models/layer"
	"hdas/train"
)

func TestNormalised(t *testing.T) {
	pixels := []byte{255, 0, 0, 0, 51, 0} // two pixels
	for channels, want := range map[int64][]float32{
		3: {1, -1, -1, -1, 0.2, 0},
		1: {float32(2*82.0/255 - 1), -1}, // 0.299*255 + 0.114*51 = 82.06
	} {
		got := normalised(nil, pixels, train.Description{Image: layer.Shape{C: channels, H: 1, W: 2},
			Mean: []float64{0.5, 0.25, 0}[:channels], Std: []float64{0.5, 0.25, 1}[:channels]})
		for i := range want {
			if len(got) != len(want) || math.Abs(float64(got[i]-want[i])) > 1e-6 {
				t.Fatalf("%d channels: %v, not %v", channels, got, want)
			}
		}
	}
}
