package raster_test

import (
	"image"
	"image/png"
	"os"
	"strconv"
	"strings"
	"testing"

	"hdas/internal/golden/raw"
	"hdas/internal/raster"
)

const goldens = "testdata/goldens.safetensors"

// canvas is a copy of an image of the goldens.
func canvas(t *testing.T, f raw.File, name string) *raster.Canvas {
	pix, shape := f.Bytes(t, "image/"+name)
	c := new(raster.Canvas)
	c.Reset(shape[0], shape[1], shape[2])
	copy(c.Pix, pix)
	return c
}

// operations apply one with torchvision's number for it.
var operations = map[string]func(c *raster.Canvas, v float64){
	"ShearX":       func(c *raster.Canvas, v float64) { c.Affine(raster.ShearX(v)) },
	"ShearY":       func(c *raster.Canvas, v float64) { c.Affine(raster.ShearY(v)) },
	"TranslateX":   func(c *raster.Canvas, v float64) { c.Affine(raster.Translate(int(v), 0, c.H, c.W)) },
	"TranslateY":   func(c *raster.Canvas, v float64) { c.Affine(raster.Translate(0, int(v), c.H, c.W)) },
	"Rotate":       func(c *raster.Canvas, v float64) { c.Affine(raster.Rotate(v, c.H, c.W)) },
	"Brightness":   func(c *raster.Canvas, v float64) { c.Brightness(1 + v) },
	"Color":        func(c *raster.Canvas, v float64) { c.Saturation(1 + v) },
	"Contrast":     func(c *raster.Canvas, v float64) { c.Contrast(1 + v) },
	"Sharpness":    func(c *raster.Canvas, v float64) { c.Sharpness(1 + v) },
	"Posterize":    func(c *raster.Canvas, v float64) { c.Posterize(int(v)) },
	"Solarize":     func(c *raster.Canvas, v float64) { c.Solarize(v) },
	"AutoContrast": func(c *raster.Canvas, _ float64) { c.AutoContrast() },
	"Equalize":     func(c *raster.Canvas, _ float64) { c.Equalize() },
	"Invert":       func(c *raster.Canvas, _ float64) { c.Invert() },
	"Hue":          func(c *raster.Canvas, v float64) { c.Hue(v) },
}

// worst is the largest difference of two images, and how many values differ.
func worst(got, want []byte) (most, count int) {
	for i, v := range got {
		d := int(v) - int(want[i])
		if d != 0 {
			count++
		}
		most = max(most, d, -d)
	}
	return most, count
}

func TestOperationsEqualTorchvision(t *testing.T) {
	f := raw.Read(t, goldens)
	done := map[string]bool{}
	for _, name := range f.Names() {
		parts := strings.Split(name, "/")
		apply := operations[parts[0]]
		if apply == nil {
			continue
		}
		v, err := strconv.ParseFloat(parts[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		c := canvas(t, f, parts[1])
		apply(c, v)
		want, _ := f.Bytes(t, name)
		if len(c.Pix) != len(want) {
			t.Fatalf("%s: %d bytes, not %d", name, len(c.Pix), len(want))
		}
		if most, count := worst(c.Pix, want); count > 0 {
			t.Errorf("%s differs in %d of %d values, by up to %d", name, count, len(want), most)
		}
		done[parts[0]] = true
	}
	if len(done) != len(operations) {
		t.Errorf("goldens of %d operations, not %d", len(done), len(operations))
	}
}

func TestHuesEqualTorchvision(t *testing.T) {
	want, shape := raw.Read(t, goldens).Bytes(t, "Hues/0.12")
	var c raster.Canvas
	c.Reset(3, 256, 256)
	for i := range 256 * 256 {
		c.Pix[i], c.Pix[256*256+i], c.Pix[2*256*256+i] = byte(i/256), byte(i%256), 90
	}
	c.Hue(0.12)
	for i, v := range want {
		ch, y, x := i/shape[2]/shape[1], i/shape[2]%shape[1]*5, i%shape[2]*3
		if got := c.Pix[(ch*256+y)*256+x]; got != v {
			t.Fatalf("colour (%d,%d,90): channel %d becomes %d, not %d", y, x, ch, got, v)
		}
	}
}

func photograph(t testing.TB) raster.Interleaved {
	file, err := os.Open("testdata/flower.png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	b := m.Bounds()
	out := raster.Interleaved{W: b.Dx(), H: b.Dy(), Stride: 3 * b.Dx()}
	for y := range out.H {
		for x := range out.W {
			p := m.(*image.RGBA).RGBAAt(x, y)
			out.Pix = append(out.Pix, p.R, p.G, p.B)
		}
	}
	return out
}

func crop(m raster.Interleaved, r image.Rectangle) raster.Interleaved {
	return raster.Interleaved{W: r.Dx(), H: r.Dy(), Stride: m.Stride, Pix: m.Pix[r.Min.Y*m.Stride+3*r.Min.X:]}
}

func TestResizeEqualsPillow(t *testing.T) {
	f, photo := raw.Read(t, goldens), photograph(t)
	var c raster.Canvas
	var r raster.Resizer
	done := 0
	for _, name := range f.Names() {
		parts := strings.Split(name, "/")
		if parts[0] != "resize" {
			continue
		}
		var n [6]int // left, top, right, bottom, width, height
		for i := range n {
			n[i], _ = strconv.Atoi(parts[2+i])
		}
		filter := map[string]raster.Filter{"bilinear": raster.Bilinear, "bicubic": raster.Bicubic}[parts[1]]
		part := crop(photo, image.Rect(n[0], n[1], n[2], n[3]))
		job := raster.Job{OldH: part.H, OldW: part.W, H: n[5], W: n[4], Window: image.Rect(0, 0, n[4], n[5]), Filter: filter}
		r.Interleaved(&c, crop(part, r.Plan(job)))
		want, _ := f.Bytes(t, name)
		if most, count := worst(c.Pix, want); len(c.Pix) != len(want) || count > 0 {
			t.Errorf("%s differs in %d of %d values, by up to %d", name, count, len(want), most)
		}
		// The same from planes.
		var planar raster.Canvas
		planar.Reset(3, part.H, part.W)
		for y := range part.H {
			for x := range part.W {
				for ch := range 3 {
					planar.Pix[(ch*part.H+y)*part.W+x] = part.Pix[y*part.Stride+3*x+ch]
				}
			}
		}
		r.Plan(job)
		r.Planes(&c, planar.Image)
		if most, _ := worst(c.Pix, want); most > 0 {
			t.Errorf("%s from planes differs by up to %d", name, most)
		}
		// A window of it, from the part that it needs alone.
		job.Window = image.Rect(n[4]/3, n[5]/4, n[4]-n[4]/5, n[5]-n[5]/3)
		r.Interleaved(&c, crop(part, r.Plan(job)))
		for i, v := range c.Pix {
			ch, y, x := i/c.W/c.H, i/c.W%c.H+job.Window.Min.Y, i%c.W+job.Window.Min.X
			if v != want[(ch*n[5]+y)*n[4]+x] {
				t.Fatalf("%s: the window %v is another at (%d,%d)", name, job.Window, x, y)
			}
		}
		done++
	}
	if done != 16 {
		t.Errorf("%d goldens of resizing, not 16", done)
	}
}

func BenchmarkResize(b *testing.B) {
	photo := photograph(b)
	var c raster.Canvas
	var r raster.Resizer
	for name, f := range map[string]raster.Filter{"bilinear": raster.Bilinear, "bicubic": raster.Bicubic} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.Plan(raster.Job{OldH: photo.H, OldW: photo.W, H: 224, W: 224, Window: image.Rect(0, 0, 224, 224), Filter: f})
				r.Interleaved(&c, photo)
			}
		})
	}
}

func BenchmarkOperation(b *testing.B) {
	photo := photograph(b)
	var c raster.Canvas
	var r raster.Resizer
	r.Plan(raster.Job{OldH: photo.H, OldW: photo.W, H: 224, W: 224, Window: image.Rect(0, 0, 224, 224)})
	r.Interleaved(&c, photo)
	pix := append([]byte(nil), c.Pix...)
	for _, name := range []string{"Brightness", "Contrast", "Color", "Hue", "Sharpness", "Rotate", "Equalize"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				copy(c.Pix, pix)
				operations[name](&c, 0.2)
			}
		})
	}
}
