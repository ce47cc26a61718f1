package imagefile

import (
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"os"
	"strconv"
	"sync"

	"hdas/internal/filekind"
)

// ErrFormat is the error for files in an unknown format.
var ErrFormat = errors.New("the file is not a JPEG, PNG, WebP, GIF, BMP, TIFF or PPM")

// ErrUnsupported is the cause where a file is of a kind that is not decoded here. ErrLimit is where
// its image has more pixels than are allowed.
var (
	ErrUnsupported = errors.New("unsupported")
	ErrLimit       = errors.New("too many pixels")
)

// errTurbo is the cause where libjpeg-turbo would perhaps read a file that Go's decoder does not.
var errTurbo = errors.New("only libjpeg-turbo may read it, without which this program was built (apt-get install libjpeg-dev, then make)")

// unsupported is an error of a decoder for what it does not decode.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// unknown is the error for a file that begins as none of the formats does.
func unknown(file []byte) error {
	if len(file) == 0 {
		return errors.New("the file is empty")
	}
	if kind := filekind.Of(file); kind != "" {
		return fmt.Errorf("%w: the file is %s", ErrUnsupported, kind)
	}
	return ErrFormat
}

// fault names the format of the open file, and says whether the file is damaged or unsupported.
func (d *Decoder) fault(err error) error {
	var (
		inJPEG jpeg.UnsupportedError
		inPNG  png.UnsupportedError
	)
	switch {
	case errors.Is(err, ErrLimit), errors.Is(err, ErrUnsupported), errors.Is(err, errTurbo):
		return fmt.Errorf("%s: %w", d.format.name, err)
	case errors.As(err, &inJPEG), errors.As(err, &inPNG):
		return fmt.Errorf("%s: %w: %w", d.format.name, ErrUnsupported, err)
	}
	return fmt.Errorf("damaged %s: %w", d.format.name, err)
}

// LimitVariable is the environment variable that raises the limit of an image's pixels.
const LimitVariable = "HDAS_MAX_PIXELS"

// mostPixels keeps a small file from claiming all memory.
var mostPixels = sync.OnceValues(func() (int, error) { return limit(os.Getenv(LimitVariable)) })

// limit is the most pixels of an image by a value of that variable; empty: the default.
func limit(value string) (int, error) {
	const least, usual, most = 1, 1 << 27, 1 << 31
	if value == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("environment variable %s=%.30q: a number of pixels is needed, %d to %d", LimitVariable, value, least, most)
	}
	return n, nil
}

// checkSize is an error where an image has no pixels, or more than are allowed.
func checkSize(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("an image of %dx%d pixels", w, h)
	}
	most, err := mostPixels()
	if err != nil {
		return err
	}
	if w > most/h {
		return fmt.Errorf("%w: %dx%d, where %d are allowed; the environment variable %s=%.0f allows this image, or make it smaller",
			ErrLimit, w, h, most, LimitVariable, float64(w)*float64(h))
	}
	return nil
}
