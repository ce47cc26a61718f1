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

// Encoded is a data set of image files of any size. Its At gives the view of each that is taken
// where nothing is learned from it.
type Encoded interface {
	Dataset
	// File reads image i's file into buf, or a longer slice, and names it.
	File(i int, buf []byte) (file []byte, name string, label int, err error)
	View() View
	// Entry returns the path of image i's file within the folder of the classes, with slashes, and its
	// label. It reads no file.
	Entry(i int) (path string, label int)
	// FileSize returns the bytes of image i's file, -1 where it cannot be read.
	FileSize(i int) int64
}

// View is how a file becomes an image of one size: the shorter side is resized, and the middle cut
// out.
type View struct {
	Size   int // height and width
	Resize int // the shorter side before, at least Size; 0: the whole image is squeezed into Size x Size
	Filter Filter
}

// Filter says how a pixel of a resized image is computed from the old pixels around it.
type Filter = raster.Filter

// The filters, by Pillow's names.
const (
	Bilinear = raster.Bilinear
	Bicubic  = raster.Bicubic
)

// DamagedError is a file that no image can be made of.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// studio makes images of files, in memory that it keeps.
type studio struct {
	file    []byte
	decoder imagefile.Decoder
	resizer raster.Resizer
	canvas  raster.Canvas
}

// job is the resizing that a view is of an image of h x w.
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

// open reads a file's head. What is decoded then is damaged or an image.
func (s *studio) open(d Encoded, i int) (name string, label int, err error) {
	s.file, name, label, err = d.File(i, s.file[:0])
	if err != nil {
		return name, label, err
	}
	if err := s.decoder.Open(s.file); err != nil {
		return name, label, &DamagedError{name, err}
	}
	return name, label, nil
}

// see sets the canvas to the view of the open file.
func (s *studio) see(name string, v View) error {
	return s.resize(name, v.job(s.decoder.H, s.decoder.W), image.Point{})
}

// resize sets the canvas to what a job makes of a part of the open file, which begins at that point.
func (s *studio) resize(name string, j raster.Job, at image.Point) error {
	m, err := s.decoder.Region(s.resizer.Plan(j).Add(at))
	if err != nil {
		return &DamagedError{name, err}
	}
	s.resizer.Interleaved(&s.canvas, raster.Interleaved{W: m.W, H: m.H, Stride: m.Stride, Pix: m.Pix})
	return nil
}

// Picture is the view of an image file: three planes (R,G,B) of Size x Size bytes.
func (v View) Picture(file []byte) ([]byte, error) {
	s := studios.Get().(*studio)
	defer studios.Put(s)
	if err := s.decoder.Open(file); err != nil {
		return nil, err
	}
	if err := s.see("image", v); err != nil {
		return nil, errors.Unwrap(err) // who calls knows the name
	}
	return slices.Clone(s.canvas.Pix), nil
}

// studios are for those who read image by image.
var studios = sync.Pool{New: func() any { return new(studio) }}

// viewAt is At of a data set of files.
func viewAt(d Encoded, i int, dst []byte) (int, error) {
	if err := checkAt(d.Info(), d.Len(), i, dst); err != nil {
		return 0, err
	}
	s := studios.Get().(*studio)
	defer studios.Put(s)
	name, label, err := s.open(d, i)
	if err == nil {
		err = s.see(name, d.View())
	}
	if err == nil {
		copy(dst, s.canvas.Pix)
	}
	return label, err
}
