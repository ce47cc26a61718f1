package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
)

// The Netpbm formats: bitmaps (P1, P4; 1 is black), greymaps (P2, P5) and pixmaps (P3, P6). P1 to P3 are text,
// P4 to P6 are binary.

// pnmHead holds the fields of the header, and the data after it.
type pnmHead struct {
	kind byte // '1' to '6'
	w, h int
	most int // the largest sample value, which is white; 1 for bitmaps
	rest []byte
}

func (h pnmHead) channels() int {
	if h.kind == '3' || h.kind == '6' {
		return 3
	}
	return 1
}

func pnmHeadOf(file []byte) (h pnmHead, err error) {
	h.kind, h.most, h.rest = file[1], 1, file[2:]
	values := []*int{&h.w, &h.h, &h.most}
	if h.kind == '1' || h.kind == '4' {
		values = values[:2]
	}
	for _, v := range values {
		if *v, err = h.number(); err != nil {
			return h, err
		}
	}
	if h.most < 1 || h.most > 65535 {
		return h, fmt.Errorf("its white is %d, which is not in 1..65535", h.most)
	}
	return h, nil
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// number parses the next number and one whitespace character after it, and removes both from h.rest.
func (h *pnmHead) number() (int, error) {
	for len(h.rest) > 0 && (space(h.rest[0]) || h.rest[0] == '#') {
		if h.rest[0] == '#' {
			end := bytes.IndexAny(h.rest, "\r\n")
			if end < 0 {
				return 0, io.ErrUnexpectedEOF
			}
			h.rest = h.rest[end:]
		}
		h.rest = h.rest[1:]
	}
	n, i := 0, 0
	for ; i < len(h.rest) && h.rest[i] >= '0' && h.rest[i] <= '9'; i++ {
		if n = 10*n + int(h.rest[i]-'0'); n > math.MaxInt32 {
			return 0, errors.New("a number that is too large")
		}
	}
	if i == 0 {
		if len(h.rest) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("%q where a number should be", h.rest[0])
	}
	h.rest = h.rest[i:]
	if len(h.rest) > 0 && space(h.rest[0]) {
		h.rest = h.rest[1:]
	}
	return n, nil
}

func pnmSize(file []byte) (image.Config, error) {
	h, err := pnmHeadOf(file)
	return image.Config{Width: h.w, Height: h.h}, err
}

// pnmPixels decodes a Netpbm file of w x h pixels into dst, as RGB.
func pnmPixels(file, dst []byte, w, height int) error {
	h, err := pnmHeadOf(file)
	if err != nil {
		return err
	}
	if h.kind == '4' {
		stride := (w + 7) / 8
		if len(h.rest) < stride*height {
			return io.ErrUnexpectedEOF
		}
		for i := range w * height {
			bit := h.rest[i/w*stride+i%w/8] >> (7 - i%w%8) & 1
			dst[3*i], dst[3*i+1], dst[3*i+2] = bit-1, bit-1, bit-1
		}
		return nil
	}
	next := h.number
	switch {
	case h.kind == '1':
		next = h.bit
	case h.kind >= '5' && h.most < 256:
		next = func() (int, error) { return h.binary(1) }
	case h.kind >= '5':
		next = func() (int, error) { return h.binary(2) }
	}
	for i := 0; i < len(dst); {
		v, err := next()
		if err != nil {
			return err
		}
		if v > h.most && h.kind < '5' {
			return fmt.Errorf("a value of %d, where %d is white", v, h.most)
		}
		level := h.level(v)
		for range 3 / h.channels() {
			dst[i] = level
			i++
		}
	}
	return nil
}

// level converts a sample to 8 bits. Grey samples of 16 bits are reduced to their high byte.
func (h pnmHead) level(v int) byte {
	switch {
	case h.most == 255:
		return byte(v)
	case h.most > 255 && h.channels() == 1:
		return byte(int(min(65535, math.RoundToEven(float64(v)/float64(h.most)*65535))) >> 8)
	}
	return byte(min(255, math.RoundToEven(float64(v)/float64(h.most)*255)))
}

// bit parses the next pixel of a P1 file, whose digits need no whitespace between them. It returns 1 for white.
func (h *pnmHead) bit() (int, error) {
	for len(h.rest) > 0 {
		c := h.rest[0]
		h.rest = h.rest[1:]
		switch {
		case c == '0' || c == '1':
			return int('1' - c), nil
		case c == '#':
			h.rest = h.rest[max(0, bytes.IndexAny(h.rest, "\r\n")):]
		case !space(c):
			return 0, fmt.Errorf("%q where a 0 or a 1 should be", c)
		}
	}
	return 0, io.ErrUnexpectedEOF
}

func (h *pnmHead) binary(n int) (int, error) {
	if len(h.rest) < n {
		return 0, io.ErrUnexpectedEOF
	}
	v := 0
	for _, b := range h.rest[:n] {
		v = v<<8 | int(b)
	}
	h.rest = h.rest[n:]
	return v, nil
}
