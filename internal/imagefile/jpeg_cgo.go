//go:build libjpeg && cgo

package imagefile

// #cgo !libjpeg_static LDFLAGS: -ljpeg
// #cgo libjpeg_static LDFLAGS: -l:libjpeg.a
// #include <stdlib.h>
// #include "jpeg.h"
import "C"

import (
	"errors"
	"image"
	"unsafe"
)

// JPEGBy is the name of the JPEG decoder in this build.
const JPEGBy = "libjpeg-turbo"

// jpegCall calls a function of jpeg.c with a file and returns its error.
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

// jpegRegion decodes the region r of the open file. It decodes only the rows of r and the blocks that
// contain its columns.
func jpegRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	// Room for additional blocks on both sides, and for four bytes for each pixel of CMYK.
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
	if channels == 4 { // converted in place: three bytes replace four
		cmykRow(d.pix, d.pix[:4*m.W*m.H])
	}
	return m.part(image.Rect(0, 0, r.Dx(), r.Dy()).Add(image.Pt(r.Min.X-int(left), 0))), nil
}
