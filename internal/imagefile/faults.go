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

// ErrUnsupported is the cause of errors for intact files of a kind that is not supported. ErrLimit is the cause
// if an image has too many pixels.
var (
	ErrUnsupported = errors.New("unsupported")
	ErrLimit       = errors.New("too many pixels")
)

// errTurbo is the cause if Go's decoder refuses a file that libjpeg-turbo may be able to decode.
var errTurbo = errors.New("only libjpeg-turbo may read it, without which this program was built; make LIBJPEG=1 builds one with it")

// unsupported returns an error with the cause ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// unknown returns the error for a file that is in none of the formats.
func unknown(file []byte) error {
	if len(file) == 0 {
		return errors.New("the file is empty")
	}
	if kind := filekind.Of(file); kind != "" {
		return fmt.Errorf("%w: the file is %s", ErrUnsupported, kind)
	}
	return ErrFormat
}

// fault adds to err the format of the open file, and whether the file is damaged or unsupported.
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

// LimitVariable is the environment variable with the largest number of pixels of an image.
const LimitVariable = "HDAS_MAX_PIXELS"

// mostPixels returns the largest number of pixels of an image. Without a limit, a small file could require any
// amount of memory.
var mostPixels = sync.OnceValues(func() (int, error) { return limit(os.Getenv(LimitVariable)) })

// limit parses a value of LimitVariable. It returns the default for an empty value.
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

// checkSize returns an error if an image has no pixels or too many.
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
