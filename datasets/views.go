package datasets

import (
	"fmt"
	"image"
	"slices"

	"hdas/internal/raster"
)

// Subset returns the images of d with the given indices, in that order. An index may be repeated. It
// returns an error if an index is out of range.
func Subset(d Dataset, numbers []int) (Dataset, error) {
	for _, n := range numbers {
		if n < 0 || n >= d.Len() {
			return nil, fmt.Errorf("%s has no image %d; it has %d, counted from 0", d.Info().Name, n, d.Len())
		}
	}
	return part(d, slices.Clone(numbers)), nil
}

// part is Subset for indices that are known to be valid.
func part(d Dataset, numbers []int) Dataset {
	s := &subset{d, numbers}
	if files, ok := d.(Encoded); ok {
		return &encodedSubset{s, files}
	}
	return s
}

type subset struct {
	Dataset
	numbers []int
}

func (s *subset) Len() int { return len(s.numbers) }

func (s *subset) At(i int, dst []byte) (int, error) {
	if i < 0 || i >= len(s.numbers) {
		return 0, fmt.Errorf("the part of %s has no image %d; it has %d, counted from 0", s.Info().Name, i, len(s.numbers))
	}
	return s.Dataset.At(s.numbers[i], dst)
}

// encodedSubset is a subset of a data set of files.
type encodedSubset struct {
	*subset
	files Encoded
}

func (s *encodedSubset) View() View { return s.files.View() }

func (s *encodedSubset) File(i int, buf []byte) ([]byte, string, int, error) {
	return s.files.File(s.numbers[i], buf)
}

func (s *encodedSubset) Entry(i int) (string, int) { return s.files.Entry(s.numbers[i]) }

func (s *encodedSubset) FileSize(i int) int64 { return s.files.FileSize(s.numbers[i]) }

// RGB returns d with three channels: d itself if it has three, else three copies of its single grey
// channel. It returns an error for any other number of channels.
func RGB(d Dataset) (Dataset, error) {
	info := d.Info()
	switch info.Channels {
	case 3:
		return d, nil
	case 1:
		info.Channels = 3
		info.Mean, info.Std = slices.Repeat(info.Mean, 3), slices.Repeat(info.Std, 3)
		return &rgb{d, info}, nil
	}
	return nil, fmt.Errorf("%s has %d channels, not 1 (grey) or 3 (colour)", info.Name, info.Channels)
}

type rgb struct {
	Dataset
	info Info
}

func (d *rgb) Info() Info { return d.info }

func (d *rgb) At(i int, dst []byte) (int, error) {
	if err := checkAt(d.info, d.Len(), i, dst); err != nil {
		return 0, err
	}
	plane := len(dst) / 3
	label, err := d.Dataset.At(i, dst[:plane])
	copy(dst[plane:], dst[:plane])
	copy(dst[2*plane:], dst[:plane])
	return label, err
}

// Pad returns d with margin pixels of that value added on each side; a margin of 2 makes 32x32 pixels of
// the digits. Mean and standard deviation stay those of d.
func Pad(d Dataset, margin int, value byte) (Dataset, error) {
	if margin < 0 || margin > maxPadding {
		return nil, fmt.Errorf("the margin of %d pixels for %s is not in 0..%d", margin, d.Info().Name, maxPadding)
	}
	p := &padded{Dataset: d, inner: d.Info(), info: d.Info(), margin: margin, value: value}
	p.info.Height += 2 * margin
	p.info.Width += 2 * margin
	return p, nil
}

type padded struct {
	Dataset
	inner, info Info
	margin      int
	value       byte
}

func (p *padded) Info() Info { return p.info }

func (p *padded) At(i int, dst []byte) (int, error) {
	if err := checkAt(p.info, p.Len(), i, dst); err != nil {
		return 0, err
	}
	// The image is read into the end of dst, and its rows are moved from there to their places, first row
	// first. A row's place is never behind its source, so a row is not overwritten before it is moved.
	src := dst[len(dst)-p.inner.Size():]
	label, err := p.Dataset.At(i, src)
	if err != nil {
		return 0, err
	}
	end := 0 // the end of the final part of dst
	for row := range p.inner.Channels * p.inner.Height {
		c, y := row/p.inner.Height, row%p.inner.Height
		to := (c*p.info.Height+y+p.margin)*p.info.Width + p.margin
		copy(dst[to:to+p.inner.Width], src[row*p.inner.Width:])
		fill(dst[end:to], p.value)
		end = to + p.inner.Width
	}
	fill(dst[end:], p.value)
	return label, nil
}

// Resize returns d with images of size x size pixels; d itself if they have that size.
func Resize(d Dataset, size int, f Filter) (Dataset, error) {
	if size < 1 || size > maxSize {
		return nil, fmt.Errorf("an image size of %d pixels is not in 1..%d", size, maxSize)
	}
	info := d.Info()
	if info.Height == size && info.Width == size {
		return d, nil
	}
	r := &scaled{Dataset: d, inner: info, info: info, filter: f}
	r.info.Height, r.info.Width = size, size
	return r, nil
}

type scaled struct {
	Dataset
	inner, info Info
	filter      Filter
}

func (r *scaled) Info() Info { return r.info }

func (r *scaled) At(i int, dst []byte) (int, error) {
	if err := checkAt(r.info, r.Len(), i, dst); err != nil {
		return 0, err
	}
	s := imageReaders.Get().(*imageReader)
	defer imageReaders.Put(s)
	s.file = slices.Grow(s.file[:0], r.inner.Size())[:r.inner.Size()]
	label, err := r.Dataset.At(i, s.file)
	if err != nil {
		return 0, err
	}
	size := r.info.Height
	s.resizer.Plan(raster.Job{OldH: r.inner.Height, OldW: r.inner.Width, H: size, W: size, Window: image.Rect(0, 0, size, size), Filter: r.filter})
	s.resizer.Planes(&s.canvas, raster.Image{C: r.inner.Channels, H: r.inner.Height, W: r.inner.Width, Pix: s.file})
	copy(dst, s.canvas.Pix)
	return label, nil
}

// normalised returns d with another mean and standard deviation.
func normalised(d Dataset, mean, std []float64) Dataset {
	info := d.Info()
	info.Mean, info.Std = mean, std
	if files, ok := d.(Encoded); ok {
		return &encodedRestated{files, info}
	}
	return &restated{d, info}
}

type restated struct {
	Dataset
	info Info
}

func (r *restated) Info() Info { return r.info }

type encodedRestated struct {
	Encoded
	info Info
}

func (r *encodedRestated) Info() Info { return r.info }
