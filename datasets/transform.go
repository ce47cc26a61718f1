package datasets

import (
	"errors"
	"fmt"
)

// Transform is what happens to an image on its way into a batch: random crop, random flip,
// normalisation, cutout, in that order. The zero Transform normalises only.
type Transform struct {
	Padding int  `mapstructure:"padding" yaml:"padding"` // pixels added on each side before a random crop to the old size; 0: no crop
	Fill    byte `mapstructure:"fill" yaml:"fill"`       // grey of the added pixels, 0 to 255
	Flip    bool `mapstructure:"flip" yaml:"flip"`       // mirrored left to right half of the time
	Cutout  int  `mapstructure:"cutout" yaml:"cutout"`   // side of a square set to 0 around a random pixel, after normalisation, rounded down to an even number; 0: none
}

const (
	maxPadding = 256
	maxCutout  = 4096
)

// Validate names every impossible value.
func (t Transform) Validate() error {
	var faults []error
	if t.Padding < 0 || t.Padding > maxPadding {
		faults = append(faults, fmt.Errorf("padding %d is not in 0..%d", t.Padding, maxPadding))
	}
	if t.Cutout < 0 || t.Cutout > maxCutout {
		faults = append(faults, fmt.Errorf("cutout %d is not in 0..%d", t.Cutout, maxCutout))
	}
	return errors.Join(faults...)
}

// pipeline is a transform for the images of one data set.
type pipeline struct {
	Transform
	c, h, w int
	// value is the normalised value (x/255 - mean) / std of every byte, by channel.
	value [][256]float32
}

func newPipeline(t Transform, info Info) pipeline {
	p := pipeline{t, info.Channels, info.Height, info.Width, make([][256]float32, info.Channels)}
	for c := range p.value {
		for b := range p.value[c] {
			p.value[c][b] = float32((float64(b)/255 - info.Mean[c]) / info.Std[c])
		}
	}
	return p
}

// draws are the random choices for one image.
type draws struct {
	down, right int  // of the crop against the image, in -Padding..Padding
	flip        bool // in half of the images
	y, x        int  // centre of the cutout, in the image
}

// draw makes all choices, needed or not, so that switching one step of a transform on or off
// leaves the others as they were.
func (p *pipeline) draw(r *random) draws {
	return draws{
		down:  r.below(2*p.Padding+1) - p.Padding,
		right: r.below(2*p.Padding+1) - p.Padding,
		flip:  r.coin() && p.Flip,
		y:     r.below(p.h),
		x:     r.below(p.w),
	}
}

// apply transforms an image (C,H,W) of bytes into dst, of the same shape. Work that depends on a
// choice is done by the row, never by the pixel.
func (p *pipeline) apply(dst []float32, src []byte, d draws) {
	// Columns lo..hi-1 of the crop lie in the image, from its column lo+right on.
	lo, hi := clip(-d.right, p.w), clip(p.w-d.right, p.w)
	top, bottom := clip(-d.down, p.h), clip(p.h-d.down, p.h)
	if lo == hi { // the crop lies beside the image
		top, bottom = p.h, p.h
	}
	copyRow := lookUp
	left, right := lo, hi // of the copied columns in dst
	if d.flip {
		copyRow = lookUpMirrored
		left, right = p.w-hi, p.w-lo
	}
	for c := range p.c {
		value := &p.value[c]
		border := value[p.Fill]
		plane := dst[c*p.h*p.w:][:p.h*p.w]
		fill(plane[:top*p.w], border)
		for y := top; y < bottom; y++ {
			row := plane[y*p.w:][:p.w]
			line := src[(c*p.h+y+d.down)*p.w:][:p.w]
			fill(row[:left], border)
			copyRow(row[left:right], line[lo+d.right:hi+d.right], value)
			fill(row[right:], border)
		}
		fill(plane[bottom*p.w:], border)
	}
	if p.Cutout > 0 {
		p.cutout(dst, d.y, d.x)
	}
}

// lookUp sets dst to the values of src, which is as long.
func lookUp(dst []float32, src []byte, value *[256]float32) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = value[b]
	}
}

// lookUpMirrored sets dst to the values of src, last first.
func lookUpMirrored(dst []float32, src []byte, value *[256]float32) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[len(dst)-1-i] = value[b]
	}
}

// cutout sets a square around (y,x) to 0, clipped at the border, as in arXiv:1708.04552: rows
// y-L/2 .. y+L/2-1 and such columns, halves rounded down.
func (p *pipeline) cutout(dst []float32, y, x int) {
	half := p.Cutout / 2
	y0, y1 := clip(y-half, p.h), clip(y+half, p.h)
	x0, x1 := clip(x-half, p.w), clip(x+half, p.w)
	for c := range p.c {
		for y := y0; y < y1; y++ {
			clear(dst[(c*p.h+y)*p.w:][x0:x1])
		}
	}
}

// clip is the number of 0..size nearest to n.
func clip(n, size int) int { return min(max(n, 0), size) }

func fill[T byte | float32](row []T, v T) {
	for i := range row {
		row[i] = v
	}
}
