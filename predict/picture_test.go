package predict

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	_ "hdas/internal/torchtest"
	"hdas/model"
	"hdas/models/layer"
	"hdas/models/plan"
)

func description(preset plan.Preset, side, channels int64) model.Description {
	return model.Description{Macro: plan.Macro{Preset: preset}, Image: layer.Shape{C: channels, H: side, W: side},
		Mean: []float64{0.5, 0.25, 0}[:channels], Std: []float64{0.5, 0.25, 1}[:channels]}
}

func TestPicture(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 80, 40))
	for i := range m.Pix {
		m.Pix[i] = byte(i % 4 * 60) // the red is 0, the green 60, the blue 120
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.png")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, d := range []model.Description{description(plan.ImageNet, 64, 3), description(plan.CIFAR, 32, 3)} {
		pix, err := Predictor{Model: &model.Model{Description: d}}.read(path)
		size := int(d.Image.W * d.Image.H)
		want := normalised(nil, []byte{0, 60, 120}, d) // by mean and deviation of the channels
		if err != nil || len(pix) != 3*size || pix[0] != want[0] || pix[size] != want[1] || pix[3*size-1] != want[2] {
			t.Errorf("%d pixels, %v", len(pix), err)
		}
	}
	if err := os.WriteFile(path, b.Bytes()[:60], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Predictor{Model: &model.Model{Description: description(plan.CIFAR, 32, 3)}}).read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file gives %v", err)
	}
}

func TestNormalised(t *testing.T) {
	pix := []byte{255, 0, 0, 0, 51, 0} // two pixels: (255,0,51), (0,0,0)
	for channels, want := range map[int64][]float32{
		3: {1, -1, -1, -1, 0.2, 0},
		1: {float32(2*82.0/255 - 1), -1}, // 0.299*255 + 0.114*51 = 82.06
	} {
		got := normalised(nil, pix, description(plan.CIFAR, 2, channels))
		for i := range want {
			if len(got) != len(want) || math.Abs(float64(got[i]-want[i])) > 1e-6 {
				t.Fatalf("%d channels: %v, not %v", channels, got, want)
			}
		}
	}
}

// Find reports pipes, devices and dangling links as faults; it does not open them.
func TestFindNamesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("a.png"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Mkfifo(at("pipe.png"), 0o600), os.Symlink("nowhere", at("link.png")), os.Symlink("/dev/zero", at("zero.png"))); err != nil {
		t.Fatal(err)
	}
	files, faults := Find([]string{dir, "/dev/zero", at("pipe.png"), at("a.png")})
	if !slices.Equal(files, []string{at("a.png"), at("a.png")}) || len(faults) != 5 {
		t.Errorf("%q, %v", files, faults)
	}
	for _, want := range []string{"link.png: no such file", "pipe.png is no regular file", "zero.png is no regular file", "/dev/zero is no regular file"} {
		if !strings.Contains(errors.Join(faults...).Error(), want) {
			t.Errorf("%v does not say %q", faults, want)
		}
	}
}
