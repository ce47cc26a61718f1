// Package raster implements the image operations of data augmentation on images of bytes. Results equal
// those of Pillow, which torchvision's transforms use, bit for bit.
package raster

// Image is an image of bytes (C,H,W), in row-major order without gaps.
type Image struct {
	C, H, W int
	Pix     []byte
}

// plane returns the bytes of channel c; the result shares the image's memory.
func (m Image) plane(c int) []byte { return m.Pix[c*m.H*m.W:][:m.H*m.W] }

// Canvas is an image with one channel (grey) or three (R,G,B), and scratch memory for its methods. Its
// methods change the image in place. A canvas can be reused for other images; only one goroutine may use
// it at a time.
type Canvas struct {
	Image
	spare []byte // scratch space as long as Pix
	xs    []int  // scratch space for one row
}

// Reset sets the size of the image. The content of Pix is undefined afterwards.
func (c *Canvas) Reset(channels, h, w int) {
	c.C, c.H, c.W = channels, h, w
	n := channels * h * w
	if cap(c.Pix) < n {
		c.Pix = make([]byte, n)
	}
	c.Pix = c.Pix[:n]
}

// other returns scratch space of the size of the image. swap makes it the image.
func (c *Canvas) other() []byte {
	if cap(c.spare) < len(c.Pix) {
		c.spare = make([]byte, len(c.Pix))
	}
	c.spare = c.spare[:len(c.Pix)]
	return c.spare
}

func (c *Canvas) swap() { c.Pix, c.spare = c.spare, c.Pix }

// table maps each byte to another byte.
type table [256]byte

func (t *table) apply(pix []byte) {
	for i, b := range pix {
		pix[i] = t[b]
	}
}

// clip returns v limited to 0..255, without its fraction.
func clip(v float32) byte {
	switch {
	case v <= 0:
		return 0
	case v >= 255:
		return 255
	}
	return byte(v)
}

// blend returns a + factor * (b - a), computed in float32 as in Pillow. The result is between a and b if
// factor is in [0,1].
func blend(a, b byte, factor float32) byte {
	return clip(float32(a) + float32(factor*float32(int(b)-int(a))))
}

// luma returns the grey value of a colour by ITU-R 601-2, computed with 16 fractional bits.
func luma(r, g, b byte) byte {
	return byte((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}
