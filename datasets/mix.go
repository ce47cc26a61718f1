package datasets

import (
	"math"
	"slices"
)

// mix mixes each image of a batch with the one before it, the first with the last, as torchvision's
// MixUp and CutMix do. r is the batch's.
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

// mixup takes that share of each image, and the rest of the one before.
func (p *pipeline) mixup(b *Batch, share float64) {
	b.Share = share
	own, other := float32(share), float32(1-share)
	p.eachPair(b, func(to, from []float32) {
		for i, v := range from {
			to[i] = float32(v*other) + float32(to[i]*own)
		}
	})
}

// cutmix puts a rectangle around (x,y) of the image before into each. Without clipping at the
// border it would leave that share.
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

// cutmixBox is a rectangle of the area that share leaves, around (x,y), clipped at the border.
func cutmixBox(share float64, x, y, h, w int) (x0, y0, x1, y1 int) {
	half := 0.5 * math.Sqrt(1-share)
	halfW, halfH := int(half*float64(w)), int(half*float64(h))
	return max(x-halfW, 0), max(y-halfH, 0), min(x+halfW, w), min(y+halfH, h)
}

// eachPair calls f with every image and the one before it, as both were.
func (p *pipeline) eachPair(b *Batch, f func(to, from []float32)) {
	size := len(b.Images) / b.N
	at := func(k int) []float32 { return b.Images[k*size:][:size] }
	last := slices.Clone(at(b.N - 1))
	for k := b.N - 1; k > 0; k-- {
		f(at(k), at(k-1))
	}
	f(at(0), last)
}
