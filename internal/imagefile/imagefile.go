// Package imagefile decodes image files to 8-bit RGB: JPEG, PNG, WebP, GIF, BMP, TIFF and PPM; of several
// frames the first. Grey images get three equal channels, CMYK is converted as in Pillow, 16-bit values are
// reduced to their high byte, and alpha is dropped. Images are turned upright according to their EXIF
// orientation.
package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"

	"hdas/internal/filekind"
)

// Image has H rows of W pixels. A pixel has three bytes (R,G,B), and rows begin Stride bytes apart.
type Image struct {
	W, H, Stride int
	Pix          []byte
}

// Extensions lists the file name extensions of images, in lower case.
var Extensions = []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}

// MostFile is the largest size of an image file in bytes.
const MostFile = 1 << 30

// Decode returns the whole image in a file.
func Decode(file []byte) (Image, error) {
	var d Decoder
	if err := d.Open(file); err != nil {
		return Image{}, err
	}
	return d.Region(image.Rect(0, 0, d.W, d.H))
}

// Decoder decodes files one after the other and reuses its memory.
type Decoder struct {
	W, H int // size of the image in the open file, after it is turned upright

	file   []byte
	format *format
	turn   orientation
	pix    []byte // pixels as decoded
	turned []byte // pixels turned upright
	line   []byte // scratch space
}

// format is a file format.
type format struct {
	name   string
	magic  []string // possible first bytes of its files; ? stands for any byte
	size   func(file []byte) (image.Config, error)
	region func(d *Decoder, w, h int, r image.Rectangle) (Image, error) // decodes at least r, in the orientation of the file; r is not empty
	exif   func(file []byte) []byte
}

var formats = []format{
	{"JPEG", []string{"\xff\xd8"}, jpegSize, jpegRegion, jpegEXIF},
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, sized(png.DecodeConfig), pngRegion, pngEXIF},
	{"GIF", []string{"GIF87a", "GIF89a"}, gifSize, drawn(gifPixels), noEXIF},
	{"BMP", []string{"BM"}, bmpSize, drawn(bmpPixels), noEXIF},
	{"WebP", []string{"RIFF????WEBPVP8"}, webpSize, webpRegion, webpEXIF},
	{"TIFF", []string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"}, tiffSize, drawn(tiffPixels), func(file []byte) []byte { return file }},
	{"PPM", []string{"P1", "P2", "P3", "P4", "P5", "P6"}, pnmSize, drawn(pnmPixels), noEXIF},
}

// Open reads a file's header and sets W and H. The decoder keeps file, which must not change until the
// next call of Open.
func (d *Decoder) Open(file []byte) error {
	d.file, d.format = file, nil
	for i := range formats {
		for _, magic := range formats[i].magic {
			if filekind.Matches(magic, file) {
				d.format = &formats[i]
			}
		}
	}
	if d.format == nil {
		return unknown(file)
	}
	c, err := d.format.size(file)
	if err != nil {
		return d.fault(err)
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return d.fault(err)
	}
	d.W, d.H = c.Width, c.Height
	d.turn = exifOrientation(d.format.exif(file))
	if d.turn.swaps() {
		d.W, d.H = d.H, d.W
	}
	return nil
}

// Region decodes the part r of the open file. r must be inside the image and not empty. The result is in
// the decoder's memory and valid until the next call of Region.
func (d *Decoder) Region(r image.Rectangle) (Image, error) {
	if r.Empty() || !r.In(image.Rect(0, 0, d.W, d.H)) {
		return Image{}, fmt.Errorf("%v is not inside an image of %dx%d", r, d.W, d.H)
	}
	w, h := d.W, d.H
	if d.turn.swaps() {
		w, h = h, w
	}
	if d.turn == upright {
		m, err := d.format.region(d, w, h, r)
		if err != nil {
			return m, d.fault(err)
		}
		return m, nil
	}
	m, err := d.format.region(d, w, h, image.Rect(0, 0, w, h))
	if err != nil {
		return m, d.fault(err)
	}
	d.turned = resized(d.turned, 3*d.W*d.H)
	m = d.turn.apply(d.turned, m)
	return m.part(r), nil
}

// part returns the part r of m, which shares m's memory.
func (m Image) part(r image.Rectangle) Image {
	return Image{r.Dx(), r.Dy(), m.Stride, m.Pix[r.Min.Y*m.Stride+3*r.Min.X:]}
}

// resized returns a slice of n bytes: b if it has room for them, else a new one.
func resized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// sized makes a function that reads the header in a slice of bytes from one that reads from an io.Reader.
func sized(f func(io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(file []byte) (image.Config, error) { return f(bytes.NewReader(file)) }
}

// whole makes a format's region function from a decoder of whole images. It decodes the whole file.
func whole(f func(io.Reader) (image.Image, error)) func(*Decoder, int, int, image.Rectangle) (Image, error) {
	return func(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
		src, err := f(bytes.NewReader(d.file))
		if err != nil {
			return Image{}, err
		}
		if b := src.Bounds(); b.Dx() != w || b.Dy() != h {
			return Image{}, fmt.Errorf("the image has %dx%d pixels, but its header says %dx%d", b.Dx(), b.Dy(), w, h)
		}
		d.pix = resized(d.pix, 3*w*h)
		d.line = convert(d.pix, src, d.line)
		return Image{w, h, 3 * w, d.pix}.part(r), nil
	}
}

// drawn is a decoder that writes the RGB of a whole file to dst, of which the region is a part.
func drawn(f func(file, dst []byte, w, h int) error) func(*Decoder, int, int, image.Rectangle) (Image, error) {
	return func(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
		d.pix = resized(d.pix, 3*w*h)
		if err := f(d.file, d.pix, w, h); err != nil {
			return Image{}, err
		}
		return Image{w, h, 3 * w, d.pix}.part(r), nil
	}
}
