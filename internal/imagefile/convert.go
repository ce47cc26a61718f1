package imagefile

import (
	"image"
	"image/color"
)

// convert writes src as RGB to dst, which has 3*W*H bytes. It returns line, scratch space that may have
// grown.
func convert(dst []byte, src image.Image, line []byte) []byte {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	row := func(y int) []byte { return dst[3*w*y:][:3*w] }
	switch m := src.(type) {
	case *image.Gray:
		for y := range h {
			spread(row(y), m.Pix[y*m.Stride:][:w])
		}
	case *image.Gray16:
		for y := range h {
			in, out := m.Pix[y*m.Stride:][:2*w], row(y)
			for x := range w {
				out[3*x], out[3*x+1], out[3*x+2] = in[2*x], in[2*x], in[2*x]
			}
		}
	case *image.RGBA:
		for y := range h {
			pick(row(y), m.Pix[y*m.Stride:][:4*w], 4, 1)
		}
	case *image.NRGBA:
		for y := range h {
			pick(row(y), m.Pix[y*m.Stride:][:4*w], 4, 1)
		}
	case *image.RGBA64:
		for y := range h {
			pick(row(y), m.Pix[y*m.Stride:][:8*w], 8, 2)
		}
	case *image.NRGBA64:
		for y := range h {
			pick(row(y), m.Pix[y*m.Stride:][:8*w], 8, 2)
		}
	case *image.Paletted:
		var table [256][3]byte
		for i, c := range m.Palette {
			if i < len(table) {
				n := color.NRGBAModel.Convert(c).(color.NRGBA)
				table[i] = [3]byte{n.R, n.G, n.B}
			}
		}
		for y := range h {
			in, out := m.Pix[y*m.Stride:][:w], row(y)
			for x, i := range in {
				copy(out[3*x:3*x+3], table[i][:])
			}
		}
	case *image.CMYK:
		for y := range h {
			cmykRow(row(y), m.Pix[y*m.Stride:][:4*w])
		}
	case *image.YCbCr:
		return ycbcr(dst, m, line)
	case videoRange:
		return webpRGB(dst, m.YCbCr, line)
	default:
		for y := range h {
			out := row(y)
			for x := range w {
				n := color.NRGBAModel.Convert(src.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
				out[3*x], out[3*x+1], out[3*x+2] = n.R, n.G, n.B
			}
		}
	}
	return line
}

// spread copies each grey value to three channels.
func spread(dst, grey []byte) {
	for x, v := range grey {
		out := dst[3*x : 3*x+3]
		out[0], out[1], out[2] = v, v, v
	}
}

// pick copies the first three values of each pixel to dst. A pixel has pixel bytes and a value value
// bytes, of which the first, the high byte, is copied.
func pick(dst, src []byte, pixel, value int) {
	for at := 0; at+pixel <= len(src); at += pixel {
		dst[0], dst[1], dst[2] = src[at], src[at+value], src[at+2*value]
		dst = dst[3:]
	}
}

// cmykRow converts CMYK to RGB as Pillow does: each channel is (255-K) * (255-ink) / 255.
func cmykRow(dst, src []byte) {
	for ; len(src) >= 4; src, dst = src[4:], dst[3:] {
		left := 255 - int(src[3])
		for c := range 3 {
			p := int(src[c])*left + 128 // the next line divides by 255 with rounding
			dst[c] = byte(max(0, left-(p>>8+p)>>8))
		}
	}
}
