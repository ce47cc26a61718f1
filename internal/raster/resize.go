package raster

import (
	"encoding/binary"
	"image"
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

// set is for n old pixels that become size new ones, of which those from..to-1 are wanted. It
// returns which old ones they need; first counts from there.
func (t *taps) set(f Filter, n, size, from, to int) (lo, hi int) {
	scale := float64(n) / float64(size)
	stretch := max(scale, 1)
	support := f.support() * stretch
	t.most = int(math.Ceil(support))*2 + 1
	t.first, t.count = grow(t.first, to-from), grow(t.count, to-from)
	t.weight, t.exact = grow(t.weight, (to-from)*t.most), grow(t.exact, t.most)
	for i := range to - from {
		centre := (float64(from+i) + 0.5) * scale
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
		if i == 0 {
			lo = first
		}
		t.first[i], t.count[i], hi = first-lo, count, first+count
	}
	return lo, hi
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// columns are taps in the form of the loop in C: as many for each new pixel, by tap and then by
// pixel.
type columns struct {
	offset []int32 // in bytes, of the first
	weight []int32
}

// set is false where n old pixels are fewer than the taps.
func (c *columns) set(t *taps, n int) bool {
	size := len(t.first)
	if n < t.most {
		return false
	}
	c.offset, c.weight = grow(c.offset, size), grow(c.weight, size*t.most)
	clear(c.weight)
	for x, first := range t.first {
		shift := max(first+t.most-n, 0) // to the left, for all to be there
		c.offset[x] = int32(3 * (first - shift))
		for k, w := range t.weight[x*t.most:][:t.count[x]] {
			c.weight[(k+shift)*size+x] = w
		}
	}
	return true
}

// Resizer resizes one image after the other: Plan, then Interleaved or Planes.
type Resizer struct {
	job          Job
	part         image.Rectangle // of the old image
	across, down taps
	rows         []byte // planes of old rows, already as wide as the new ones
	sums         []uint64
	columns      columns
}

// Job is the resizing of an image of OldH x OldW to H x W, of which only Window is made.
type Job struct {
	OldH, OldW, H, W int // all at least 1
	Window           image.Rectangle
	Filter           Filter
}

// Plan says which part of the old image the job needs.
func (r *Resizer) Plan(j Job) image.Rectangle {
	r.job, r.part = j, image.Rectangle{}
	r.part.Min.X, r.part.Max.X = r.across.set(j.Filter, j.OldW, j.W, j.Window.Min.X, j.Window.Max.X)
	r.part.Min.Y, r.part.Max.Y = r.down.set(j.Filter, j.OldH, j.H, j.Window.Min.Y, j.Window.Max.Y)
	return r.part
}

// Interleaved is H rows of W pixels of three channels each, the rows Stride bytes apart.
type Interleaved struct {
	W, H, Stride int
	Pix          []byte
}

// Interleaved sets c to the window, made of the part that Plan named.
func (r *Resizer) Interleaved(c *Canvas, part Interleaved) {
	c.Reset(3, r.job.Window.Dy(), r.job.Window.Dx())
	w, h := c.W, r.part.Dy()
	size := h * w
	r.rows = grow(r.rows, 3*size)
	done := 0
	// All rows but the last: the loop in C reads a byte beyond a row, which is the next one's.
	if vector && h > 1 && r.columns.set(&r.across, r.part.Dx()) {
		done = h - 1
		vectorAcross(r.rows, part.Pix, part.Stride, done, w, r.columns.offset, r.columns.weight, r.across.most, size)
	}
	for y := done; y < h; y++ {
		line := part.Pix[y*part.Stride:][:3*r.part.Dx()]
		red, green, blue := r.rows[y*w:][:w], r.rows[size+y*w:][:w], r.rows[2*size+y*w:][:w]
		r.across.colours(red, green, blue, line)
	}
	for ch := range 3 {
		r.rise(c.plane(ch), r.rows[ch*size:][:size], w)
	}
}

// Planes sets c to the window, made of src, the whole old image.
func (r *Resizer) Planes(c *Canvas, src Image) {
	c.Reset(src.C, r.job.Window.Dy(), r.job.Window.Dx())
	w, h := c.W, r.part.Dy()
	r.rows = grow(r.rows, h*w)
	for ch := range src.C {
		for y := range h {
			line := src.plane(ch)[(r.part.Min.Y+y)*src.W:][r.part.Min.X:r.part.Max.X]
			r.across.grey(r.rows[y*w:][:w], line)
		}
		r.rise(c.plane(ch), r.rows, w)
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

// rise sets dst to src, rows of w bytes, resized in height.
func (r *Resizer) rise(dst, src []byte, w int) {
	if vector {
		vectorDown(dst, src, len(dst)/w, w, &r.down)
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
