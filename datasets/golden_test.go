package datasets

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"os"
	"strings"
	"testing"

	"hdas/internal/golden/raw"
	"hdas/internal/raster"
)

// The reference results are torchvision's with fixed random draws; the tests use the same draws.
const goldens = "testdata/transforms.safetensors"

// each calls f with the goldens under a prefix and the rest of their names, which must be n.
func each(t *testing.T, file raw.File, prefix string, n int, f func(name string, parts []string)) {
	t.Helper()
	found := 0
	for _, name := range file.Names() {
		if rest, ok := strings.CutPrefix(name, prefix+"/"); ok {
			found++
			f(name, strings.Split(rest, "/"))
		}
	}
	if found != n {
		t.Errorf("%d goldens of %s, not %d", found, prefix, n)
	}
}

// scan reads numbers.
func scan(t *testing.T, parts []string, to ...any) {
	t.Helper()
	if _, err := fmt.Sscan(strings.Join(parts, " "), to...); err != nil {
		t.Fatal(parts, err)
	}
}

// close32 fails where values differ by more than float32's rounding.
func close32(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, not %d", what, len(got), len(want))
	}
	for i, v := range got {
		if math.Abs(float64(v-want[i])) > 1e-6*max(1, math.Abs(float64(want[i]))) {
			t.Fatalf("%s: value %d is %v, not %v", what, i, v, want[i])
		}
	}
}

func flower(t *testing.T, file raw.File) (pix []byte, info Info) {
	pix, shape := file.Bytes(t, "image")
	info = cifar10.info
	info.Height, info.Width = shape[1], shape[2]
	return pix, info
}

func TestCropFlipNormaliseEqualTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	pix, info := flower(t, file)
	each(t, file, "crop", 4, func(name string, parts []string) {
		var top, left, flip int
		var fill byte
		scan(t, parts, &top, &left, &flip, &fill)
		p := newPipeline(Transform{Padding: 4, Fill: fill, Flip: true}, info, 0)
		got := make([]float32, len(pix))
		p.apply(got, pix, &draws{down: top - 4, right: left - 4, flip: flip == 1}, new(raster.Canvas))
		want, _ := file.Float32s(t, name)
		close32(t, name, got, want)
	})
}

// recoloured returns the image after the pipeline's policy and colour jitter.
func recoloured(p *pipeline, pix []byte, d draws) []byte {
	var c raster.Canvas
	c.Reset(p.c, p.h, p.w)
	copy(c.Pix, pix)
	p.recolour(&c, &d)
	return c.Pix
}

func TestAutoAugmentEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	pix, info := flower(t, file)
	for _, policy := range policyNames() {
		p := newPipeline(Transform{AutoAugment: policy}, info, 0)
		each(t, file, "auto/"+policy, len(p.policy), func(name string, parts []string) {
			var k int
			scan(t, parts, &k)
			var d draws
			for i, c := range p.policy[k] {
				positive := []int{k % 2, k / 2 % 2}[i] == 1
				d.steps[i] = newStep(c.op, c.bin, autoBins, !positive, 32, 32)
			}
			if want, _ := file.Bytes(t, name); !bytes.Equal(recoloured(&p, pix, d), want) {
				t.Errorf("%s is another", name)
			}
		})
	}
}

func TestRandAugmentEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	pix, info := flower(t, file)
	p := newPipeline(Transform{RandAugment: RandAugment{Ops: 2}}, info, 0)
	each(t, file, "rand", 3*invert, func(name string, parts []string) {
		var magnitude, op, negative int
		scan(t, parts, &magnitude, &op, &negative)
		d := draws{}
		d.steps[0] = newStep(op, magnitude, randBins, negative == 1, 32, 32)
		d.steps[1] = newStep((op+3)%invert, magnitude, randBins, negative == 0, 32, 32)
		if want, _ := file.Bytes(t, name); !bytes.Equal(recoloured(&p, pix, d), want) {
			t.Errorf("%s is another", name)
		}
	})
}

func TestColorJitterEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	pix, info := flower(t, file)
	p := newPipeline(Transform{ColorJitter: ColorJitter{0.4, 0.4, 0.4, 0.5}}, info, 0)
	each(t, file, "jitter", 4, func(name string, parts []string) {
		var d draws
		for i, digit := range parts[0] {
			d.jitter.order[i] = int(digit - '0')
		}
		scan(t, parts[1:], &d.jitter.brightness, &d.jitter.contrast, &d.jitter.saturation, &d.jitter.hue)
		if want, _ := file.Bytes(t, name); !bytes.Equal(recoloured(&p, pix, d), want) {
			t.Errorf("%s is another", name)
		}
	})
}

// photo is a data set of one file.
func photo(t *testing.T, v View) *fileset {
	data, err := os.ReadFile("../internal/raster/testdata/flower.png")
	if err != nil {
		t.Fatal(err)
	}
	l := new(list)
	l.add("flower.png", 0)
	d := newFileset(Spec{Name: "folder", Size: v.Size, Resize: v.Resize}, []string{"flower"}, "here", l,
		func(_ int, buf []byte) ([]byte, string, error) { return append(buf, data...), "flower.png", nil })
	d.view.Filter = v.Filter
	return d
}

func TestResizedCropEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	each(t, file, "part", 4, func(name string, parts []string) {
		var top, left, height, width, flip int
		scan(t, parts[1:], &top, &left, &height, &width, &flip)
		d := photo(t, View{Size: 48, Filter: filters[parts[0]]})
		f := newFiller(&Loader{Dataset: d, Transform: Transform{ResizedCrop: true, Flip: true}}, 0)
		w := f.worker()
		if _, _, err := w.images.open(d, 0); err != nil {
			t.Fatal(err)
		}
		box := image.Rect(left, top, left+width, top+height)
		if err := w.images.resize("flower.png", f.job(box), box.Min); err != nil {
			t.Fatal(err)
		}
		got, want := make([]byte, len(w.images.canvas.Pix)), []byte(nil)
		for row := 0; row < len(got); row += 48 {
			if flip == 1 {
				mirror(got[row:row+48], w.images.canvas.Pix[row:row+48])
			} else {
				copy(got[row:row+48], w.images.canvas.Pix[row:])
			}
		}
		if want, _ = file.Bytes(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s is another", name)
		}
	})
}

func TestViewEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	each(t, file, "view", 8, func(name string, parts []string) {
		v := View{Filter: filters[parts[0]]}
		scan(t, parts[1:], &v.Resize, &v.Size)
		got := make([]byte, 3*v.Size*v.Size)
		if _, err := photo(t, v).At(0, got); err != nil {
			t.Fatal(err)
		}
		if want, _ := file.Bytes(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s is another", name)
		}
	})
}

func TestFallbackOfResizedCropEqualsTorchvision(t *testing.T) {
	rows, shape := raw.Read(t, goldens).Float32s(t, "fallback")
	if shape[0] != 7 {
		t.Errorf("%d rows", shape[0])
	}
	for ; len(rows) > 0; rows = rows[6:] {
		top, left, h, w := int(rows[2]), int(rows[3]), int(rows[4]), int(rows[5])
		if got, want := middle(int(rows[0]), int(rows[1]), defaultRatio), image.Rect(left, top, left+w, top+h); got != want {
			t.Errorf("of %vx%v it takes %v, not %v", rows[0], rows[1], got, want)
		}
	}
}

func TestErasingEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	pix, info := flower(t, file)
	p := newPipeline(Transform{Erasing: 1}, info, 0)
	each(t, file, "erase", 1, func(name string, parts []string) {
		var top, left, height, width int
		scan(t, parts, &top, &left, &height, &width)
		got := make([]float32, len(pix))
		p.apply(got, pix, &draws{erased: image.Rect(left, top, left+width, top+height)}, new(raster.Canvas))
		want, _ := file.Float32s(t, name)
		close32(t, name, got, want)
	})
}

// soft returns the labels of a batch in torchvision's form: a weight for each class.
func soft(b *Batch, classes int) (rows []float32) {
	for i := range b.N {
		row := make([]float32, classes)
		row[b.Labels[i]] += float32(b.Share)
		row[b.Others[i]] += float32(1 - b.Share)
		rows = append(rows, row...)
	}
	return rows
}

func TestMixingEqualsTorchvision(t *testing.T) {
	file := raw.Read(t, goldens)
	images, shape := file.Float32s(t, "mix/batch")
	info := Info{Channels: shape[1], Height: shape[2], Width: shape[3], Mean: make([]float64, 3), Std: []float64{1, 1, 1}}
	p := newPipeline(Transform{Mixup: 1}, info, 0)
	check := func(name string, mix func(b *Batch)) {
		b := &Batch{N: shape[0], Images: append([]float32(nil), images...), Labels: []int64{3, 0, 4, 1}, Others: []int64{1, 3, 0, 4}}
		mix(b)
		want, _ := file.Float32s(t, name+"/images")
		close32(t, name, b.Images, want)
		want, _ = file.Float32s(t, name+"/labels")
		close32(t, name+"'s labels", soft(b, 5), want)
	}
	for _, share := range []float64{0.3, 0.85} {
		check(fmt.Sprintf("mix/mixup/%g", share), func(b *Batch) { p.mixup(b, share) })
	}
	for _, c := range []struct {
		share float64
		x, y  int
	}{{0.3, 4, 6}, {0.85, 0, 7}, {0.5, 9, 0}} {
		check(fmt.Sprintf("mix/cutmix/%g/%d/%d", c.share, c.x, c.y), func(b *Batch) { p.cutmix(b, c.share, c.x, c.y) })
	}
}
