//go:build !libjpeg || !cgo

package imagefile

import (
	"bytes"
	"image"
	"image/jpeg"
)

// JPEGBy is the name of the JPEG decoder in this build.
const JPEGBy = "Go's image/jpeg"

func jpegSize(file []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(file)) }

func jpegRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	return whole(jpeg.Decode)(d, w, h, r)
}
