package datasets_test

import (
	"strings"
	"testing"

	"hdas/datasets"
	"hdas/internal/datasetstest"
)

// A stand-in has the shape and the number of images of the data set whose files are absent.
func TestStandIn(t *testing.T) {
	for _, c := range []struct {
		spec                    datasets.Spec
		split                   string
		images, classes, height int
		held                    int64
		words                   string
	}{
		{datasets.Spec{Name: "cifar10"}, datasets.Train, 50_000, 10, 32, 50_000 * 3072, "cifar10 are absent"},
		{datasets.Spec{Name: "cifar100", Size: 16}, datasets.Test, 10_000, 100, 16, 10_000 * 3072, "cifar100 are absent"},
		{datasets.Spec{Name: "imagenet"}, datasets.Train, 1_281_167, 1000, 224, 0, "without the time of reading"},
		{datasets.Spec{Name: "imagenet", Size: 32}, datasets.Test, 50_000, 1000, 32, 0, "imagenet are absent"},
		{datasets.Spec{Name: "folder", Size: 48, TestFraction: 0.25}, datasets.Train, 7500, 10, 48, 0, "10000 random images in 10 classes"},
		{datasets.Spec{Name: "folder"}, datasets.Test, 2000, 10, 224, 0, "folder of images is absent"},
	} {
		d, err := c.spec.StandIn(c.split)
		if err != nil {
			t.Fatal(err)
		}
		info := d.Info()
		if d.Len() != c.images || len(info.Classes) != c.classes || info.Height != c.height || info.Width != c.height || info.Channels != 3 || d.Held != c.held || !strings.Contains(d.Assumed, c.words) {
			t.Errorf("%+v, %s: %d images of %v, %d bytes, %q", c.spec, c.split, d.Len(), info, d.Held, d.Assumed)
		}
		if datasets.Missing(c.spec.Name, t.TempDir()) == nil {
			t.Errorf("%s is not missing", c.spec.Name)
		}
	}
	small, err := datasets.Spec{Name: "folder", Size: 8}.StandIn(datasets.Test)
	if err != nil {
		t.Fatal(err)
	}
	part, err := datasets.Subset(small, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	if err != nil {
		t.Fatal(err)
	}
	datasetstest.Run(t, part)
	for _, s := range []datasets.Spec{{Name: "nothing"}, {Name: "digits"}, {Name: "cifar10", Size: -1}} {
		if _, err := s.StandIn(datasets.Train); err == nil {
			t.Errorf("%+v has a stand-in", s)
		}
	}
}
