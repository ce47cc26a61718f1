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
	Cutout  int  `mapstructure:"cutout" yaml:"cutout"`   // side of a square set to 0 around a random pixel, after normalisation; 0: none
}

// Validate names every impossible value.
func (t Transform) Validate() error {
	var faults []error
	if t.Padding < 0 || t.Padding > 256 {
		faults = append(faults, fmt.Errorf("padding %d is not in 0..256", t.Padding))
	}
	if t.Cutout < 0 || t.Cutout > 4096 {
		faults = append(faults, fmt.Errorf("cutout %d is not in 0..4096", t.Cutout))
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

// apply transforms an image (C,H,W) of bytes into dst, of the same shape, with draws from r.
func (p *pipeline) apply(dst []float32, src []byte, r *random) {
	down, right := 0, 0 // of the crop against the image
	if p.Padding > 0 {
		down, right = r.below(2*p.Padding+1)-p.Padding, r.below(2*p.Padding+1)-p.Padding
	}
	flip := p.Flip && r.coin()
	for c := range p.c {
		value := &p.value[c]
		for y := range p.h {
			row := dst[(c*p.h+y)*p.w:][:p.w]
			from := y + down
			if from < 0 || from >= p.h {
				fill(row, value[p.Fill])
				continue
			}
			line := src[(c*p.h+from)*p.w:][:p.w]
			// Columns lo..hi-1 of the crop lie in the image.
			lo, hi := max(0, -right), min(p.w, p.w-right)
			fill(row[:min(lo, p.w)], value[p.Fill])
			fill(row[max(hi, 0):], value[p.Fill])
			if lo >= hi {
				continue
			}
			in, out := line[lo+right:hi+right], row[lo:hi]
			for x, b := range in {
				out[x] = value[b]
			}
		}
	}
	if flip {
		for y := range p.c * p.h {
			mirror(dst[y*p.w:][:p.w])
		}
	}
	if p.Cutout > 0 {
		p.cutout(dst, r.below(p.h), r.below(p.w))
	}
}

// cutout sets a square around (y,x) to 0, clipped at the border, as in arXiv:1708.04552.
func (p *pipeline) cutout(dst []float32, y, x int) {
	y0, y1 := span(y, p.Cutout, p.h)
	x0, x1 := span(x, p.Cutout, p.w)
	for c := range p.c {
		for y := y0; y < y1; y++ {
			fill(dst[(c*p.h+y)*p.w:][x0:x1], 0)
		}
	}
}

func span(centre, length, size int) (from, to int) {
	return max(0, centre-length/2), min(size, centre+length/2)
}

func fill(row []float32, v float32) {
	for i := range row {
		row[i] = v
	}
}

func mirror(row []float32) {
	for i, j := 0, len(row)-1; i < j; i, j = i+1, j-1 {
		row[i], row[j] = row[j], row[i]
	}
}
