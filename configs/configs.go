// Package configs defines, loads, validates and saves the configurations of searches and trainings. A
// value comes from the built-in defaults, a file, an environment variable or a single setting (--set);
// the later of these wins. Unknown keys and invalid values are errors, each a setting.Fault.
package configs

import (
	"errors"
	"fmt"

	"hdas/datasets"
	"hdas/models/plan"
	"hdas/setting"
	"hdas/torch/dtype"
)

// Common holds the settings that every configuration has.
type Common struct {
	Seed      uint64     `mapstructure:"seed" yaml:"seed" help:"seed of the initial weights, the order of images and the augmentation"`
	Device    string     `mapstructure:"device" yaml:"device" help:"auto (CUDA if there is a device), cpu, cuda or cuda:N"`
	Threads   int        `mapstructure:"threads" yaml:"threads" range:"0..1024" help:"threads of tensor operations on the CPU; 0: libtorch's default"`
	Precision string     `mapstructure:"precision" yaml:"precision" help:"float32 (fp32), float64; tf32 (on CUDA): float32, but convolutions and matrix products round their inputs to 10 bits; bf16, fp16 (on CUDA): mixed precision, with float32 weights and convolutions in that type"`
	CUDA      CUDA       `mapstructure:"cuda" yaml:"cuda"`
	Data      Data       `mapstructure:"data" yaml:"data"`
	Network   plan.Macro `mapstructure:"network" yaml:"network"`
}

// AutoDevice is the device of a configuration that names none: the first CUDA device if there is one, else the CPU.
const AutoDevice = "auto"

// CUDA holds settings of the computation on CUDA devices. On the CPU, everything is deterministic and they have
// no effect.
type CUDA struct {
	Deterministic bool `mapstructure:"deterministic" yaml:"deterministic" help:"cuDNN uses only algorithms that give the same bits each time"`
	Benchmark     bool `mapstructure:"benchmark" yaml:"benchmark" help:"cuDNN measures its algorithms for each new shape and uses the fastest"`
	Grouped       bool `mapstructure:"grouped" yaml:"grouped" help:"equal operations that read one state of a cell are computed as one: fewer and larger operations"`
	Graphs        bool `mapstructure:"graphs" yaml:"graphs" help:"the passes of a step are recorded once and then launched as one (CUDA graphs); false: each operation is launched"`
}

// Data holds the settings of the data set, of the augmentation and of the loader.
type Data struct {
	datasets.Spec      `mapstructure:",squash" yaml:",inline"`
	Validation         float64 `mapstructure:"validation" yaml:"validation" range:"[0,0.9]" help:"share of the training images of a training that are for validation instead; 0: none"`
	Balanced           bool    `mapstructure:"balanced" yaml:"balanced" help:"in a training, every class is drawn equally often in an epoch"`
	Workers            int     `mapstructure:"workers" yaml:"workers" range:"0..1024" help:"workers of the loader; 0: one for each processor"`
	Damaged            Damaged `mapstructure:"damaged" yaml:"damaged" help:"if an image file cannot be decoded: fail ends the run with an error, skip logs the file and continues without it"`
	datasets.Transform `mapstructure:",squash" yaml:",inline"`
}

// Damaged says what a run does if an image file cannot be decoded.
type Damaged string

// The values of Damaged.
const (
	FailOnDamaged Damaged = "fail" // the run ends with an error
	SkipDamaged   Damaged = "skip" // the run logs the file and continues without it
)

var damageds = []Damaged{FailOnDamaged, SkipDamaged}

// UnmarshalText reads one of the words above.
func (d *Damaged) UnmarshalText(text []byte) error { return setting.Parse(d, text, damageds) }

// idle returns the keys of the section that a run does not use, each with the reason.
func (d Data) idle() map[string]string {
	keys := map[string]string{}
	if !datasets.OfFiles(d.Name) {
		keys["damaged"] = fmt.Sprintf("it is for image files, and the images of %s are none", d.Name)
		if d.Size == 0 {
			keys["interpolation"] = "no image is resized; it is used with data.size"
		}
	}
	if d.Embedded() {
		keys["dir"] = fmt.Sprintf("the %s are embedded in the program", d.Name)
	}
	if !datasets.Own(d.Name) && d.Validation == 0 && d.PerClass == 0 {
		keys["split_seed"] = fmt.Sprintf("%s has its own split, and neither data.validation nor data.per_class takes a part of it", d.Name)
	}
	if d.RandAugment.Ops == 0 {
		keys["randaugment.magnitude"] = "it is used with data.randaugment.ops only"
	}
	return keys
}

// Validate returns all faults of the section.
func (d Data) Validate() error {
	var f setting.Faults
	setting.Word(&f, "damaged", d.Damaged, damageds)
	f.Ranges(d, nil)
	return errors.Join(f.Err(), d.Spec.Validate(), d.Transform.Validate())
}

// Search is the configuration of a search.
type Search struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Search SearchSection `mapstructure:"search" yaml:"search"`
}

// Train is the configuration of a training.
type Train struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Train  TrainSection `mapstructure:"train" yaml:"train"`
	Form   Form         `mapstructure:"-" yaml:"-"` // of the networks, on which depends what YAML saves
}

// DefaultSearch returns the configuration of the paper's search of that kind on CIFAR-10.
func DefaultSearch(k Kind) Search {
	c := Search{common(16, 8), DefaultSearchSection(k)}
	c.Data.Cutout = 0
	return c
}

// DefaultTrain returns the configuration of the paper's training of a network on CIFAR-10.
func DefaultTrain() Train {
	c := Train{Common: common(36, 20), Train: DefaultTrainSection()}
	c.Network.Auxiliary = true
	return c
}

func common(channels int64, layers int) Common {
	return Common{
		Device: AutoDevice, Precision: "float32", CUDA: CUDA{Grouped: true, Graphs: true},
		Data: Data{
			Spec: datasets.Spec{Name: "cifar10", Interpolation: "bilinear"}, Damaged: FailOnDamaged,
			Transform: datasets.Transform{Padding: 4, Flip: true, Cutout: 16, AutoAugment: "none", RandAugment: datasets.RandAugment{Magnitude: 9}},
		},
		Network: plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, PoolNorm: "auto", Wiring: plan.Summed, StageOutput: plan.LastTwo},
	}
}

// smallImage is the smallest size of image files for which the preset imagenet, whose stem divides it by 8,
// is the default.
const smallImage = 128

// settle sets the defaults that depend on the data set, if they are not given: its images as files have the
// preset imagenet unless they are small, and the preset says their size and their augmentation.
func (c *Common) settle(given func(string) bool) {
	d := &c.Data
	files := datasets.OfFiles(d.Name)
	if !given("network.preset") && files && (d.Size == 0 || d.Size >= smallImage) {
		c.Network.Preset = plan.ImageNet
	}
	large := c.Network.Preset == plan.ImageNet
	if !given("data.size") && (large || files) {
		d.Size = int(c.Network.Preset.Size(false).Image)
	}
	if !large || !files {
		return
	}
	if !given("data.padding") && !given("data.resized_crop") {
		d.Padding, d.ResizedCrop = 0, true
	}
	if !given("data.cutout") {
		d.Cutout = 0
	}
}

// settle sets the defaults of a training that depend on its data set, its preset and its network.
func (c *Train) settle(given func(string) bool) {
	c.Common.settle(given)
	size := c.Network.Preset.Size(c.Form == Staged)
	if !given("network.channels") {
		c.Network.Channels = size.Channels
	}
	if !given("network.layers") {
		c.Network.Layers = size.Layers
	}
	if !given("train.epochs") && datasets.Own(c.Data.Name) {
		c.Train.Epochs = ownEpochs
	}
}

func (c Common) validate() error {
	var f setting.Faults
	f.Ranges(c, nil)
	_, err := c.parsePrecision()
	f.Check(err == nil, "precision", c.Precision, "%s", setting.Unknown(c.Precision, dtype.Precisions))
	f.Check(!c.CUDA.Deterministic || !c.CUDA.Benchmark, "cuda.benchmark", c.CUDA.Benchmark, "what is fastest differs from time to time, so not with cuda.deterministic")
	m := c.Network
	m.Classes = 1 // the actual number comes from the data set
	return errors.Join(f.Err(), setting.In("data", c.Data.Validate()), setting.In("network", m.Validate()))
}

// parsePrecision returns the precision for a device that supports all of them, since the device is not
// known yet.
func (c Common) parsePrecision() (dtype.Precision, error) {
	return dtype.ParsePrecision(c.Precision, true)
}

// Validate returns every fault of the configuration.
func (c Search) Validate() error {
	precision, _ := c.parsePrecision() // Common.validate reports an unknown one
	return errors.Join(c.Common.validate(), setting.In("search", errors.Join(c.Search.Validate(), c.Search.Fits(c.Network.Channels, precision.Autocast != dtype.Float32))))
}

// Validate returns every fault of the configuration.
func (c Train) Validate() error {
	return errors.Join(c.Common.validate(), setting.In("train", c.Train.Validate()))
}
