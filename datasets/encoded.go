package datasets

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"

	"hdas/internal/imagefile"
	"hdas/internal/raster"
)

// Encoded is a data set of image files of any size. At returns each image resized and cropped by View,
// as for evaluation.
type Encoded interface {
	Dataset
	// File reads the file of image i into buf, or into a new slice if buf is too short. It returns the
	// file's content, its name and its label.
	File(i int, buf []byte) (file []byte, name string, label int, err error)
	// View returns how At makes an image of a file.
	View() View
	// Entry returns the path of image i's file within the folder of the classes, with slashes, and its
	// label. It reads no file.
	Entry(i int) (path string, label int)
	// FileSize returns the bytes of image i's file, -1 where it cannot be read.
	FileSize(i int) int64
}

// View describes how a file becomes an image of fixed size for evaluation: resize the shorter side to
// Resize pixels, then crop the central Size x Size pixels.
type View struct {
	Size   int // height and width of the result
	Resize int // length of the shorter side before the crop, at least Size; 0 resizes the whole image to Size x Size
	Filter Filter
}

// String says in words what becomes of an image.
func (v View) String() string {
	if v.Resize == 0 {
		return fmt.Sprintf("resized to %dx%d pixels (%v)", v.Size, v.Size, v.Filter)
	}
	return fmt.Sprintf("resized to %d pixels at the shorter side (%v), of which the central %dx%d are cut out", v.Resize, v.Filter, v.Size, v.Size)
}

// Filter selects the interpolation for resizing.
type Filter = raster.Filter

// The filters, by Pillow's names.
const (
	Bilinear = raster.Bilinear
	Bicubic  = raster.Bicubic
)

// DamagedError is the error for a file that cannot be decoded.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// imageReader decodes and resizes image files. It reuses its memory from one file to the next.
type imageReader struct {
	file    []byte
	decoder imagefile.Decoder
	resizer raster.Resizer
	canvas  raster.Canvas
}

// job returns the resizing that makes the view of an image of h x w pixels.
func (v View) job(h, w int) raster.Job {
	newH, newW := v.Resize, v.Resize
	if v.Resize == 0 {
		newH, newW = v.Size, v.Size
	} else if h < w {
		newW = int(float64(v.Resize) * float64(w) / float64(h))
	} else {
		newH = int(float64(v.Resize) * float64(h) / float64(w))
	}
	top, left := nearest(float64(newH-v.Size)/2), nearest(float64(newW-v.Size)/2)
	return raster.Job{OldH: h, OldW: w, H: newH, W: newW, Filter: v.Filter, Window: image.Rect(left, top, left+v.Size, top+v.Size)}
}

// open reads the file of image i and its header.
func (s *imageReader) open(d Encoded, i int) (name string, label int, err error) {
	s.file, name, label, err = d.File(i, s.file[:0])
	if err != nil {
		return name, label, err
	}
	if err := s.decoder.Open(s.file); err != nil {
		return name, label, &DamagedError{name, err}
	}
	return name, label, nil
}

// view decodes the open file and sets the canvas to its view v.
func (s *imageReader) view(name string, v View) error {
	return s.resize(name, v.job(s.decoder.H, s.decoder.W), image.Point{})
}

// resize decodes the part of the open file that begins at the point at and is as large as the job's
// input, and sets the canvas to the job's result.
func (s *imageReader) resize(name string, j raster.Job, at image.Point) error {
	m, err := s.decoder.Region(s.resizer.Plan(j).Add(at))
	if err != nil {
		return &DamagedError{name, err}
	}
	s.resizer.Interleaved(&s.canvas, raster.Interleaved{W: m.W, H: m.H, Stride: m.Stride, Pix: m.Pix})
	return nil
}

// Picture decodes an image file and returns its view: bytes (3,Size,Size) in the order R, G, B.
func (v View) Picture(file []byte) ([]byte, error) {
	s := imageReaders.Get().(*imageReader)
	defer imageReaders.Put(s)
	if err := s.decoder.Open(file); err != nil {
		return nil, err
	}
	if err := s.view("image", v); err != nil {
		return nil, errors.Unwrap(err) // without "image", because the caller knows the file's name
	}
	return slices.Clone(s.canvas.Pix), nil
}

// imageReaders holds readers for At and Picture, which read one image at a time.
var imageReaders = sync.Pool{New: func() any { return new(imageReader) }}

// viewAt implements At for a data set of files.
func viewAt(d Encoded, i int, dst []byte) (int, error) {
	if err := checkAt(d.Info(), d.Len(), i, dst); err != nil {
		return 0, err
	}
	s := imageReaders.Get().(*imageReader)
	defer imageReaders.Put(s)
	name, label, err := s.open(d, i)
	if err == nil {
		err = s.view(name, d.View())
	}
	if err == nil {
		copy(dst, s.canvas.Pix)
	}
	return label, err
}
