package datasets

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/internal/raster"
	"hdas/setting"
)

// Spec selects a data set and the size of its images.
type Spec struct {
	Name string `mapstructure:"name" yaml:"name" json:"name" help:"data set; folder: images of your own, in a folder for each class"`
	Dir  string `mapstructure:"dir" yaml:"dir" json:"dir" help:"folder of the files, ~ is the home folder; empty: $HDAS_DATA, or data"`
	Size int    `mapstructure:"size" yaml:"size" json:"size" range:"0..2048" help:"height and width in pixels; 0: the data set's own size, and 224 for image files"`

	// For image files (imagenet, folder): in evaluation, the shorter side is resized to Resize pixels and
	// the central Size x Size pixels are cropped.
	Resize        int    `mapstructure:"resize" yaml:"resize" json:"resize" range:"0..4096" help:"pixels of the shorter side of image files in evaluation, before the central crop to size; 0: size * 256/224"`
	Interpolation string `mapstructure:"interpolation" yaml:"interpolation" json:"interpolation" help:"of images that are resized; empty: bilinear"`

	// For a user's folder without a test folder: a random part of each class is used for testing.
	TestFraction float64 `mapstructure:"test_fraction" yaml:"test_fraction" json:"test_fraction" range:"[0,1)" help:"of a folder without a test folder: fraction of each class for testing; 0: a fifth"`
	SplitSeed    uint64  `mapstructure:"split_seed" yaml:"split_seed" json:"split_seed" help:"seed of that random split, of the one by data.validation, and of the choice by data.per_class"`

	// PerClass makes the training images fewer: a random choice with SplitSeed. Of PerClass+1 images, PerClass are the same.
	PerClass int `mapstructure:"per_class" yaml:"per_class" json:"per_class,omitempty" range:"0..1000000000" help:"number of training images of each class, chosen at random; 0: all"`

	// Cut is the recorded split of such a folder by a run; nil means that the folder is split now.
	Cut Cut `mapstructure:"-" yaml:"-" json:"-"`

	Mean []float64 `mapstructure:"mean" yaml:"mean" json:"mean,omitempty" range:"[0,1]" help:"mean of each channel for normalisation; empty: the data set's own, and ImageNet's for a folder"`
	Std  []float64 `mapstructure:"std" yaml:"std" json:"std,omitempty" range:"(0,1]" help:"the same for the standard deviation"`
}

const (
	maxSize      = 2048 // pixels, as in the tag of Size
	ownSize      = 224  // default Size for image files
	ownResize    = 256  // default Resize for ownSize
	testFraction = 0.2
)

// The splits of every data set.
const (
	Train = "train"
	Test  = "test"
)

// source describes how to find and open a data set.
type source struct {
	open func(s Spec, split string) (Dataset, error)
	// missing returns an error that says which files are not in dir and how to get them, or nil if none is
	// missing.
	missing func(dir string) error
	// some reports whether dir has any file of the data set.
	some     func(dir string) bool
	files    bool // the images are files of any size
	own      bool // the images are the user's own: they can be split at random
	embedded bool // the images are part of the program
}

// sources holds the known data sets. To add a data set, add an entry.
var sources = map[string]source{
	"digits":   {open: openDigits, missing: func(string) error { return nil }, some: func(string) bool { return false }, embedded: true},
	"cifar10":  {open: cifar10.open, missing: cifar10.missing, some: cifar10.some},
	"cifar100": {open: cifar100.open, missing: cifar100.missing, some: cifar100.some},
	"imagenet": {open: openImageNet, missing: missingImageNet, some: someImageNet, files: true},
	"folder":   {open: openFolder, missing: missingFolder, some: func(dir string) bool { return missingFolder(dir) == nil }, files: true, own: true},
}

// Names returns the names of the known data sets, sorted.
func Names() []string { return slices.Sorted(maps.Keys(sources)) }

// OfFiles reports whether the images of a data set are files of any size.
func OfFiles(name string) bool { return sources[name].files }

// Own reports whether a data set consists of the user's own images, for which there is no default
// folder.
func Own(name string) bool { return sources[name].own }

// Embedded reports whether the images are part of the program.
func (s Spec) Embedded() bool { return sources[s.Name].embedded }

func find(name string) (source, error) {
	s, ok := sources[name]
	if !ok {
		return s, fmt.Errorf("data set %q %s", name, setting.Unknown(name, Names()))
	}
	return s, nil
}

// filters holds the interpolations by name.
var filters = map[string]raster.Filter{"bilinear": raster.Bilinear, "bicubic": raster.Bicubic}

func (s Spec) filter() raster.Filter { return filters[s.Interpolation] } // bilinear is 0

// Validate returns an error that lists every invalid value and every setting that the data set does not
// use.
func (s Spec) Validate() error {
	var f setting.Faults
	src, known := sources[s.Name]
	setting.Word(&f, "name", s.Name, Names())
	if s.Interpolation != "" {
		setting.Word(&f, "interpolation", s.Interpolation, slices.Sorted(maps.Keys(filters)))
	}
	f.Check(s.Resize <= 0 || s.Resize >= s.View().Size, "resize", s.Resize, "is less than size, %d pixels, which are cut out of it", s.View().Size)
	if known {
		f.Check(src.files || s.Resize == 0, "resize", s.Resize, "is for image files, but the images of %s have a fixed size; set size instead", s.Name)
		f.Check(src.own || s.TestFraction == 0, "test_fraction", s.TestFraction, "is for a folder of your own, but %s has its own split", s.Name)
	}
	f.Check(len(s.Mean) == 0 || len(s.Mean) == 3, "mean", s.Mean, "is not three numbers, or none")
	f.Check(len(s.Std) == len(s.Mean), "std", s.Std, "is not as many numbers as mean, %d", len(s.Mean))
	const scale = "is above 1, as of pixels in 0..255; they are in 0..1 here, so divide by 255"
	f.Check(!slices.ContainsFunc(s.Mean, func(v float64) bool { return v > 1 }), "mean", s.Mean, scale)
	f.Check(!slices.ContainsFunc(s.Std, func(v float64) bool { return v > 1 }), "std", s.Std, scale)
	f.Check(!slices.ContainsFunc(s.Mean, func(v float64) bool { return v < 0 }), "mean", s.Mean, "is below 0, and pixels are in 0..1")
	f.Ranges(s, nil)
	return f.Err()
}

// View returns the view of image files for evaluation, with defaults filled in.
func (s Spec) View() View {
	v := View{s.Size, s.Resize, s.filter()}
	if v.Size == 0 {
		v.Size = ownSize
	}
	if v.Resize == 0 {
		v.Resize = v.Size * ownResize / ownSize
	}
	return v
}

// Open opens a split, Train or Test, of the data set.
func (s Spec) Open(split string) (Dataset, error) {
	src, err := find(s.Name)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if split != Train && split != Test {
		return nil, fmt.Errorf("split %q %s", split, setting.Unknown(split, []string{Train, Test}))
	}
	s.Dir = Folder(s.Dir)
	d, err := src.open(s, split)
	if err != nil {
		return nil, err
	}
	if split == Train && s.PerClass > 0 {
		if d, err = few(d, s.PerClass, s.SplitSeed); err != nil {
			return nil, err
		}
	}
	if s.Size > 0 {
		if d, err = Resize(d, s.Size, s.filter()); err != nil {
			return nil, err
		}
	}
	if len(s.Mean) > 0 {
		d = normalised(d, s.Mean, s.Std)
	}
	return d, nil
}

// Open opens a split, Train or Test, of the named data set, whose files are in dir. An empty dir means
// Dir().
func Open(name, dir, split string) (Dataset, error) { return Spec{Name: name, Dir: dir}.Open(split) }

// Missing returns an error that says which files of a data set are not in dir and how to get them, or
// nil if none is missing. An empty dir means Dir(). It does not read the files.
func Missing(name, dir string) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	return s.missing(Folder(dir))
}

// Some reports whether dir has any file of a known data set.
func Some(name, dir string) bool { return sources[name].some(dir) }

// Dir returns the default folder of data sets: $HDAS_DATA, or else "data" in the working directory.
func Dir() string { return Folder("") }

// Folder returns the path of a folder of data sets. An empty one is Dir(); ~ at its head is the home folder.
func Folder(path string) string {
	path = cmp.Or(path, os.Getenv("HDAS_DATA"), "data")
	if below, ok := strings.CutPrefix(path, "~"); ok && (below == "" || below[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, below)
		}
	}
	return path
}
