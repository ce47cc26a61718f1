//go:build !libjpeg || !cgo

package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
)

// JPEGBy is the name of the JPEG decoder in this build.
const JPEGBy = "Go's image/jpeg"

func jpegSize(file []byte) (image.Config, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(file))
	return c, advised(err)
}

func jpegRegion(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
	m, err := whole(jpeg.Decode)(d, w, h, r)
	var malformed jpeg.FormatError
	if errors.As(err, &malformed) { // libjpeg-turbo continues after most faults, but not at the end of a cut file
		return m, fmt.Errorf("%w, as it mends lost restart markers: %w", errTurbo, err)
	}
	return m, advised(err)
}

// advised adds to errors about unsupported kinds of JPEG that libjpeg-turbo may support them.
func advised(err error) error {
	var unsupported jpeg.UnsupportedError
	if errors.As(err, &unsupported) {
		return fmt.Errorf("%w: %w", errTurbo, err)
	}
	return err
}
