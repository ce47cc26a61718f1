package metric_test

import (
	"math"
	"testing"

	"hdas/datasets"
	"hdas/internal/golden/raw"
	"hdas/internal/torchtest"
	"hdas/metric"
	"hdas/torch"
)

// The loss of mixed images with label smoothing is PyTorch's for soft labels.
func TestCrossEntropyOfMixedImages(t *testing.T) {
	file := raw.Read(t, "../datasets/testdata/transforms.safetensors")
	logits, shape := file.Float32s(t, "loss/logits")
	want, _ := file.Float32s(t, "loss/smooth")
	b := datasets.Batch{N: 4, Labels: []int64{3, 0, 4, 1}, Others: []int64{1, 3, 0, 4}, Share: 0.3}
	o := torchtest.Options(torch.Float64)
	err := torch.Do(func(*torch.Scope) error {
		x := torchtest.Float32s(logits, int64(shape[0]), int64(shape[1])).To(torch.Float64)
		labels := torchtest.Int64s(b.Labels, 4)
		loss := func() float64 { return metric.CrossEntropy(x, labels, metric.Mixed(b, o), 0.1).Item() }
		if got := loss(); math.Abs(got-float64(want[0])) > 1e-6 {
			t.Errorf("mixed: %v, not %v", got, want[0])
		}
		plain := torch.CrossEntropy(x, labels, 0.1).Item()
		if b.Share = 1; math.Abs(loss()-plain) > 1e-15 {
			t.Error("a share of 1 changes the loss")
		}
		if b.Others = nil; loss() != plain {
			t.Error("without others it is another loss")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Tensors hold a batch's numbers, in the type asked for.
func TestTensors(t *testing.T) {
	b := datasets.Batch{N: 2, C: 1, H: 1, W: 2, Images: []float32{1, 2, 3, -4}, Labels: []int64{5, 6}}
	err := torch.Do(func(*torch.Scope) error {
		images, labels := metric.Tensors(b, torchtest.Options(torch.Float64))
		if v := images.Float64s(); images.DType() != torch.Float64 || len(v) != 4 || v[3] != -4 || images.Size(3) != 2 {
			t.Errorf("images %v of %v", v, images.Shape())
		}
		if v := labels.Float64s(); len(v) != 2 || v[1] != 6 {
			t.Errorf("labels %v", v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
