package datasets

import (
	"encoding/binary"
	"image"
	"math"

	"hdas/internal/raster"
)

// pipeline applies a Transform to the images of one data set.
type pipeline struct {
	Transform
	c, h, w      int
	filter       raster.Filter
	scale, ratio [2]float64
	policy       []subPolicy
	// value[c][x] is the normalised value (x/255 - mean) / std of byte x in channel c.
	value [][256]float32
}

func newPipeline(t Transform, info Info, f raster.Filter) pipeline {
	p := pipeline{Transform: t, c: info.Channels, h: info.Height, w: info.Width, filter: f,
		scale: between(t.CropScale, defaultScale), ratio: between(t.CropRatio, defaultRatio),
		policy: policies[t.policy()], value: make([][256]float32, info.Channels)}
	for c := range p.value {
		for b := range p.value[c] {
			p.value[c][b] = float32((float64(b)/255 - info.Mean[c]) / info.Std[c])
		}
	}
	return p
}

// draws holds the random choices for one image.
type draws struct {
	down, right int              // offset of the padded crop from the image, in -Padding..Padding
	flip        bool             // mirror left to right, with probability 1/2
	y, x        int              // centre of the cutout
	steps       [maxRandOps]step // operations of AutoAugment or RandAugment
	jitter      jitter
	erased      image.Rectangle
}

// Each kind of random choice has a random stream of its own, derived from that of the image. Switching
// one step of a transform on or off therefore does not change the choices of the others.
const (
	streamBox = iota + 1
	streamPolicy
	streamJitter
	streamErasing
)

func (p *pipeline) draw(k key) draws {
	var r random
	r.seed(k)
	d := draws{
		down:  r.below(2*p.Padding+1) - p.Padding,
		right: r.below(2*p.Padding+1) - p.Padding,
		flip:  r.coin() && p.Flip,
		y:     r.below(p.h),
		x:     r.below(p.w),
	}
	if p.policy != nil {
		r.seed(k.at(streamPolicy))
		d.steps = auto(&r, p.policy, p.h, p.w)
	} else if p.RandAugment.Ops > 0 {
		r.seed(k.at(streamPolicy))
		d.steps = p.RandAugment.draw(&r, p.h, p.w)
	}
	if p.ColorJitter != (ColorJitter{}) {
		r.seed(k.at(streamJitter))
		d.jitter = p.ColorJitter.draw(&r)
	}
	if p.Erasing > 0 {
		r.seed(k.at(streamErasing))
		if r.float() < p.Erasing {
			d.erased = erasedPart(&r, p.h, p.w)
		}
	}
	return d
}

// jitter holds the random choices of a ColorJitter.
type jitter struct {
	order                            [4]int
	brightness, contrast, saturation float64 // factors
	hue                              float64
}

func (j ColorJitter) draw(r *random) (d jitter) {
	for i := range d.order { // Fisher-Yates shuffle
		k := r.below(i + 1)
		d.order[i], d.order[k] = d.order[k], i
	}
	d.brightness = r.within(max(0, 1-j.Brightness), 1+j.Brightness)
	d.contrast = r.within(max(0, 1-j.Contrast), 1+j.Contrast)
	d.saturation = r.within(max(0, 1-j.Saturation), 1+j.Saturation)
	d.hue = r.within(-j.Hue, j.Hue)
	return d
}

// recolour applies the steps between crop and normalisation: the policy and the colour jitter.
func (p *pipeline) recolour(c *raster.Canvas, d *draws) {
	for _, s := range d.steps {
		operations[s.op].apply(c, s.strength)
	}
	if p.ColorJitter == (ColorJitter{}) {
		return
	}
	for _, k := range d.jitter.order {
		switch k {
		case 0:
			if p.ColorJitter.Brightness > 0 {
				c.Brightness(d.jitter.brightness)
			}
		case 1:
			if p.ColorJitter.Contrast > 0 {
				c.Contrast(d.jitter.contrast)
			}
		case 2:
			if p.ColorJitter.Saturation > 0 {
				c.Saturation(d.jitter.saturation)
			}
		case 3:
			if p.ColorJitter.Hue > 0 {
				c.Hue(d.jitter.hue)
			}
		}
	}
}

// box returns the random part of an image of h x w pixels that a resized crop takes. It draws area and
// aspect ratio up to ten times until they fit into the image; else it returns the largest central part
// with an allowed ratio (torchvision's RandomResizedCrop).
func (p *pipeline) box(k key, h, w int) image.Rectangle {
	var r random
	r.seed(k.at(streamBox))
	area := float64(h * w)
	low, high := math.Log(p.ratio[0]), math.Log(p.ratio[1])
	for range tries {
		target := area * r.within(p.scale[0], p.scale[1])
		ratio := math.Exp(r.within(low, high))
		cw, ch := nearest(math.Sqrt(target*ratio)), nearest(math.Sqrt(target/ratio))
		if cw > 0 && cw <= w && ch > 0 && ch <= h {
			top, left := r.below(h-ch+1), r.below(w-cw+1)
			return image.Rect(left, top, left+cw, top+ch)
		}
	}
	return middle(h, w, p.ratio)
}

// middle returns the largest central part of an image whose ratio of width to height is in a range.
func middle(h, w int, ratio [2]float64) image.Rectangle {
	cw, ch := w, h
	switch is := float64(w) / float64(h); {
	case is < ratio[0]:
		ch = max(1, nearest(float64(w)/ratio[0]))
	case is > ratio[1]:
		cw = max(1, nearest(float64(h)*ratio[1]))
	}
	left, top := (w-cw)/2, (h-ch)/2
	return image.Rect(left, top, left+cw, top+ch)
}

// erasedPart returns the random rectangle that erasing sets to 0. It is empty if none of ten draws fits
// into the image.
func erasedPart(r *random, h, w int) image.Rectangle {
	area := float64(h * w)
	low, high := math.Log(eraseRatio[0]), math.Log(eraseRatio[1])
	for range tries {
		target := area * r.within(eraseScale[0], eraseScale[1])
		ratio := math.Exp(r.within(low, high)) // height / width
		eh, ew := nearest(math.Sqrt(target*ratio)), nearest(math.Sqrt(target/ratio))
		if eh < h && ew < w {
			top, left := r.below(h-eh+1), r.below(w-ew+1)
			return image.Rect(left, top, left+ew, top+eh)
		}
	}
	return image.Rectangle{}
}

// apply writes the transformed image src (C,H,W) to dst, which has the same shape. c is scratch space.
func (p *pipeline) apply(dst []float32, src []byte, d *draws, c *raster.Canvas) {
	n := p.h * p.w
	if !p.recolours() {
		for ch := range p.c {
			value := &p.value[ch]
			crop(p, dst[ch*n:][:n], src[ch*n:][:n], d, value[p.Fill], func(to []float32, from []byte) { lookUp(to, from, value) },
				func(to []float32, from []byte) { lookUpMirrored(to, from, value) })
		}
	} else {
		c.Reset(p.c, p.h, p.w)
		for ch := range p.c {
			crop(p, c.Pix[ch*n:][:n], src[ch*n:][:n], d, p.Fill, func(to, from []byte) { copy(to, from) }, mirror)
		}
		p.recolour(c, d)
		for ch := range p.c {
			lookUp(dst[ch*n:][:n], c.Pix[ch*n:][:n], &p.value[ch])
		}
	}
	if p.Cutout > 0 {
		half := p.Cutout / 2
		p.erase(dst, image.Rect(d.x-half, d.y-half, d.x+half, d.y+half).Intersect(image.Rect(0, 0, p.w, p.h)))
	}
	p.erase(dst, d.erased)
}

// crop writes a plane of bytes to dst, shifted and possibly mirrored. straight and mirrored copy one
// row. Decisions that depend on the random choices are made once for each row, not for each pixel.
func crop[T byte | float32](p *pipeline, dst []T, src []byte, d *draws, border T, straight, mirrored func(to []T, from []byte)) {
	// Columns lo..hi-1 of the crop are inside the image, beginning at the image's column lo+right.
	lo, hi := clip(-d.right, p.w), clip(p.w-d.right, p.w)
	top, bottom := clip(-d.down, p.h), clip(p.h-d.down, p.h)
	if lo == hi { // the crop does not overlap the image
		top, bottom = p.h, p.h
	}
	row, left, right := straight, lo, hi // how to copy a row, and its columns left..right-1 in dst
	if d.flip {
		row, left, right = mirrored, p.w-hi, p.w-lo
	}
	fill(dst[:top*p.w], border)
	for y := top; y < bottom; y++ {
		to, from := dst[y*p.w:][:p.w], src[(y+d.down)*p.w:][:p.w]
		fill(to[:left], border)
		row(to[left:right], from[lo+d.right:hi+d.right])
		fill(to[right:], border)
	}
	fill(dst[bottom*p.w:], border)
}

// lookUp sets dst[i] to value[src[i]]. Both have the same length.
func lookUp(dst []float32, src []byte, value *[256]float32) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = value[b]
	}
}

// lookUpMirrored is lookUp in reverse order.
func lookUpMirrored(dst []float32, src []byte, value *[256]float32) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[len(dst)-1-i] = value[b]
	}
}

// mirror copies src to dst in reverse order, eight bytes at a time.
func mirror(dst, src []byte) {
	for ; len(src) >= 8; src = src[8:] {
		binary.BigEndian.PutUint64(dst[len(src)-8:], binary.LittleEndian.Uint64(src))
	}
	for i, b := range src {
		dst[len(src)-1-i] = b
	}
}

// erase sets a rectangle of the image to 0.
func (p *pipeline) erase(dst []float32, part image.Rectangle) {
	if part.Empty() {
		return
	}
	for c := range p.c {
		for y := part.Min.Y; y < part.Max.Y; y++ {
			clear(dst[(c*p.h+y)*p.w:][part.Min.X:part.Max.X])
		}
	}
}

// nearest returns v rounded to the nearest integer, halves to even, as Python's round does.
func nearest(v float64) int { return int(math.RoundToEven(v)) }

// clip returns n limited to 0..size.
func clip(n, size int) int { return min(max(n, 0), size) }

func fill[T byte | float32](row []T, v T) {
	for i := range row {
		row[i] = v
	}
}
