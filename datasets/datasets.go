// Package datasets reads data sets of labelled images, augments the images, and loads them in batches.
// It does not need libtorch: a batch consists of Go slices.
package datasets

import (
	"errors"
	"fmt"
)

// Dataset gives random access to labelled images that all have the same size. Several goroutines may
// read it at the same time.
type Dataset interface {
	// Info describes the data set. The caller must not change its slices.
	Info() Info
	// Len returns the number of images.
	Len() int
	// At copies image i in [0, Len()) into dst and returns its label in [0, len(Info().Classes)). The
	// image consists of bytes in the order (C,H,W); dst must have exactly that length.
	At(i int, dst []byte) (label int, err error)
}

// Info describes a data set.
type Info struct {
	Name                    string
	Classes                 []string // class names, indexed by label
	Channels, Height, Width int
	Mean, Std               []float64 // per-channel statistics of the training images, for pixels in [0,1]
	Origin                  string    // source and licence
}

// Size returns the number of bytes of an image.
func (i Info) Size() int { return i.Channels * i.Height * i.Width }

// Validate returns an error that lists every missing or invalid value.
func (i Info) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if i.Name == "" {
		fault("it has no name")
	}
	if len(i.Classes) == 0 {
		fault("it has no classes")
	}
	if i.Channels < 1 || i.Height < 1 || i.Width < 1 {
		fault("its images are %dx%dx%d, with nothing in them", i.Channels, i.Height, i.Width)
	}
	if len(i.Mean) != i.Channels || len(i.Std) != i.Channels {
		fault("it has %d means and %d standard deviations for %d channels", len(i.Mean), len(i.Std), i.Channels)
	}
	for c, std := range i.Std {
		if !(std > 0) {
			fault("the standard deviation of channel %d is %v, not above 0", c, std)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("data set %q: %w", i.Name, errors.Join(faults...))
	}
	return nil
}

// images is a data set that is held in memory.
type images struct {
	info   Info
	pixels []byte // all images, one after the other
	labels []byte
}

func (d *images) Info() Info { return d.info }
func (d *images) Len() int   { return len(d.labels) }

func (d *images) At(i int, dst []byte) (int, error) {
	if err := checkAt(d.info, d.Len(), i, dst); err != nil {
		return 0, err
	}
	copy(dst, d.pixels[i*len(dst):])
	return int(d.labels[i]), nil
}

// checkAt returns an error if the arguments of At are invalid for a data set of n images.
func checkAt(info Info, n, i int, dst []byte) error {
	if i < 0 || i >= n {
		return fmt.Errorf("%s has no image %d; it has %d, counted from 0", info.Name, i, n)
	}
	if len(dst) != info.Size() {
		return fmt.Errorf("%s: %d bytes given for an image of %d", info.Name, len(dst), info.Size())
	}
	return nil
}
