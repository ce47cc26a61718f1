package predict

import (
	"image"
	"image/color"
	"math"
	"testing"

	"hdas/models"
	"hdas/models/layer"
	"hdas/train"
)

func description(preset string, side, channels int64) train.Description {
	return train.Description{Macro: models.Macro{Preset: preset}, Image: layer.Shape{C: channels, H: side, W: side},
		Mean: []float64{0.5, 0.25, 0}[:channels], Std: []float64{0.5, 0.25, 1}[:channels]}
}

// The sizes and offsets that torchvision's Resize(256) and CenterCrop(224) give: a mark in the
// middle stays there, one in a corner of a long image is cut away.
func TestFitCutsTheMiddleOut(t *testing.T) {
	for _, size := range [][2]int{{256, 256}, {512, 256}, {300, 1000}, {10, 7}, {1, 1}} {
		m := image.NewNRGBA(image.Rect(0, 0, size[0], size[1]))
		got := fit(m, description(models.ImageNet, 224, 3))
		if got.Rect.Dx() != 224 || got.Rect.Dy() != 224 {
			t.Errorf("%v becomes %v", size, got.Rect)
		}
	}
	m := image.NewNRGBA(image.Rect(0, 0, 512, 256))
	m.Set(256, 128, color.White)
	got := fit(m, description(models.ImageNet, 224, 3))
	if want := image.Rect(144, 16, 368, 240); got.Rect != want || got.NRGBAAt(256, 128).R != 255 {
		t.Errorf("cut %v, not %v", got.Rect, want)
	}
	if got := fit(m, description(models.CIFAR, 32, 3)); got.Rect != image.Rect(0, 0, 32, 32) {
		t.Errorf("a small image is %v", got.Rect)
	}
}

func TestNormalised(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.SetNRGBA(0, 0, color.NRGBA{255, 0, 51, 255})
	for channels, want := range map[int64][]float32{
		3: {1, -1, -1, -1, 0.2, 0},
		1: {float32(2*82.0/255 - 1), -1}, // 0.299*255 + 0.114*51 = 82.06
	} {
		got := normalised(nil, m, description(models.CIFAR, 2, channels))
		for i := range want {
			if len(got) != len(want) || math.Abs(float64(got[i]-want[i])) > 1e-6 {
				t.Fatalf("%d channels: %v, not %v", channels, got, want)
			}
		}
	}
}
