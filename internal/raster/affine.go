package raster

import "math"

// Matrix is the matrix of an inverse affine transform: the pixel (x,y) of the result comes from
// (m0 x + m1 y + m2, m3 x + m4 y + m5) of the original.
type Matrix [6]float64

// ShearX returns the matrix that moves row y by factor*y pixels to the right.
func ShearX(factor float64) Matrix { return inverse(math.Atan(factor), 0, 0, 0, 0, 0) }

// ShearY returns the matrix that moves column x by factor*x pixels down.
func ShearY(factor float64) Matrix { return inverse(0, math.Atan(factor), 0, 0, 0, 0) }

// Translate returns the matrix that moves an image of h x w pixels to the right and down, in pixels.
func Translate(right, down, h, w int) Matrix {
	return inverse(0, 0, float64(right), float64(down), float64(w)*0.5, float64(h)*0.5)
}

// inverse returns the inverse of a shear by these angles around a centre, followed by a translation. It
// adds in the same order as torchvision, because the last bit can decide which pixel is taken.
func inverse(shearX, shearY, right, down, cx, cy float64) Matrix {
	a := math.Cos(-shearY) / math.Cos(shearY)
	b := -math.Cos(-shearY) * math.Tan(shearX) / math.Cos(shearY)
	c := math.Sin(-shearY) / math.Cos(shearY)
	d := float64(-math.Sin(-shearY)*math.Tan(shearX)/math.Cos(shearY)) + 1
	m := Matrix{d, -b, 0, -c, a, 0}
	m[2] += float64(m[0]*(-cx-right)) + float64(m[1]*(-cy-down))
	m[5] += float64(m[3]*(-cx-right)) + float64(m[4]*(-cy-down))
	m[2] += cx
	m[5] += cy
	return m
}

// Rotate returns the matrix that turns an image of h x w pixels counterclockwise around its centre.
// degrees is in (-90,90).
func Rotate(degrees float64, h, w int) Matrix {
	angle := -degrees * math.Pi / 180
	cos, sin := round15(math.Cos(angle)), round15(math.Sin(angle))
	m := Matrix{cos, sin, 0, -sin, cos, 0}
	cx, cy := float64(w)/2, float64(h)/2
	m[2] = float64(m[0]*-cx) + float64(m[1]*-cy) + cx
	m[5] = float64(m[3]*-cx) + float64(m[4]*-cy) + cy
	return m
}

// round15 returns v rounded to 15 decimals, as in Pillow.
func round15(v float64) float64 { return math.RoundToEven(v*1e15) / 1e15 }

// Affine transforms the image with nearest-neighbour interpolation. Pixels from outside the image are 0.
func (c *Canvas) Affine(m Matrix) {
	dst := c.other()
	clear(dst)
	if m[1] == 0 && m[3] == 0 {
		c.scale(dst, m)
	} else {
		c.warp(dst, m)
	}
	c.swap()
}

// scale applies a matrix with m1 = m3 = 0.
func (c *Canvas) scale(dst []byte, m Matrix) {
	if cap(c.xs) < c.W {
		c.xs = make([]int, c.W)
	}
	xs := c.xs[:c.W]
	from, to := c.W, 0 // the range of columns that come from inside the image
	for x, at := 0, m[2]+m[0]*0.5; x < c.W; x, at = x+1, at+m[0] {
		if at >= 0 && int(at) < c.W {
			xs[x] = int(at)
			from, to = min(from, x), x+1
		}
	}
	for y, at := 0, m[5]+m[4]*0.5; y < c.H; y, at = y+1, at+m[4] {
		if at < 0 || int(at) >= c.H {
			continue
		}
		for ch := range c.C {
			in, out := c.plane(ch)[int(at)*c.W:][:c.W], dst[(ch*c.H+y)*c.W:][:c.W]
			if from < to && xs[to-1]-xs[from] == to-1-from {
				copy(out[from:to], in[xs[from]:])
				continue
			}
			for x := from; x < to; x++ {
				out[x] = in[xs[x]]
			}
		}
	}
}

// warp applies any matrix, with fixed-point numbers of 16 fractional bits.
func (c *Canvas) warp(dst []byte, m Matrix) {
	fixed := func(v float64) int { return int(math.Floor(v*65536 + 0.5)) }
	dx, dy := fixed(m[0]), fixed(m[3])
	downX, downY := fixed(m[1]), fixed(m[4])
	startX, startY := fixed(m[2]+m[0]*0.5+m[1]*0.5), fixed(m[5]+m[3]*0.5+m[4]*0.5)
	size := c.H * c.W
	for y := range c.H {
		atX, atY := startX+y*downX, startY+y*downY
		row := y * c.W
		for x := range c.W {
			fromX, fromY := atX>>16, atY>>16
			if uint(fromX) < uint(c.W) && uint(fromY) < uint(c.H) {
				from, to := fromY*c.W+fromX, row+x
				for at := 0; at < len(dst); at += size {
					dst[at+to] = c.Pix[at+from]
				}
			}
			atX += dx
			atY += dy
		}
	}
}
