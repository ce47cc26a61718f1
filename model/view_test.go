package model_test

import (
	"testing"

	"hdas/datasets"
	"hdas/model"
	"hdas/models/layer"
	"hdas/models/plan"
)

// Files are seen as where the network was tested: ImageNet's by Resize(256) and CenterCrop(224), one's
// own images as the configuration said, whole ones by a network of CIFAR.
func TestView(t *testing.T) {
	for _, c := range []struct {
		preset plan.Preset
		data   datasets.Spec
		side   int64
		want   datasets.View
		words  string
	}{
		{plan.ImageNet, datasets.Spec{}, 224, datasets.View{Size: 224, Resize: 256}, "resized to 256 pixels at the shorter side (bilinear), of which the central 224x224 are cut out"},
		{plan.CIFAR, datasets.Spec{Name: "folder", Size: 48, Resize: 50, Interpolation: "bicubic"}, 48, datasets.View{Size: 48, Resize: 50, Filter: datasets.Bicubic},
			"resized to 50 pixels at the shorter side (bicubic), of which the central 48x48 are cut out"},
		{plan.CIFAR, datasets.Spec{}, 32, datasets.View{Size: 32}, "resized to 32x32 pixels (bilinear)"},
	} {
		d := model.Description{Macro: plan.Macro{Preset: c.preset}, Image: layer.Shape{C: 3, H: c.side, W: c.side}, Data: c.data}
		if got := d.View(); got != c.want || got.String() != c.words {
			t.Errorf("%v, not %v", got, c.want)
		}
	}
}
