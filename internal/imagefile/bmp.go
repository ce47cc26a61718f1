package imagefile

import (
	"encoding/binary"
	"errors"
	"image"
	"io"
	"math/bits"
)

// golang.org/x/image/bmp supports three of the seven header sizes, and neither compression, 16 bits per
// pixel nor colour masks. This decoder supports everything that Pillow opens and returns the same pixels.

// Values of the header field "compression".
const (
	bmpRaw = iota
	bmpRLE8
	bmpRLE4
	bmpMasks
)

// bmpHead holds the fields of a BMP's headers and its palette.
type bmpHead struct {
	w, h        int
	topDown     bool
	bits        int // per pixel
	compression uint32
	masks       [3]uint32 // of red, green and blue, for 16, 24 and 32 bits per pixel
	palette     [256][3]byte
	pixels      int // offset of the pixel data in the file
}

// bmpHeadOf parses the headers and the palette.
func bmpHeadOf(file []byte) (h bmpHead, err error) {
	le := binary.LittleEndian
	if len(file) < 18 {
		return h, io.ErrUnexpectedEOF
	}
	size := int64(le.Uint32(file[14:]))
	if len(file) < 14+int(min(size, 124)) {
		return h, io.ErrUnexpectedEOF
	}
	h.pixels = int(le.Uint32(file[10:]))
	colours, entry := uint32(0), 4
	switch size {
	case 12:
		h.w, h.h, h.bits, entry = int(le.Uint16(file[18:])), int(le.Uint16(file[20:])), int(le.Uint16(file[24:])), 3
	case 40, 52, 56, 64, 108, 124:
		h.w, h.h = int(int32(le.Uint32(file[18:]))), int(int32(le.Uint32(file[22:])))
		h.bits, h.compression, colours = int(le.Uint16(file[28:])), le.Uint32(file[30:]), le.Uint32(file[46:])
		if h.topDown = h.h < 0; h.topDown {
			h.h = -h.h
		}
	default:
		return h, unsupported("a header of %d bytes", size)
	}
	behind := 14 + int(size) // offset of the byte after the headers
	switch {
	case h.bits != 1 && h.bits != 2 && h.bits != 4 && h.bits != 8 && h.bits != 16 && h.bits != 24 && h.bits != 32:
		return h, unsupported("%d bits a pixel", h.bits)
	case h.compression == bmpRLE8 && h.bits != 8 || h.compression == bmpRLE4 && h.bits != 4 || h.compression == bmpMasks && h.bits < 16 || h.compression > bmpMasks:
		return h, unsupported("compression %d of %d bits a pixel", h.compression, h.bits)
	}
	switch {
	case h.compression == bmpMasks:
		if len(file) < 66 {
			return h, io.ErrUnexpectedEOF
		}
		for i := range h.masks {
			h.masks[i] = le.Uint32(file[54+4*i:])
		}
		if size == 40 {
			behind += 12
		}
	case h.bits == 16:
		h.masks = [3]uint32{0x7c00, 0x3e0, 0x1f}
	}
	if h.bits >= 24 && h.masks == [3]uint32{} {
		h.masks = [3]uint32{0xff0000, 0xff00, 0xff}
	}
	if h.bits <= 8 {
		if colours == 0 {
			colours = 1 << h.bits
		}
		if colours > 1<<16 {
			return h, unsupported("a palette of %d colours", colours)
		}
		for i, at := 0, behind; i < int(min(colours, 256)) && at+3 <= len(file); i, at = i+1, at+entry {
			h.palette[i] = [3]byte{file[at+2], file[at+1], file[at]}
		}
		// Some files give the offset of the palette as that of the pixels.
		if behind += entry * int(colours); h.pixels == 14+int(size) {
			h.pixels = behind
		}
	}
	if h.pixels == 0 {
		h.pixels = behind
	}
	return h, nil
}

func bmpSize(file []byte) (image.Config, error) {
	h, err := bmpHeadOf(file)
	return image.Config{Width: h.w, Height: h.h}, err
}

// bmpPixels decodes a BMP of w x h pixels into dst, as RGB.
func bmpPixels(file, dst []byte, w, h int) error {
	head, err := bmpHeadOf(file)
	if err != nil {
		return err
	}
	if head.pixels > len(file) {
		return io.ErrUnexpectedEOF
	}
	data, stride := file[head.pixels:], (w*head.bits+31)/32*4
	if head.compression == bmpRLE8 || head.compression == bmpRLE4 {
		if data, err = bmpRuns(data, w, h, head.compression == bmpRLE4, head.pixels); err != nil {
			return err
		}
		head.bits, stride = 8, w
	}
	used := (w*head.bits + 7) / 8
	if len(data) < (h-1)*stride+used { // the padding of the last row may be missing
		return io.ErrUnexpectedEOF
	}
	var channels [3]func(pixel uint32) byte
	if head.bits > 8 {
		for c, mask := range head.masks {
			if mask == 0 {
				return errors.New("a colour without bits")
			}
			shift, most := bits.TrailingZeros32(mask), uint64(mask)>>bits.TrailingZeros32(mask)
			channels[c] = func(pixel uint32) byte { return byte(uint64((pixel&mask)>>shift) * 255 / most) }
		}
	}
	for y := range h {
		row := data[y*stride:][:used]
		out := dst[3*w*y:]
		if !head.topDown {
			out = dst[3*w*(h-1-y):]
		}
		head.row(out[:3*w], row, channels)
	}
	return nil
}

// row converts one row of pixels to RGB. channels extract the colours from a pixel of 16 bits or more.
func (h *bmpHead) row(out, in []byte, channels [3]func(uint32) byte) {
	if h.bits <= 8 {
		mask := byte(1<<h.bits - 1)
		for x := range len(out) / 3 {
			at := x * h.bits
			copy(out[3*x:], h.palette[in[at/8]>>(8-h.bits-at%8)&mask][:])
		}
		return
	}
	for x, n := 0, h.bits/8; x < len(out)/3; x++ {
		var word [4]byte
		copy(word[:], in[x*n:][:n])
		pixel := binary.LittleEndian.Uint32(word[:])
		for c, f := range channels {
			out[3*x+c] = f(pixel)
		}
	}
}

// bmpRuns decodes run-length encoded data to one byte per pixel; a row has w pixels. at is the offset of data
// in the file, relative to which literal runs are aligned to two bytes. Pixels that the code skips, and those
// after its end mark, are 0.
func bmpRuns(data []byte, w, h int, four bool, at int) ([]byte, error) {
	out := make([]byte, 0, min(w*h, 256*len(data)))
	x, total := 0, w*h
	skip := func(n int) { out = append(out, make([]byte, min(n, total-len(out)))...) }
	for i := 0; len(out) < total; {
		if i+2 > len(data) {
			return nil, io.ErrUnexpectedEOF
		}
		count, value := int(data[i]), data[i+1]
		i += 2
		switch {
		case count > 0:
			count = min(count, max(0, w-x), total-len(out))
			for k := range count {
				switch {
				case !four:
					out = append(out, value)
				case k%2 == 0:
					out = append(out, value>>4)
				default:
					out = append(out, value&15)
				}
			}
			x += count
		case value == 0: // end of the row
			if n := len(out) % w; n > 0 {
				skip(w - n)
			}
			x = 0
		case value == 1: // end of the image
			return append(out, make([]byte, total-len(out))...), nil
		case value == 2: // skip pixels to the right and rows up
			if i+2 > len(data) {
				return nil, io.ErrUnexpectedEOF
			}
			skip(int(data[i]) + w*int(data[i+1]))
			i += 2
			x = len(out) % w
		default: // a run of literal pixels
			count, bytes := min(int(value), total-len(out)), min(int(value), total-len(out))
			if four {
				bytes = (count + 1) / 2
			}
			if i+bytes > len(data) {
				return nil, io.ErrUnexpectedEOF
			}
			for k := range count {
				if four {
					out = append(out, data[i+k/2]>>(4-4*(k%2))&15)
				} else {
					out = append(out, data[i+k])
				}
			}
			i += bytes
			x += int(value)
			i += (at + i) % 2
		}
	}
	return out, nil
}
