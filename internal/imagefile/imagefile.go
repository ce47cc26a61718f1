// Package imagefile decodes image files to 8-bit RGB: JPEG, PNG, WebP, GIF, BMP, TIFF and PPM, their
// first frame, whatever their colours. Grey becomes three equal channels, CMYK is converted as Pillow does
// it, of 16-bit values the high byte stays, alpha is dropped, and what EXIF says is turned is
// turned upright.
package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"

	"hdas/internal/filekind"
)

// Image is H rows of W pixels, three bytes each (R,G,B), the rows Stride bytes apart.
type Image struct {
	W, H, Stride int
	Pix          []byte
}

// Extensions of the files that are taken for images, in lower case.
var Extensions = []string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}

// Decode decodes a whole file.
func Decode(file []byte) (Image, error) {
	var d Decoder
	if err := d.Open(file); err != nil {
		return Image{}, err
	}
	return d.Region(image.Rect(0, 0, d.W, d.H))
}

// Decoder decodes one file after the other into the same memory.
type Decoder struct {
	W, H int // of the file that is open, upright

	file   []byte
	format *format
	turn   orientation
	pix    []byte // of images decoded
	turned []byte // upright
	line   []byte // scratch
}

// format is a kind of files.
type format struct {
	name   string
	magic  []string // what its files begin with; ? is any byte
	size   func(file []byte) (image.Config, error)
	region func(d *Decoder, w, h int, r image.Rectangle) (Image, error) // at least r, which is not empty, as it lies in the file
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

// Open reads a file's head. file must stay as it is until the next Open.
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

// Region decodes that part of the open file, which must lie in it and not be empty. The image is
// in the decoder's memory, until the next Region.
func (d *Decoder) Region(r image.Rectangle) (Image, error) {
	if r.Empty() || !r.In(image.Rect(0, 0, d.W, d.H)) {
		return Image{}, fmt.Errorf("%v is no part of an image of %dx%d", r, d.W, d.H)
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

// part is m's pixels in r.
func (m Image) part(r image.Rectangle) Image {
	return Image{r.Dx(), r.Dy(), m.Stride, m.Pix[r.Min.Y*m.Stride+3*r.Min.X:]}
}

// resized is b, or a larger one, of n bytes.
func resized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// sized is a reader of heads, of the standard library's form, as one of bytes.
func sized(f func(io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(file []byte) (image.Config, error) { return f(bytes.NewReader(file)) }
}

// whole decodes all of a file, of which the region is a part.
func whole(f func(io.Reader) (image.Image, error)) func(*Decoder, int, int, image.Rectangle) (Image, error) {
	return func(d *Decoder, w, h int, r image.Rectangle) (Image, error) {
		src, err := f(bytes.NewReader(d.file))
		if err != nil {
			return Image{}, err
		}
		if b := src.Bounds(); b.Dx() != w || b.Dy() != h {
			return Image{}, fmt.Errorf("an image of %dx%d, where its head says %dx%d", b.Dx(), b.Dy(), w, h)
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
