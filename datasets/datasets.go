// Package datasets has labelled images, their augmentation, and the loader that makes batches of
// them. It is plain Go: a batch is two slices.
package datasets

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Dataset is random access to labelled images of one size. It is safe for concurrent readers.
type Dataset interface {
	Info() Info
	Len() int
	// At copies image i, C*H*W bytes with the channel outermost, into dst, and returns its label
	// in [0, len(Info().Classes)).
	At(i int, dst []byte) (label int, err error)
}

// Info says what a data set is.
type Info struct {
	Name                    string
	Classes                 []string
	Channels, Height, Width int
	Mean, Std               []float64 // of each channel over the training images, in units of 255
	Origin                  string    // where it comes from, and its licence
}

// Size is the number of bytes of an image.
func (i Info) Size() int { return i.Channels * i.Height * i.Width }

// The splits of every data set.
const (
	Train = "train"
	Test  = "test"
)

// source is how a data set is had. Adding a data set is adding an entry.
type source struct {
	open func(dir, split string) (Dataset, error)
	// missing says what of the data is not in dir and how to mend that; nil where all is there.
	missing func(dir string) error
}

var sources = map[string]source{
	"digits":  {open: openDigits, missing: func(string) error { return nil }},
	"cifar10": {open: openCIFAR10, missing: missingCIFAR10},
}

// Names are the known data sets, sorted.
func Names() []string {
	var names []string
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open opens a split of a data set. dir is where its files are; empty means Dir.
func Open(name, dir, split string) (Dataset, error) {
	s, ok := sources[name]
	if !ok {
		return nil, fmt.Errorf("data set %q is unknown; known are %s", name, strings.Join(Names(), ", "))
	}
	if split != Train && split != Test {
		return nil, fmt.Errorf("split %q is unknown; known are %s, %s", split, Train, Test)
	}
	if dir == "" {
		dir = Dir()
	}
	return s.open(dir, split)
}

// Missing says what of a data set is not in dir (empty means Dir) and how to mend that; nil where
// all is there.
func Missing(name, dir string) error {
	if dir == "" {
		dir = Dir()
	}
	return sources[name].missing(dir)
}

// Dir is where data sets are looked for: $HDAS_DATA, or data in the working directory.
func Dir() string {
	if dir := os.Getenv("HDAS_DATA"); dir != "" {
		return dir
	}
	return "data"
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
	size := d.info.Size()
	if i < 0 || i >= len(d.labels) {
		return 0, fmt.Errorf("%s has no image %d; it has %d", d.info.Name, i, len(d.labels))
	}
	if len(dst) != size {
		return 0, fmt.Errorf("%s: %d bytes given for an image of %d", d.info.Name, len(dst), size)
	}
	copy(dst, d.pixels[i*size:])
	return int(d.labels[i]), nil
}

// Subset is the images of those numbers, in that order.
func Subset(d Dataset, numbers []int) (Dataset, error) {
	for _, n := range numbers {
		if n < 0 || n >= d.Len() {
			return nil, fmt.Errorf("%s has no image %d; it has %d", d.Info().Name, n, d.Len())
		}
	}
	return &subset{d, numbers}, nil
}

type subset struct {
	Dataset
	numbers []int
}

func (s *subset) Len() int { return len(s.numbers) }

func (s *subset) At(i int, dst []byte) (int, error) {
	if i < 0 || i >= len(s.numbers) {
		return 0, fmt.Errorf("the part of %s has no image %d; it has %d", s.Info().Name, i, len(s.numbers))
	}
	return s.Dataset.At(s.numbers[i], dst)
}

// Halves splits a data set, shuffled by the seed, in two: a search's halves, of the weights and of
// the architecture. With an odd number the first is the smaller.
func Halves(d Dataset, seed uint64) (first, second Dataset) {
	order := stream(seed, "halves", 0, 0).Perm(d.Len())
	n := len(order) / 2
	return &subset{d, order[:n]}, &subset{d, order[n:]}
}
