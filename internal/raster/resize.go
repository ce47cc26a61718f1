package raster

import (
	"encoding/binary"
	"image"
	"math"
)

// Filter is the interpolation of a resize. If the image becomes smaller, the filter becomes wider
// accordingly (antialiasing), as in Pillow.
type Filter int

// The filters, with Pillow's names.
const (
	Bilinear Filter = iota
	Bicubic
)

// support returns half the width of the filter, in pixels of the smaller image.
// String returns Pillow's name of the filter.
func (f Filter) String() string { return [...]string{"bilinear", "bicubic"}[f] }

func (f Filter) support() float64 { return float64(f) + 1 }

func (f Filter) weight(x float64) float64 {
	const a = -0.5 // the parameter of Keys' bicubic kernel
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

// weightBits is the number of fractional bits of the filter's weights.
const weightBits = 22

// taps holds, for each new pixel of a row or a column, the old pixels whose weighted sum it is.
type taps struct {
	first  []int     // for each new pixel, the index of its first old pixel
	count  []int     // for each new pixel, its number of old pixels
	weight []int32   // for each new pixel, most weights, of which count are used
	most   int       // the largest possible count
	exact  []float64 // scratch space
}

// set computes the taps for new pixels from..to-1 when n old pixels are resized to size new ones. It
// returns the range lo..hi-1 of old pixels that they need; first counts from lo.
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

// columns holds taps in the form for the loop in C: each new pixel has the same number of taps.
type columns struct {
	offset []int32 // for each new pixel, the offset of its first old pixel in bytes
	weight []int32 // (taps, new pixels)
}

// set converts t for n old pixels. It returns false if there are fewer old pixels than taps.
func (c *columns) set(t *taps, n int) bool {
	size := len(t.first)
	if n < t.most {
		return false
	}
	c.offset, c.weight = grow(c.offset, size), grow(c.weight, size*t.most)
	clear(c.weight)
	for x, first := range t.first {
		shift := max(first+t.most-n, 0) // shift to the left, so that no tap is outside the row
		c.offset[x] = int32(3 * (first - shift))
		for k, w := range t.weight[x*t.most:][:t.count[x]] {
			c.weight[(k+shift)*size+x] = w
		}
	}
	return true
}

// Resizer resizes images and reuses its memory. For each image, call Plan, then Interleaved or Planes.
type Resizer struct {
	job          Job
	part         image.Rectangle // the part of the old image that is needed
	across, down taps
	rows         []byte // planes of the old rows, resized to the new width
	sums         []uint64
	columns      columns
}

// Job describes the resizing of an image of OldH x OldW pixels to H x W, of which only the part Window is
// computed.
type Job struct {
	OldH, OldW, H, W int // all at least 1
	Window           image.Rectangle
	Filter           Filter
}

// Plan prepares a job and returns the part of the old image that it needs.
func (r *Resizer) Plan(j Job) image.Rectangle {
	r.job, r.part = j, image.Rectangle{}
	r.part.Min.X, r.part.Max.X = r.across.set(j.Filter, j.OldW, j.W, j.Window.Min.X, j.Window.Max.X)
	r.part.Min.Y, r.part.Max.Y = r.down.set(j.Filter, j.OldH, j.H, j.Window.Min.Y, j.Window.Max.Y)
	return r.part
}

// Interleaved is an image with H rows of W pixels. A pixel has three bytes (R,G,B), and rows begin Stride
// bytes apart.
type Interleaved struct {
	W, H, Stride int
	Pix          []byte
}

// Interleaved sets c to the result of the planned job. part is the part of the old image that Plan
// returned.
func (r *Resizer) Interleaved(c *Canvas, part Interleaved) {
	c.Reset(3, r.job.Window.Dy(), r.job.Window.Dx())
	w, h := c.W, r.part.Dy()
	size := h * w
	r.rows = grow(r.rows, 3*size)
	done := 0
	// All rows except the last: the loop in C reads one byte after a row, which belongs to the next row.
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

// Planes sets c to the result of the planned job. src is the whole old image.
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

// grey resizes a row of one channel.
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

// colours resizes a row of interleaved RGB and writes the channels to three rows.
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

// cut returns a fixed-point sum as a byte.
func cut(sum int32) byte { return byte(min(max(sum>>weightBits, 0), 255)) }

// rise adds eight bytes at a time, in four 64-bit words with two lanes of 32 bits. A lane starts with 256.5
// in fixed point, so that sums are rounded and never negative, and the lanes do not affect each other.
const (
	lanes     = 0x0000_00ff_0000_00ff
	laneStart = half + 256<<weightBits
	start     = laneStart<<32 | laneStart
)

// cutTable maps the integer part of a lane to the byte of that number minus 256.
var cutTable = func() (t [1024]byte) {
	for i := range t {
		t[i] = byte(min(max(i-256, 0), 255))
	}
	return t
}()

// rise resizes src, which has rows of w bytes, in height, and writes the result to dst.
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

// addRow adds weight * row to the sums, modulo 2^64.
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
