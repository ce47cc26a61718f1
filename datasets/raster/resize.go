package raster

import (
	"encoding/binary"
	"math"
)

// Filter is how a resized pixel is made of the old ones around it. Where an image gets smaller it
// spans as many more of them (antialiasing).
type Filter int

// The filters, which Pillow calls the same.
const (
	Bilinear Filter = iota
	Bicubic
)

// support is how far the filter reaches, in pixels of the smaller image.
func (f Filter) support() float64 { return float64(f) + 1 }

func (f Filter) weight(x float64) float64 {
	const a = -0.5 // Keys' parameter
	x = math.Abs(x)
	switch {
	case f == Bilinear && x < 1:
		return 1 - x
	case f == Bicubic && x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case f == Bicubic && x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// Weights have so many bits after the point.
const weightBits = 22

// taps are the old pixels that each new one of a row or column is the weighted sum of.
type taps struct {
	first  []int   // of the old pixels, by new pixel
	count  []int   // of them
	weight []int32 // most of them for each new pixel
	most   int
	exact  []float64 // scratch
}

// set is for n old pixels that become size new ones.
func (t *taps) set(f Filter, n, size int) {
	scale := float64(n) / float64(size)
	stretch := max(scale, 1)
	support := f.support() * stretch
	t.most = int(math.Ceil(support))*2 + 1
	t.first, t.count = grow(t.first, size), grow(t.count, size)
	t.weight, t.exact = grow(t.weight, size*t.most), grow(t.exact, t.most)
	for i := range size {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		count := min(int(centre+support+0.5), n) - first
		sum := 0.0
		for k := range count {
			t.exact[k] = f.weight((float64(k+first) - centre + 0.5) / stretch)
			sum += t.exact[k]
		}
		for k := range count {
			t.weight[i*t.most+k] = int32(math.Round(t.exact[k] / sum * (1 << weightBits)))
		}
		t.first[i], t.count[i] = first, count
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Resizer resizes one image after the other.
type Resizer struct {
	across, down taps
	rows         []byte // three planes of old rows, already as wide as the new ones
	sums         []uint64
}

// Interleaved is H rows of W pixels of three channels each, the rows Stride bytes apart.
type Interleaved struct {
	W, H, Stride int
	Pix          []byte
}

// Interleaved sets c to src, resized to h x w.
func (r *Resizer) Interleaved(c *Canvas, src Interleaved, h, w int, f Filter) {
	c.Reset(3, h, w)
	r.prepare(f, src.H, src.W, h, w)
	size := src.H * w
	r.rows = grow(r.rows, 3*size)
	for y := range src.H {
		line := src.Pix[y*src.Stride:][:3*src.W]
		red, green, blue := r.rows[y*w:][:w], r.rows[size+y*w:][:w], r.rows[2*size+y*w:][:w]
		if src.W == w {
			for x := range w {
				red[x], green[x], blue[x] = line[3*x], line[3*x+1], line[3*x+2]
			}
			continue
		}
		r.across.colours(red, green, blue, line)
	}
	for ch := range 3 {
		r.rise(c.plane(ch), r.rows[ch*size:][:size], src.H, w)
	}
}

// Planes sets c to src, resized to h x w.
func (r *Resizer) Planes(c *Canvas, src Image, h, w int, f Filter) {
	c.Reset(src.C, h, w)
	r.prepare(f, src.H, src.W, h, w)
	size := src.H * w
	r.rows = grow(r.rows, size)
	for ch := range src.C {
		for y := range src.H {
			line, out := src.plane(ch)[y*src.W:][:src.W], r.rows[y*w:][:w]
			if src.W == w {
				copy(out, line)
			} else {
				r.across.grey(out, line)
			}
		}
		r.rise(c.plane(ch), r.rows, src.H, w)
	}
}

func (r *Resizer) prepare(f Filter, oldH, oldW, h, w int) {
	if oldW != w {
		r.across.set(f, oldW, w)
	}
	if oldH != h {
		r.down.set(f, oldH, h)
	}
}

const half = 1 << (weightBits - 1)

// grey resizes a row.
func (t *taps) grey(dst, src []byte) {
	for x := range dst {
		weights := t.weight[x*t.most:][:t.count[x]]
		old := src[t.first[x]:][:len(weights)]
		sum := int32(half)
		for i, w := range weights {
			sum += w * int32(old[i])
		}
		dst[x] = cut(sum)
	}
}

// colours resizes a row of three channels and takes them apart.
func (t *taps) colours(red, green, blue, src []byte) {
	green, blue = green[:len(red)], blue[:len(red)]
	for x := range red {
		weights := t.weight[x*t.most:][:t.count[x]]
		old := src[3*t.first[x]:][:3*len(weights)]
		r, g, b := int32(half), int32(half), int32(half)
		for _, w := range weights {
			r += w * int32(old[0])
			g += w * int32(old[1])
			b += w * int32(old[2])
			old = old[3:]
		}
		red[x], green[x], blue[x] = cut(r), cut(g), cut(b)
	}
}

// cut is a sum as a byte.
func cut(sum int32) byte { return byte(min(max(sum>>weightBits, 0), 255)) }

// Columns are summed eight bytes at a time, in four words of two lanes of 32 bits. A lane starts
// with half, and 256 ones above the point, so that no sum is negative and the lanes stay apart.
const (
	lanes     = 0x0000_00ff_0000_00ff
	laneStart = half + 256<<weightBits
	start     = laneStart<<32 | laneStart
)

// cutTable is the byte of a lane's integer part, less 256.
var cutTable = func() (t [1024]byte) {
	for i := range t {
		t[i] = byte(min(max(i-256, 0), 255))
	}
	return t
}()

// rise sets dst to src, h rows of w bytes, resized in height.
func (r *Resizer) rise(dst, src []byte, h, w int) {
	if len(dst) == h*w {
		copy(dst, src)
		return
	}
	words := w / 8
	r.sums = grow(r.sums, 4*words)
	for y := range len(dst) / w {
		t := &r.down
		weights, first := t.weight[y*t.most:][:t.count[y]], t.first[y]
		for i := range r.sums {
			r.sums[i] = start
		}
		for k, weight := range weights {
			addRow(r.sums, src[(first+k)*w:][:w], uint64(int64(weight)))
		}
		out := dst[y*w:][:w]
		for i := range words {
			s, o := r.sums[4*i:4*i+4], out[8*i:8*i+8]
			for lane, sum := range s {
				o[lane] = cutTable[sum>>weightBits&1023]
				o[lane+4] = cutTable[sum>>(32+weightBits)&1023]
			}
		}
		for x := 8 * words; x < w; x++ {
			sum := int32(half)
			for k, weight := range weights {
				sum += weight * int32(src[(first+k)*w+x])
			}
			out[x] = cut(sum)
		}
	}
}

// addRow adds a row to the sums, times a weight modulo 2^64.
func addRow(sums []uint64, row []byte, weight uint64) {
	for len(sums) >= 4 && len(row) >= 8 {
		v := binary.LittleEndian.Uint64(row)
		sums[0] += v & lanes * weight
		sums[1] += v >> 8 & lanes * weight
		sums[2] += v >> 16 & lanes * weight
		sums[3] += v >> 24 & lanes * weight
		sums, row = sums[4:], row[8:]
	}
}
