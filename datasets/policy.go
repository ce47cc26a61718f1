package datasets

import (
	"maps"
	"slices"

	"hdas/internal/raster"
)

// operation is an operation of AutoAugment and RandAugment.
type operation struct {
	name     string
	signed   bool // the strength is negated with probability 1/2
	strength func(bin, bins, h, w int) float64
	apply    func(c *raster.Canvas, v float64)
}

// The indices of the operations.
const (
	identity = iota
	shearX
	shearY
	translateX
	translateY
	rotate
	brightness
	colour
	contrast
	sharpness
	posterize
	solarize
	autoContrast
	equalize
	invert
)

// operations lists all operations. RandAugment draws from those before invert.
var operations = []operation{
	identity:     {name: "Identity", apply: func(*raster.Canvas, float64) {}},
	shearX:       {"ShearX", true, upTo(0.3), func(c *raster.Canvas, v float64) { c.Affine(raster.ShearX(v)) }},
	shearY:       {"ShearY", true, upTo(0.3), func(c *raster.Canvas, v float64) { c.Affine(raster.ShearY(v)) }},
	translateX:   {"TranslateX", true, shift, func(c *raster.Canvas, v float64) { c.Affine(raster.Translate(int(v), 0, c.H, c.W)) }},
	translateY:   {"TranslateY", true, shiftDown, func(c *raster.Canvas, v float64) { c.Affine(raster.Translate(0, int(v), c.H, c.W)) }},
	rotate:       {"Rotate", true, upTo(30), func(c *raster.Canvas, v float64) { c.Affine(raster.Rotate(v, c.H, c.W)) }},
	brightness:   {"Brightness", true, upTo(0.9), func(c *raster.Canvas, v float64) { c.Brightness(1 + v) }},
	colour:       {"Color", true, upTo(0.9), func(c *raster.Canvas, v float64) { c.Saturation(1 + v) }},
	contrast:     {"Contrast", true, upTo(0.9), func(c *raster.Canvas, v float64) { c.Contrast(1 + v) }},
	sharpness:    {"Sharpness", true, upTo(0.9), func(c *raster.Canvas, v float64) { c.Sharpness(1 + v) }},
	posterize:    {"Posterize", false, bitsLeft, func(c *raster.Canvas, v float64) { c.Posterize(int(v)) }},
	solarize:     {"Solarize", false, func(bin, bins, _, _ int) float64 { return linspace(255, 0, bin, bins) }, func(c *raster.Canvas, v float64) { c.Solarize(v) }},
	autoContrast: {name: "AutoContrast", apply: func(c *raster.Canvas, _ float64) { c.AutoContrast() }},
	equalize:     {name: "Equalize", apply: func(c *raster.Canvas, _ float64) { c.Equalize() }},
	invert:       {name: "Invert", apply: func(c *raster.Canvas, _ float64) { c.Invert() }},
}

func upTo(most float32) func(bin, bins, h, w int) float64 {
	return func(bin, bins, _, _ int) float64 { return linspace(0, most, bin, bins) }
}

// shift returns the translation in pixels for a strength bin: up to 150/331 of the width. shiftDown is
// the same for the height.
func shift(bin, bins, _, w int) float64 { return linspace(0, float32(150./331*float64(w)), bin, bins) }
func shiftDown(bin, bins, h, _ int) float64 {
	return linspace(0, float32(150./331*float64(h)), bin, bins)
}

// linspace returns element bin of torch.linspace(start, end, bins), with the same rounding.
func linspace(start, end float32, bin, bins int) float64 {
	step := (end - start) / float32(bins-1)
	if bin < bins/2 {
		return float64(start + float32(step*float32(bin)))
	}
	return float64(end - float32(step*float32(bins-1-bin)))
}

// bitsLeft returns the number of bits that Posterize keeps: 8 - round(4 bin/(bins-1)), with halves
// rounded to even as torch.round does.
func bitsLeft(bin, bins, _, _ int) float64 {
	quarters := float64(bin) / (float64(bins-1) / 4)
	whole := float64(int(quarters))
	switch rest := quarters - whole; {
	case rest > 0.5, rest == 0.5 && int(whole)%2 == 1:
		whole++
	}
	return 8 - whole
}

// choice is an operation of a sub-policy, with its probability and its strength as one of 10 bins.
type choice struct {
	op          int
	probability float64
	bin         int
}

// subPolicy is a list of operations, applied in order.
type subPolicy [autoOps]choice

func policyNames() []string { return slices.Sorted(maps.Keys(policies)) }

// policies holds the AutoAugment policies of arXiv:1805.09501, tables 7 and 9, as in torchvision.
var policies = map[string][]subPolicy{
	"cifar10": {
		{{invert, 0.1, 0}, {contrast, 0.2, 6}},
		{{rotate, 0.7, 2}, {translateX, 0.3, 9}},
		{{sharpness, 0.8, 1}, {sharpness, 0.9, 3}},
		{{shearY, 0.5, 8}, {translateY, 0.7, 9}},
		{{autoContrast, 0.5, 0}, {equalize, 0.9, 0}},
		{{shearY, 0.2, 7}, {posterize, 0.3, 7}},
		{{colour, 0.4, 3}, {brightness, 0.6, 7}},
		{{sharpness, 0.3, 9}, {brightness, 0.7, 9}},
		{{equalize, 0.6, 0}, {equalize, 0.5, 0}},
		{{contrast, 0.6, 7}, {sharpness, 0.6, 5}},
		{{colour, 0.7, 7}, {translateX, 0.5, 8}},
		{{equalize, 0.3, 0}, {autoContrast, 0.4, 0}},
		{{translateY, 0.4, 3}, {sharpness, 0.2, 6}},
		{{brightness, 0.9, 6}, {colour, 0.2, 8}},
		{{solarize, 0.5, 2}, {invert, 0, 0}},
		{{equalize, 0.2, 0}, {autoContrast, 0.6, 0}},
		{{equalize, 0.2, 0}, {equalize, 0.6, 0}},
		{{colour, 0.9, 9}, {equalize, 0.6, 0}},
		{{autoContrast, 0.8, 0}, {solarize, 0.2, 8}},
		{{brightness, 0.1, 3}, {colour, 0.7, 0}},
		{{solarize, 0.4, 5}, {autoContrast, 0.9, 0}},
		{{translateY, 0.9, 9}, {translateY, 0.7, 9}},
		{{autoContrast, 0.9, 0}, {solarize, 0.8, 3}},
		{{equalize, 0.8, 0}, {invert, 0.1, 0}},
		{{translateY, 0.7, 9}, {autoContrast, 0.9, 0}},
	},
	"imagenet": {
		{{posterize, 0.4, 8}, {rotate, 0.6, 9}},
		{{solarize, 0.6, 5}, {autoContrast, 0.6, 0}},
		{{equalize, 0.8, 0}, {equalize, 0.6, 0}},
		{{posterize, 0.6, 7}, {posterize, 0.6, 6}},
		{{equalize, 0.4, 0}, {solarize, 0.2, 4}},
		{{equalize, 0.4, 0}, {rotate, 0.8, 8}},
		{{solarize, 0.6, 3}, {equalize, 0.6, 0}},
		{{posterize, 0.8, 5}, {equalize, 1, 0}},
		{{rotate, 0.2, 3}, {solarize, 0.6, 8}},
		{{equalize, 0.6, 0}, {posterize, 0.4, 6}},
		{{rotate, 0.8, 8}, {colour, 0.4, 0}},
		{{rotate, 0.4, 9}, {equalize, 0.6, 0}},
		{{equalize, 0, 0}, {equalize, 0.8, 0}},
		{{invert, 0.6, 0}, {equalize, 1, 0}},
		{{colour, 0.6, 4}, {contrast, 1, 8}},
		{{rotate, 0.8, 8}, {colour, 1, 2}},
		{{colour, 0.8, 8}, {solarize, 0.8, 7}},
		{{sharpness, 0.4, 7}, {invert, 0.6, 0}},
		{{shearX, 0.6, 5}, {equalize, 1, 0}},
		{{colour, 0.4, 0}, {equalize, 0.6, 0}},
		{{equalize, 0.4, 0}, {solarize, 0.2, 4}},
		{{solarize, 0.6, 5}, {autoContrast, 0.6, 0}},
		{{invert, 0.6, 0}, {equalize, 1, 0}},
		{{colour, 0.6, 4}, {contrast, 1, 8}},
		{{equalize, 0.8, 0}, {equalize, 0.6, 0}},
	},
}

// step is an operation that was drawn for an image, with its strength.
type step struct {
	op       int
	strength float64
}

func newStep(op, bin, bins int, negative bool, h, w int) step {
	o := &operations[op]
	s := step{op: op}
	if o.strength != nil {
		s.strength = o.strength(bin, bins, h, w)
	}
	if o.signed && negative {
		s.strength = -s.strength
	}
	return s
}

// auto draws the steps of an AutoAugment policy for an image of h x w pixels.
func auto(r *random, policy []subPolicy, h, w int) (steps [maxRandOps]step) {
	sub := policy[r.below(len(policy))]
	for i, c := range sub {
		taken, negative := r.float() < c.probability, r.coin()
		if taken {
			steps[i] = newStep(c.op, c.bin, autoBins, negative, h, w)
		}
	}
	return steps
}

// draw draws the steps of RandAugment for an image of h x w pixels.
func (a RandAugment) draw(r *random, h, w int) (steps [maxRandOps]step) {
	for i := range a.Ops {
		op, negative := r.below(invert), r.coin()
		steps[i] = newStep(op, a.Magnitude, randBins, negative, h, w)
	}
	return steps
}
