package imagefile

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"image"
	"io"
)

// The standard library's decoder returns only the frame, not the screen around it, and refuses frames that
// extend beyond the screen and files without a palette.

// gifFrame describes the first frame of a GIF.
type gifFrame struct {
	screen, at  image.Rectangle // screen covers both the screen size in the file and the frame, which may be larger
	palette     [256][3]byte
	transparent byte // the palette index of the pixels outside the frame
	interlaced  bool
	data        []byte // the LZW data, starting with the code size
}

// gifFirst parses a file up to the data of the first frame.
func gifFirst(file []byte) (f gifFrame, err error) {
	le := binary.LittleEndian
	if len(file) < 13 {
		return f, io.ErrUnexpectedEOF
	}
	f.screen = image.Rect(0, 0, int(le.Uint16(file[6:])), int(le.Uint16(file[8:])))
	for i := range f.palette {
		f.palette[i] = [3]byte{byte(i), byte(i), byte(i)} // used if the file has no palette
	}
	rest := file[13:]
	colours := func(flags byte) error {
		if flags&0x80 == 0 {
			return nil
		}
		n := 2 << (flags & 7)
		if len(rest) < 3*n {
			return io.ErrUnexpectedEOF
		}
		f.palette = [256][3]byte{}
		for i := range n {
			copy(f.palette[i][:], rest[3*i:])
		}
		rest = rest[3*n:]
		return nil
	}
	if err := colours(file[10]); err != nil {
		return f, err
	}
	for len(rest) > 0 {
		switch rest[0] {
		case '!':
			if len(rest) < 2 {
				return f, io.ErrUnexpectedEOF
			}
			kind := rest[1]
			rest = rest[2:]
			for first := true; ; first = false {
				if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
					return f, io.ErrUnexpectedEOF
				}
				block := rest[1:][:rest[0]]
				rest = rest[1+len(block):]
				if len(block) == 0 {
					break
				}
				if kind == 0xf9 && first && len(block) >= 4 && block[0]&1 != 0 {
					f.transparent = block[3]
				}
			}
		case ',':
			if len(rest) < 11 {
				return f, io.ErrUnexpectedEOF
			}
			x, y, flags := int(le.Uint16(rest[1:])), int(le.Uint16(rest[3:])), rest[9]
			f.at = image.Rect(x, y, x+int(le.Uint16(rest[5:])), y+int(le.Uint16(rest[7:])))
			f.screen.Max.X, f.screen.Max.Y = max(f.screen.Max.X, f.at.Max.X), max(f.screen.Max.Y, f.at.Max.Y)
			f.interlaced = flags&0x40 != 0
			rest = rest[10:]
			err := colours(flags)
			f.data = rest
			return f, err
		case ';':
			return f, errors.New("it has no image")
		default: // skip garbage between blocks
			rest = rest[1:]
		}
	}
	return f, errors.New("it has no image")
}

func gifSize(file []byte) (image.Config, error) {
	f, err := gifFirst(file)
	return image.Config{Width: f.screen.Dx(), Height: f.screen.Dy()}, err
}

// gifPixels decodes the first frame, on its screen of w x h pixels, into dst, as RGB.
func gifPixels(file, dst []byte, w, h int) error {
	f, err := gifFirst(file)
	if err != nil {
		return err
	}
	if len(f.data) < 1 || f.data[0] < 2 || f.data[0] > 8 {
		return errors.New("its codes have no known size")
	}
	codes := lzw.NewReader(&gifBlocks{rest: f.data[1:]}, lzw.LSB, int(f.data[0]))
	defer codes.Close()
	if f.at.Dx() < w || f.at.Dy() < h {
		around := f.palette[f.transparent]
		copy(dst, bytes.Repeat(around[:], w*h))
	}
	line := make([]byte, f.at.Dx())
	passes := []struct{ from, step int }{{0, 1}}
	if f.interlaced {
		passes = []struct{ from, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	for _, p := range passes {
		for y := p.from; y < f.at.Dy(); y += p.step {
			if _, err := io.ReadFull(codes, line); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			out := dst[3*(w*(f.at.Min.Y+y)+f.at.Min.X):]
			for x, i := range line {
				copy(out[3*x:3*x+3], f.palette[i][:])
			}
		}
	}
	return nil
}

// gifBlocks reads the concatenated contents of a sequence of data blocks.
type gifBlocks struct {
	rest []byte
	left int // bytes left in the current block
}

// ReadByte is called by the LZW decoder.
func (b *gifBlocks) ReadByte() (byte, error) {
	if b.left == 0 {
		if len(b.rest) == 0 || b.rest[0] == 0 {
			return 0, io.EOF
		}
		b.left, b.rest = int(b.rest[0]), b.rest[1:]
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	v := b.rest[0]
	b.rest, b.left = b.rest[1:], b.left-1
	return v, nil
}

// Read makes gifBlocks an io.Reader; the LZW decoder calls ReadByte.
func (b *gifBlocks) Read(p []byte) (int, error) {
	for i := range p {
		v, err := b.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = v
	}
	return len(p), nil
}
