package imagefile

import (
	"bytes"
	"compress/zlib"
	"errors"
	"image"
	"io"
	"math"
	"math/bits"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// decode decompresses one block and writes its samples into levels; at is its place in the image. With separate
// planes, the block holds the samples of one plane.
func (l tiffLayout) decode(block []byte, at image.Rectangle, plane int, levels []byte) error {
	in := at.Intersect(image.Rect(0, 0, l.w, l.h))
	if l.code == tiffJPEG {
		return l.decodeJPEG(block, in, levels)
	}
	if l.colours == tiffYCbCr && (l.first(tiffSubsampling, 2) != 1 || len(l.tags[tiffSubsampling]) > 1 && l.tags[tiffSubsampling][1] != 1) {
		return unsupported("YCbCr with fewer samples of the colours, in compression %d", l.code)
	}
	samples, first, n := l.samples, 0, l.used
	if l.planes {
		samples, first, n = 1, plane, 1
	}
	row := make([]byte, (at.Dx()*samples*l.bits+7)/8)
	r, err := l.open(block, at, len(row))
	if err != nil {
		return err
	}
	for y := in.Min.Y; y < in.Max.Y; y++ {
		if _, err := io.ReadFull(r, row); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if l.predictor == 2 {
			l.undo(row, samples)
		}
		out := levels[l.used*(l.w*y+in.Min.X):]
		for x := range in.Dx() {
			for s := range n {
				out[l.used*x+first+s] = l.level(row, x*samples+s)
			}
		}
	}
	return nil
}

// level returns sample i of a row in 8 bits. Palette indices are not scaled.
func (l tiffLayout) level(row []byte, i int) byte {
	var v byte
	switch l.bits {
	case 8:
		v = row[i]
	case 32: // clipped to 0..255, as in Pillow
		word := l.order.Uint32(row[4*i:])
		switch f := math.Float32frombits(word); {
		case l.format == 3 && !(f > 0), l.format < 3 && int32(word) < 0:
			return 0
		case l.format == 3:
			return byte(min(255, f))
		}
		return byte(min(255, word))
	case 16:
		v = byte(l.order.Uint16(row[2*i:]) >> 8)
		if l.colours == tiffPalette {
			v = byte(l.order.Uint16(row[2*i:]))
		}
	default:
		at := i * l.bits
		v = row[at/8] >> (8 - l.bits - at%8) & (1<<l.bits - 1)
		if l.colours != tiffPalette {
			v *= byte(255 / (1<<l.bits - 1))
		}
	}
	if l.colours == tiffWhiteIsZero {
		v = ^v
	}
	return v
}

// undo reverses the horizontal predictor: it adds to each sample the one of the previous pixel.
func (l tiffLayout) undo(row []byte, samples int) {
	if l.bits == 8 {
		for i := samples; i < len(row); i++ {
			row[i] += row[i-samples]
		}
		return
	}
	for i := 2 * samples; i+2 <= len(row); i += 2 {
		l.order.PutUint16(row[i:], l.order.Uint16(row[i:])+l.order.Uint16(row[i-2*samples:]))
	}
}

// open returns a reader of a block's decompressed rows, which have the given number of bytes.
func (l tiffLayout) open(block []byte, at image.Rectangle, row int) (io.Reader, error) {
	lowFirst := l.first(tiffFillOrder, 1) == 2
	if l.code == 3 || l.code == 4 {
		const twoDimensional, t4 = 1, 292
		form, order := ccitt.Group4, ccitt.MSB
		if l.code == 3 {
			form = ccitt.Group3
			if l.first(t4, 0)&twoDimensional != 0 {
				return nil, unsupported("a fax of group 3 in two dimensions")
			}
		}
		if lowFirst {
			order = ccitt.LSB
		}
		h := min(at.Dy(), l.h-at.Min.Y)
		return ccitt.NewReader(bytes.NewReader(block), order, form, at.Dx(), h, &ccitt.Options{Invert: true}), nil
	}
	if lowFirst && l.code != 1 && l.code != 32773 {
		return nil, unsupported("reversed bits in compression %d", l.code)
	}
	if lowFirst {
		block = bytes.Clone(block)
		for i, b := range block {
			block[i] = bits.Reverse8(b)
		}
	}
	switch l.code {
	case 1:
		return bytes.NewReader(block), nil
	case 5:
		return lzw.NewReader(bytes.NewReader(block), lzw.MSB, 8), nil
	case 8, 32946:
		return zlib.NewReader(bytes.NewReader(block))
	case 32773:
		return bytes.NewReader(unpackBits(block, row*at.Dy())), nil
	}
	name := map[int]string{2: "CCITT RLE", 6: "old JPEG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}[l.code]
	return nil, unsupported("compression %d %s", l.code, name)
}

// unpackBits decodes PackBits data until it has at least the given number of bytes, or the input ends.
func unpackBits(in []byte, most int) []byte {
	var out []byte
	for len(in) > 1 && len(out) < most {
		switch n := int(int8(in[0])); {
		case n >= 0:
			n = min(n+1, len(in)-1)
			out, in = append(out, in[1:1+n]...), in[1+n:]
		case n == -128:
			in = in[1:]
		default:
			out, in = append(out, bytes.Repeat(in[1:2], 1-n)...), in[2:]
		}
	}
	return out
}

// decodeJPEG decodes a block that is a JPEG into levels. The JPEG's tables may be in a tag.
func (l tiffLayout) decodeJPEG(block []byte, in image.Rectangle, levels []byte) error {
	if l.planes || l.bits != 8 || l.samples != l.used || l.used == 4 {
		return unsupported("JPEG of %d samples of %d bits", l.samples, l.bits)
	}
	if len(block) < 2 {
		return io.ErrUnexpectedEOF
	}
	file := []byte("\xff\xd8")
	if l.colours == tiffRGB { // without Adobe's segment, JPEG decoders assume YCbCr
		file = append(file, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	if tables := l.tags[tiffTables]; len(tables) > 4 {
		for _, v := range tables[2 : len(tables)-2] {
			file = append(file, byte(v))
		}
	}
	d := Decoder{file: append(file, block[2:]...)}
	c, err := jpegSize(d.file)
	if err == nil {
		err = checkSize(c.Width, c.Height)
	}
	if err != nil {
		return err
	}
	part := image.Rect(0, 0, in.Dx(), in.Dy())
	if !part.In(image.Rect(0, 0, c.Width, c.Height)) {
		return errors.New("a JPEG that is smaller than its strip or tile")
	}
	m, err := jpegRegion(&d, c.Width, c.Height, part)
	if err != nil {
		return err
	}
	for y := range in.Dy() {
		out, row := levels[l.used*(l.w*(in.Min.Y+y)+in.Min.X):], m.Pix[y*m.Stride:]
		for x := range in.Dx() {
			copy(out[l.used*x:][:l.used], row[3*x:])
		}
	}
	return nil
}
