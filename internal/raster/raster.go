// Package raster changes images of bytes in the ways that augmentation needs, with the results of
// Pillow, on which torchvision's transforms stand, to the last bit.
package raster

// Image is C planes of H rows of W bytes, one after the other without gaps.
type Image struct {
	C, H, W int
	Pix     []byte
}

// plane is one channel's bytes.
func (m Image) plane(c int) []byte { return m.Pix[c*m.H*m.W:][:m.H*m.W] }

// Canvas is an image of one channel (grey) or three (R,G,B) and what its methods need besides. It
// is used for one image after the other, by one goroutine at a time.
type Canvas struct {
	Image
	spare []byte // as long as Pix, with anything in it
	xs    []int  // scratch, one row
}

// Reset sets the size and makes room. What is in Pix afterwards is anything.
func (c *Canvas) Reset(channels, h, w int) {
	c.C, c.H, c.W = channels, h, w
	n := channels * h * w
	if cap(c.Pix) < n {
		c.Pix = make([]byte, n)
	}
	c.Pix = c.Pix[:n]
}

// other is scratch space as large as the image, which becomes the image by swap.
func (c *Canvas) other() []byte {
	if cap(c.spare) < len(c.Pix) {
		c.spare = make([]byte, len(c.Pix))
	}
	c.spare = c.spare[:len(c.Pix)]
	return c.spare
}

func (c *Canvas) swap() { c.Pix, c.spare = c.spare, c.Pix }

// table maps every byte to another one.
type table [256]byte

func (t *table) apply(pix []byte) {
	for i, b := range pix {
		pix[i] = t[b]
	}
}

// byte of a number, cut to 0..255 and its fraction off.
func clip(v float32) byte {
	switch {
	case v <= 0:
		return 0
	case v >= 255:
		return 255
	}
	return byte(v)
}

// blend is a + factor (b - a) as Pillow computes it, in float32: between a and b where factor is in
// [0,1], else beyond.
func blend(a, b byte, factor float32) byte {
	return clip(float32(a) + float32(factor*float32(int(b)-int(a))))
}

// luma is ITU-R 601-2's, with 16 bits after the point.
func luma(r, g, b byte) byte {
	return byte((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}
