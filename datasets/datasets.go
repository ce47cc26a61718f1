// Package datasets has labelled images, their augmentation, and the loader that makes batches of
// them. A batch is plain slices.
package datasets

import (
	"errors"
	"fmt"
)

// Dataset is random access to labelled images of one size. It is safe for concurrent readers.
type Dataset interface {
	// Info says what the data set is; its slices belong to the data set and are only to be read.
	Info() Info
	// Len is the number of images.
	Len() int
	// At copies image i in [0, Len()), C*H*W bytes with the channel outermost, into dst, which
	// has just that length, and returns its label in [0, len(Info().Classes)).
	At(i int, dst []byte) (label int, err error)
}

// Info says what a data set is.
type Info struct {
	Name                    string
	Classes                 []string // by label
	Channels, Height, Width int
	Mean, Std               []float64 // of each channel over the training images, pixels being in [0,1]
	Origin                  string    // where it comes from, and its licence
}

// Size is the number of bytes of an image.
func (i Info) Size() int { return i.Channels * i.Height * i.Width }

// Validate names everything that an Info lacks.
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

// images is a data set in memory.
type images struct {
	info   Info
	pixels []byte // image by image
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

// checkAt checks the arguments of At for a data set of n images.
func checkAt(info Info, n, i int, dst []byte) error {
	if i < 0 || i >= n {
		return fmt.Errorf("%s has no image %d; it has %d, counted from 0", info.Name, i, n)
	}
	if len(dst) != info.Size() {
		return fmt.Errorf("%s: %d bytes given for an image of %d", info.Name, len(dst), info.Size())
	}
	return nil
}
