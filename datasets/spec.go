package datasets

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"hdas/internal/raster"
	"hdas/setting"
)

// Spec says which data set is meant, and at which size its images are seen.
type Spec struct {
	Name string `mapstructure:"name" yaml:"name" json:"name"`
	Dir  string `mapstructure:"dir" yaml:"dir" json:"dir"`    // of the files; empty: Dir()
	Size int    `mapstructure:"size" yaml:"size" json:"size"` // pixels of a side; 0: the data set's own, of image files 224

	// Of image files (imagenet, folder). Where a network is not learning they are resized and the
	// middle of Size x Size is cut out.
	Resize        int    `mapstructure:"resize" yaml:"resize" json:"resize"`                      // the shorter side before that; 0: Size * 256/224
	Interpolation string `mapstructure:"interpolation" yaml:"interpolation" json:"interpolation"` // bilinear, bicubic; empty: bilinear

	// Of a folder of one's own.
	TestFraction float64 `mapstructure:"test_fraction" yaml:"test_fraction" json:"test_fraction"` // for testing, in (0,1), of each class, where no folder is; 0: a fifth
	SplitSeed    uint64  `mapstructure:"split_seed" yaml:"split_seed" json:"split_seed"`          // of that split

	// Cut is where a run recorded that such a folder was cut; nil: it is to be cut now.
	Cut Cut `mapstructure:"-" yaml:"-" json:"-"`

	Mean []float64 `mapstructure:"mean" yaml:"mean" json:"mean,omitempty"` // of the channels, to normalise by; empty: the data set's own, of a folder ImageNet's
	Std  []float64 `mapstructure:"std" yaml:"std" json:"std,omitempty"`    // likewise
}

const (
	maxSize      = 4096 // pixels
	ownSize      = 224  // of image files
	ownResize    = 256  // for ownSize
	testFraction = 0.2
)

// The splits of every data set.
const (
	Train = "train"
	Test  = "test"
)

// source is how a data set is had.
type source struct {
	open func(s Spec, split string) (Dataset, error)
	// missing says what of the data is not in dir and how to mend that; nil where all is there.
	missing func(dir string) error
	// some says whether any of it is in dir.
	some  func(dir string) bool
	files bool // its images are files of any size
	own   bool // it is the user's: it can be split in several ways, and is not missing anywhere
}

// sources are the known data sets. Adding one is adding an entry.
var sources = map[string]source{
	"digits":   {open: openDigits, missing: func(string) error { return nil }, some: func(string) bool { return true }},
	"cifar10":  {open: cifar10.open, missing: cifar10.missing, some: cifar10.some},
	"cifar100": {open: cifar100.open, missing: cifar100.missing, some: cifar100.some},
	"imagenet": {open: openImageNet, missing: missingImageNet, some: someImageNet, files: true},
	"folder":   {open: openFolder, missing: missingFolder, some: func(dir string) bool { return missingFolder(dir) == nil }, files: true, own: true},
}

// Names are the known data sets, sorted.
func Names() []string { return slices.Sorted(maps.Keys(sources)) }

// OfFiles says whether a data set's images are files of any size.
func OfFiles(name string) bool { return sources[name].files }

// Own says whether a data set is the user's own images, which are in no place of their own.
func Own(name string) bool { return sources[name].own }

func find(name string) (source, error) {
	s, ok := sources[name]
	if !ok {
		return s, fmt.Errorf("data set %q is unknown; known are %s", name, strings.Join(Names(), ", "))
	}
	return s, nil
}

// filters are the interpolations by name.
var filters = map[string]raster.Filter{"bilinear": raster.Bilinear, "bicubic": raster.Bicubic}

func (s Spec) filter() raster.Filter { return filters[s.Interpolation] } // bilinear is 0

// Validate names every impossible value, and every setting that the data set has no use for.
func (s Spec) Validate() error {
	var f setting.Faults
	src, known := sources[s.Name]
	setting.Word(&f, "name", s.Name, Names())
	f.Check(s.Size >= 0 && s.Size <= maxSize, "size", s.Size, "is not in 0..%d", maxSize)
	if s.Interpolation != "" {
		setting.Word(&f, "interpolation", s.Interpolation, slices.Sorted(maps.Keys(filters)))
	}
	f.Check(s.Resize == 0 || s.Resize >= s.View().Size && s.Resize <= maxSize, "resize", s.Resize, "is not in %d..%d: size pixels are cut out of it", s.View().Size, maxSize)
	f.Check(s.TestFraction >= 0 && s.TestFraction < 1, "test_fraction", s.TestFraction, "is not in [0,1)")
	if known {
		f.Check(src.files || s.Resize == 0, "resize", s.Resize, "is of image files, and %s has images of one size; set size instead", s.Name)
		f.Check(src.own || s.TestFraction == 0, "test_fraction", s.TestFraction, "is of a folder, and %s comes split", s.Name)
		f.Check(src.own || s.SplitSeed == 0, "split_seed", s.SplitSeed, "is of a folder, and %s comes split", s.Name)
	}
	f.Check(len(s.Mean) == 0 || len(s.Mean) == 3, "mean", s.Mean, "is not three numbers, or none")
	f.Check(len(s.Std) == len(s.Mean), "std", s.Std, "is not as many numbers as mean, %d", len(s.Mean))
	for _, v := range s.Std {
		f.Check(v > 0, "std", v, "is not above 0")
	}
	const scale = "is above 1, as of pixels in 0..255; they are in 0..1 here, so divide by 255"
	f.Check(!slices.ContainsFunc(s.Mean, func(v float64) bool { return v > 1 }), "mean", s.Mean, scale)
	f.Check(!slices.ContainsFunc(s.Std, func(v float64) bool { return v > 1 }), "std", s.Std, scale)
	f.Check(!slices.ContainsFunc(s.Mean, func(v float64) bool { return v < 0 }), "mean", s.Mean, "is below 0, and pixels are in 0..1")
	f.Finite(s)
	return f.Err()
}

// View is that of image files.
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

// Open opens a split, Train or Test.
func (s Spec) Open(split string) (Dataset, error) {
	src, err := find(s.Name)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if split != Train && split != Test {
		return nil, fmt.Errorf("split %q is unknown; known are %s, %s", split, Train, Test)
	}
	if s.Dir == "" {
		s.Dir = Dir()
	}
	d, err := src.open(s, split)
	if err != nil {
		return nil, err
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

// Open opens a split, Train or Test, of a data set. dir is where its files are; empty means Dir().
func Open(name, dir, split string) (Dataset, error) { return Spec{Name: name, Dir: dir}.Open(split) }

// Missing says what of a data set is not in dir (empty means Dir()) and how to mend that; nil
// where all is there. It looks for files, and does not read them.
func Missing(name, dir string) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	if dir == "" {
		dir = Dir()
	}
	return s.missing(dir)
}

// Some says whether any file of a known data set is in dir.
func Some(name, dir string) bool { return sources[name].some(dir) }

// Dir is where data sets are looked for: $HDAS_DATA, or data in the working directory.
func Dir() string {
	if dir := os.Getenv("HDAS_DATA"); dir != "" {
		return dir
	}
	return "data"
}
