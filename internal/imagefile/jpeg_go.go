//go:build !libjpeg || !cgo

package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
)

// JPEGBy names what decodes JPEG.
const JPEGBy = "Go's image/jpeg"

func jpegSize(file []byte) (image.Config, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(file))
	return c, mendable(err)
}

func jpegRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	m, err := whole(jpeg.Decode)(d, w, h, r)
	return m, mendable(err)
}

// mendable adds to an error of Go's decoder, which gives up at the first fault, that libjpeg-turbo may
// read on. At the end of a file that is cut it does not.
func mendable(err error) error {
	var malformed jpeg.FormatError
	var unsupported jpeg.UnsupportedError
	if errors.As(err, &malformed) || errors.As(err, &unsupported) {
		return fmt.Errorf("%w; libjpeg-turbo, without which this program was built, mends lost restart markers and reads more kinds of JPEG: apt-get install libjpeg-dev, then make", err)
	}
	return err
}
