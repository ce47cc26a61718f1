//go:build libjpeg && cgo

package imagefile

// #cgo LDFLAGS: -ljpeg
// #include <stdlib.h>
// #include "jpeg.h"
import "C"

import (
	"errors"
	"image"
	"unsafe"
)

// JPEGBy names what decodes JPEG.
const JPEGBy = "libjpeg-turbo"

// call runs a function of jpeg.c on a file.
func jpegCall(file []byte, f func(data *C.uchar, size C.size_t, message *C.char) C.int) error {
	var message [C.HDAS_JPEG_MESSAGE]C.char
	if f((*C.uchar)(unsafe.SliceData(file)), C.size_t(len(file)), &message[0]) != 0 {
		return errors.New(C.GoString(&message[0]))
	}
	return nil
}

func jpegSize(file []byte) (image.Config, error) {
	var w, h C.int
	err := jpegCall(file, func(data *C.uchar, size C.size_t, message *C.char) C.int {
		return C.hdas_jpeg_size(data, size, &w, &h, message)
	})
	return image.Config{Width: int(w), Height: int(h)}, err
}

// jpegRegion decodes the rows of the region, and of them the blocks that it touches.
func jpegRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	// Rows of whole blocks on both sides, and four bytes a pixel for CMYK.
	const margin = 2 * 64
	d.pix = resized(d.pix, 4*min(w, r.Dx()+margin)*r.Dy())
	var left, width, channels C.int
	err := jpegCall(d.file, func(data *C.uchar, size C.size_t, message *C.char) C.int {
		return C.hdas_jpeg_region(data, size, C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()),
			(*C.uchar)(unsafe.SliceData(d.pix)), C.size_t(len(d.pix)), &left, &width, &channels, message)
	})
	if err != nil {
		return Image{}, err
	}
	m := Image{int(width), r.Dy(), 3 * int(width), d.pix}
	if channels == 4 { // in place: three bytes for four
		cmykRow(d.pix, d.pix[:4*m.W*m.H])
	}
	return m.part(image.Rect(0, 0, r.Dx(), r.Dy()).Add(image.Pt(r.Min.X-int(left), 0))), nil
}
