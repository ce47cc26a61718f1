package datasets

import (
	"math"
	"slices"
)

// mix mixes each image of a batch with the one before it, and the first with the last, as torchvision's
// MixUp and CutMix do. r is the random stream of the batch.
func (p *pipeline) mix(b *Batch, r *random) {
	mixup := p.Mixup > 0
	if coin := r.coin(); mixup && p.Cutmix > 0 {
		mixup = coin
	}
	b.Others = append(append(b.Others[:0], b.Labels[b.N-1]), b.Labels[:b.N-1]...)
	if mixup {
		p.mixup(b, r.beta(p.Mixup))
	} else {
		p.cutmix(b, r.beta(p.Cutmix), r.below(p.w), r.below(p.h))
	}
}

// mixup replaces each image by share * image + (1-share) * the image before it.
func (p *pipeline) mixup(b *Batch, share float64) {
	b.Share = share
	own, other := float32(share), float32(1-share)
	p.eachPair(b, func(to, from []float32) {
		for i, v := range from {
			to[i] = float32(v*other) + float32(to[i]*own)
		}
	})
}

// cutmix copies a rectangle around (x,y) from the image before into each image. The rectangle has the
// fraction 1-share of the image's area, less what lies beyond the border.
func (p *pipeline) cutmix(b *Batch, share float64, x, y int) {
	x0, y0, x1, y1 := cutmixBox(share, x, y, p.h, p.w)
	b.Share = 1 - float64((x1-x0)*(y1-y0))/float64(p.h*p.w)
	p.eachPair(b, func(to, from []float32) {
		for row := range p.c * p.h {
			if y := row % p.h; y >= y0 && y < y1 {
				copy(to[row*p.w+x0:row*p.w+x1], from[row*p.w+x0:])
			}
		}
	})
}

// cutmixBox returns the rectangle around (x,y) with the fraction 1-share of the image's area, clipped at
// the border.
func cutmixBox(share float64, x, y, h, w int) (x0, y0, x1, y1 int) {
	half := 0.5 * math.Sqrt(1-share)
	halfW, halfH := int(half*float64(w)), int(half*float64(h))
	return max(x-halfW, 0), max(y-halfH, 0), min(x+halfW, w), min(y+halfH, h)
}

// eachPair calls f with every image and a copy of the one before it as it was before the first call.
func (p *pipeline) eachPair(b *Batch, f func(to, from []float32)) {
	size := len(b.Images) / b.N
	at := func(k int) []float32 { return b.Images[k*size:][:size] }
	last := slices.Clone(at(b.N - 1))
	for k := b.N - 1; k > 0; k-- {
		f(at(k), at(k-1))
	}
	f(at(0), last)
}
