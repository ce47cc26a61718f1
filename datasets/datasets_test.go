package datasets_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/datasets"
	"hdas/internal/datasetstest"
)

func open(t *testing.T, name, dir, split string) datasets.Dataset {
	t.Helper()
	d, err := datasets.Open(name, dir, split)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// publish makes a folder in CIFAR-10's binary form at full size, as sparse files of zeros.
func publish(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cifar-10-batches-bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		path := filepath.Join(dir, name+".bin")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 30_730_000); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// publish100 is publish for CIFAR-100.
func publish100(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cifar-100-binary")
	for name, n := range map[string]int64{"train": 50_000, "test": 10_000} {
		path := filepath.Join(dir, name+".bin")
		write(t, path, nil)
		if err := os.Truncate(path, n*3074); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSuite(t *testing.T) {
	cifar := publish(t)
	digits := open(t, "digits", "", datasets.Train)
	part, err := datasets.Subset(digits, []int{3, 1, 4, 1, 5})
	if err != nil {
		t.Fatal(err)
	}
	grey, err := datasets.Digits(datasets.Test)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := datasets.Pad(digits, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	half, other := datasets.Halves(digits, 1)
	own := t.TempDir()
	photos(t, own, []string{"a", "b"}, 4)
	small, err := datasets.Resize(digits, 20, datasets.Bicubic)
	if err != nil {
		t.Fatal(err)
	}
	folder := open(t, "folder", own, datasets.Train)
	few, _ := datasets.Halves(folder, 1)
	stated, err := datasets.Spec{Name: "folder", Dir: own, Size: 12, Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{1, 1, 1}}.Open(datasets.Test)
	if err != nil || stated.Info().Mean[1] != 0.5 {
		t.Fatal(stated, err)
	}
	all := map[string]datasets.Dataset{
		"digits": digits, "cifar10": open(t, "cifar10", cifar, datasets.Test),
		"grey digits": grey, "subset": part, "half": half, "other half": other, "padded": wide,
		"cifar100": open(t, "cifar100", publish100(t), datasets.Test), "resized": small,
		"folder": folder, "half a folder": few, "folder with other figures": stated, "imagenet": open(t, "imagenet", publishImageNet(t), datasets.Train),
	}
	for _, name := range datasets.Names() {
		if all[name] == nil {
			t.Errorf("%s is not tested", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { datasetstest.Run(t, all[name]) })
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, split, want string }{
		{"mnist", "train", `"mnist" is unknown; known are cifar10, cifar100, digits, folder, imagenet`},
		{"digits", "valid", `"valid" is unknown; known are train, test`},
		{"cifar10", "", `"" is unknown`},
	} {
		if _, err := datasets.Open(c.name, t.TempDir(), c.split); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := datasets.Digits("valid"); err == nil {
		t.Error("digits have a split valid")
	}
}

func TestMissing(t *testing.T) {
	if err := datasets.Missing("digits", ""); err != nil {
		t.Error(err)
	}
	if err := datasets.Missing("mnist", ""); err == nil || !strings.Contains(err.Error(), "cifar10, cifar100, digits") {
		t.Errorf("an unknown name gives %v", err)
	}
	empty := t.TempDir()
	err := datasets.Missing("cifar10", empty)
	if err == nil || !strings.Contains(err.Error(), empty) || !strings.Contains(err.Error(), "hdas data get cifar10") {
		t.Errorf("an empty folder gives %v", err)
	}
	dir := publish(t)
	for _, at := range []string{dir, filepath.Dir(dir)} {
		if err := datasets.Missing("cifar10", at); err != nil {
			t.Errorf("%s, with all: %v", at, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "data_batch_2.bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "test_batch.bin"), 3073*77); err != nil {
		t.Fatal(err)
	}
	err = datasets.Missing("cifar10", dir)
	for _, want := range []string{"data_batch_2.bin", "test_batch.bin has 236621 bytes, not 30730000", "hdas data get cifar10"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not have %q", err, want)
		}
	}
}

func TestDir(t *testing.T) {
	t.Setenv("HDAS_DATA", "")
	if got := datasets.Dir(); got != "data" {
		t.Errorf("%q, not data", got)
	}
	dir := filepath.Dir(publish(t))
	t.Setenv("HDAS_DATA", dir)
	if got := datasets.Dir(); got != dir {
		t.Errorf("%q, not %q", got, dir)
	}
	t.Setenv("HOME", filepath.Dir(dir))
	for set, want := range map[string]string{"~/" + filepath.Base(dir): dir, "~": filepath.Dir(dir), "~other/x": "~other/x", "a/~/x": "a/~/x"} {
		t.Setenv("HDAS_DATA", set)
		if got := datasets.Dir(); got != want {
			t.Errorf("HDAS_DATA=%s is %q, not %q", set, got, want)
		}
		if got := datasets.Folder(set); got != want {
			t.Errorf("%s is %q, not %q", set, got, want)
		}
	}
	t.Setenv("HDAS_DATA", "~/"+filepath.Base(dir))
	if err := datasets.Missing("cifar10", ""); err != nil {
		t.Error(err)
	}
	if n := open(t, "cifar10", "", datasets.Test).Len(); n != 10_000 {
		t.Errorf("%d images by way of $HDAS_DATA", n)
	}
	if _, err := datasets.Open("cifar10", t.TempDir(), datasets.Test); err == nil {
		t.Error("the folder given does not come before $HDAS_DATA")
	}
}

func TestDigits(t *testing.T) {
	for split, each := range map[string]int{datasets.Train: 400, datasets.Test: 100} {
		grey, err := datasets.Digits(split)
		if err != nil {
			t.Fatal(err)
		}
		colours := open(t, "digits", "", split)
		image, three := make([]byte, 28*28), make([]byte, 3*28*28)
		counts := make([]int, 10)
		for i := range grey.Len() {
			label, err := grey.At(i, image)
			if err != nil {
				t.Fatal(err)
			}
			counts[label]++
			if again, err := colours.At(i, three); err != nil || again != label || !slices.Equal(three, slices.Repeat(image, 3)) {
				t.Fatalf("image %d is not the grey one three times (%v)", i, err)
			}
		}
		for digit, n := range counts {
			if n != each {
				t.Errorf("%s has %d images of the digit %d, not %d", split, n, digit, each)
			}
		}
	}
}

// An image must be in one split only.
func TestDigitsShareNoImage(t *testing.T) {
	image, seen := make([]byte, 28*28), map[string]bool{}
	for _, split := range []string{datasets.Train, datasets.Test} {
		d, err := datasets.Digits(split)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Len() {
			d.At(i, image)
			if split == datasets.Test && seen[string(image)] {
				t.Errorf("test image %d is a training image, too", i)
			}
			seen[string(image)] = true
		}
	}
}

func TestDigitsMeanAndStd(t *testing.T) {
	d, err := datasets.Digits(datasets.Train)
	if err != nil {
		t.Fatal(err)
	}
	image := make([]byte, 28*28)
	var n, sum, squares float64
	for i := range d.Len() {
		d.At(i, image)
		for _, b := range image {
			v := float64(b) / 255
			n, sum, squares = n+1, sum+v, squares+v*v
		}
	}
	mean := sum / n
	std := math.Sqrt(squares/n - mean*mean)
	if info := d.Info(); math.Abs(info.Mean[0]-mean) > 1e-9 || math.Abs(info.Std[0]-std) > 1e-9 {
		t.Errorf("mean %v and deviation %v stated, %v and %v computed", info.Mean[0], info.Std[0], mean, std)
	}
}
