package raster

import (
	"bytes"
	"image"
	"testing"

	"pgregory.net/rapid"
)

// Each loop in C has the same results as the Go code, on images of any size.
func TestVectorEqualsGo(t *testing.T) {
	if !vector {
		t.Skip("without cgo or AVX2 there is one way only")
	}
	defer func() { vector = true }()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 70)
		pixels := rapid.SliceOfN(rapid.Byte(), 3*70*70, 3*70*70).Draw(t, "pixels")
		h, w := size.Draw(t, "h"), size.Draw(t, "w")
		newH, newW := size.Draw(t, "new h"), size.Draw(t, "new w")
		j := Job{OldH: h, OldW: w, H: newH, W: newW, Filter: Filter(rapid.IntRange(0, 1).Draw(t, "filter"))}
		x, y := rapid.IntRange(0, newW-1).Draw(t, "x"), rapid.IntRange(0, newH-1).Draw(t, "y")
		j.Window = image.Rect(x, y, newW, newH)
		factor := rapid.Float64Range(-1, 3).Draw(t, "factor")
		var results [2][][]byte
		for way := range results {
			vector = way == 1
			keep := func(pix []byte) { results[way] = append(results[way], bytes.Clone(pix)) }
			var c Canvas
			var r Resizer
			part := r.Plan(j)
			// The part in memory of just its size, so that nothing beyond can be read unseen.
			src := Interleaved{W: part.Dx(), H: part.Dy(), Stride: 3 * part.Dx(), Pix: bytes.Clone(pixels[:3*part.Dx()*part.Dy()])}
			r.Interleaved(&c, src)
			keep(c.Pix)
			r.Planes(&c, Image{3, h, w, pixels[:3*h*w]})
			keep(c.Pix)
			for _, f := range []func(float64){c.Brightness, c.Contrast, c.Saturation, c.Hue} {
				f(factor)
				keep(c.Pix)
			}
		}
		for i, want := range results[0] {
			if !bytes.Equal(results[1][i], want) {
				t.Fatalf("result %d of %+v differs", i, j)
			}
		}
	})
}

// The hue of every colour is rotated as in Go.
func TestEveryHue(t *testing.T) {
	if !vector {
		t.Skip("without cgo or AVX2 there is one way only")
	}
	defer func() { vector = true }()
	colours := make([]byte, 3*256*256)
	for red := range 256 {
		for i := range 256 * 256 {
			colours[i], colours[256*256+i], colours[2*256*256+i] = byte(red), byte(i>>8), byte(i)
		}
		var results [2][]byte
		for way := range results {
			vector = way == 1
			c := Canvas{Image: Image{3, 256, 256, bytes.Clone(colours)}}
			c.Hue(float64(red) / 255)
			results[way] = c.Pix
		}
		if !bytes.Equal(results[0], results[1]) {
			t.Fatalf("colours with red %d differ", red)
		}
	}
}
