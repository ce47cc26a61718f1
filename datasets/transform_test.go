package datasets

import (
	"image"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/raster"
)

// naive computes apply pixel by pixel.
func naive(p *pipeline, info Info, src []byte, d draws) []float32 {
	dst := make([]float32, len(src))
	half := p.Cutout / 2
	for c := range p.c {
		for y := range p.h {
			for x := range p.w {
				fromY, fromX := y+d.down, x+d.right
				if d.flip {
					fromX = p.w - 1 - x + d.right
				}
				b := p.Fill
				if fromY >= 0 && fromY < p.h && fromX >= 0 && fromX < p.w {
					b = src[(c*p.h+fromY)*p.w+fromX]
				}
				v := float32((float64(b)/255 - info.Mean[c]) / info.Std[c])
				if y >= d.y-half && y < d.y+half && x >= d.x-half && x < d.x+half || image.Pt(x, y).In(d.erased) {
					v = 0
				}
				dst[(c*p.h+y)*p.w+x] = v
			}
		}
	}
	return dst
}

func TestApplyEqualsTheNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 9)
		d := fake(1, rapid.IntRange(1, 4).Draw(t, "channels"), side.Draw(t, "height"), side.Draw(t, "width"))
		transform := Transform{
			Padding: rapid.IntRange(0, 12).Draw(t, "padding"), // beyond the image, too
			Fill:    rapid.Byte().Draw(t, "fill"),
			Erasing: rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "erasing"),
			Flip:    rapid.Bool().Draw(t, "flip"),
			Cutout:  rapid.IntRange(0, 12).Draw(t, "cutout"),
		}
		p := newPipeline(transform, d.info, raster.Bilinear)
		choices := p.draw(stream(rapid.Uint64().Draw(t, "seed"), "x"))
		got := slices.Repeat([]float32{float32(math.NaN())}, len(d.pixels)) // all must be written
		p.apply(got, d.pixels, &choices, new(raster.Canvas))
		if want := naive(&p, d.info, d.pixels, choices); !slices.Equal(got, want) {
			t.Fatalf("%+v with %+v:\n%v, not\n%v", transform, choices, got, want)
		}
	})
}

// A step switched on must not change what the others draw.
func TestDrawsDoNotShift(t *testing.T) {
	info := fake(1, 3, 32, 32).info
	plain, full := newPipeline(Transform{Padding: 4}, info, 0), newPipeline(Transform{Padding: 4, Flip: true, Cutout: 16}, info, 0)
	for i := range 100 {
		a, b := plain.draw(stream(1, "x").at(i)), full.draw(stream(1, "x").at(i))
		b.flip = false
		if a != b {
			t.Fatalf("%+v with a crop alone, %+v with all", a, b)
		}
	}
}

// Crops, flips and centres of cutouts are equally likely in all places.
func TestDrawsAreUniform(t *testing.T) {
	const n = 40_000
	p := newPipeline(Transform{Padding: 4, Flip: true, Cutout: 16}, fake(1, 3, 28, 32).info, 0)
	down, right, flips := make([]int, 9), make([]int, 9), make([]int, 2)
	crops, ys, xs := make([]int, 81), make([]int, 28), make([]int, 32)
	flipped := make([]int, 9*2) // flips by crop: they do not depend on each other
	for i := range n {
		d := p.draw(stream(11, "augment").at(2).at(i))
		flip := 0
		if d.flip {
			flip = 1
		}
		down[d.down+4]++
		right[d.right+4]++
		crops[(d.down+4)*9+d.right+4]++
		flips[flip]++
		flipped[(d.right+4)*2+flip]++
		ys[d.y]++
		xs[d.x]++
	}
	uniform(t, "crops down", down)
	uniform(t, "crops right", right)
	uniform(t, "crops", crops)
	uniform(t, "flips", flips)
	uniform(t, "flips by crop", flipped)
	uniform(t, "rows of cutouts", ys)
	uniform(t, "columns of cutouts", xs)
}

// The square has 16x16 pixels inside, and 8x8 in the corner at (0,0), as its centre is its pixel
// (8,8).
func TestCutout(t *testing.T) {
	d := fake(1, 3, 32, 32)
	p := newPipeline(Transform{Cutout: 16}, d.info, 0)
	for _, c := range []struct{ y, x, zeros int }{{16, 16, 256}, {0, 0, 64}, {31, 31, 81}, {8, 24, 256}, {7, 16, 240}} {
		dst, white := make([]float32, len(d.pixels)), slices.Repeat([]byte{255}, len(d.pixels))
		p.apply(dst, white, &draws{y: c.y, x: c.x}, new(raster.Canvas))
		zeros := 0
		for _, v := range dst {
			if v == 0 {
				zeros++
			}
		}
		if zeros != 3*c.zeros {
			t.Errorf("cutout at (%d,%d) sets %d pixels, not %d in each of 3 channels", c.y, c.x, zeros, c.zeros)
		}
	}
}

func TestNormalise(t *testing.T) {
	p := newPipeline(Transform{}, cifar10.info, 0)
	// (0 - 0.49139968) / 0.24703233 and (1 - 0.44653124) / 0.26158768, by hand.
	for _, c := range []struct {
		got  float32
		want float64
	}{{p.value[0][0], -1.989212}, {p.value[2][255], 2.115806}} {
		if math.Abs(float64(c.got)-c.want) > 1e-6 {
			t.Errorf("%v, not %v", c.got, c.want)
		}
	}
}

func TestTransformValidate(t *testing.T) {
	for _, good := range []Transform{{}, {Padding: 4, Fill: 128, Flip: true, Cutout: 16}, {Padding: maxPadding, Cutout: 4096}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []Transform{{Padding: -1}, {Padding: maxPadding + 1}, {Cutout: -1}, {Cutout: 4097}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is found good", bad)
		}
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	d := fake(1, 3, 32, 32)
	p := newPipeline(Transform{Padding: 4, Flip: true, Cutout: 16}, d.info, 0)
	dst := make([]float32, len(d.pixels))
	var c raster.Canvas
	k, i := stream(1, "augment").at(0), 0
	if n := testing.AllocsPerRun(100, func() {
		choices := p.draw(k.at(i))
		p.apply(dst, d.pixels, &choices, &c)
		i++
	}); n != 0 {
		t.Errorf("%v allocations an image", n)
	}
}
