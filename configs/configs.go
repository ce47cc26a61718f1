// Package configs holds the typed configurations of searches and trainings: their sections, their
// defaults, their validation, and how they are loaded and saved. A configuration begins with the
// defaults; a file, then the environment, then single settings change them. Unknown keys and values
// that cannot be used are errors, each a setting.Fault.
package configs

import (
	"errors"

	"hdas/datasets"
	"hdas/models/plan"
	"hdas/setting"
	"hdas/torch/dtype"
)

// Common is what every configuration has.
type Common struct {
	Seed      uint64     `mapstructure:"seed" yaml:"seed"`
	Device    string     `mapstructure:"device" yaml:"device"`       // auto, cpu, cuda, cuda:N
	Threads   int        `mapstructure:"threads" yaml:"threads"`     // of operations on the CPU; 0: libtorch's choice
	Precision string     `mapstructure:"precision" yaml:"precision"` // float32 (fp32), float64; bf16, fp16: float32 weights, convolutions in that type
	Data      Data       `mapstructure:"data" yaml:"data"`
	Network   plan.Macro `mapstructure:"network" yaml:"network"`
}

// Data says which images, and how they are augmented.
type Data struct {
	datasets.Spec      `mapstructure:",squash" yaml:",inline"`
	Workers            int     `mapstructure:"workers" yaml:"workers"` // of the loader; 0: one for each processor
	Damaged            Damaged `mapstructure:"damaged" yaml:"damaged"` // what a run does when an image file cannot be decoded: fail, skip
	datasets.Transform `mapstructure:",squash" yaml:",inline"`
}

// Damaged says what a run does when an image file cannot be decoded.
type Damaged string

// What a run does when an image file cannot be decoded.
const (
	FailOnDamaged Damaged = "fail" // it ends with an error
	SkipDamaged   Damaged = "skip" // it continues without the file, and names it
)

var damageds = []Damaged{FailOnDamaged, SkipDamaged}

// UnmarshalText reads one of the words above.
func (d *Damaged) UnmarshalText(text []byte) error { return setting.Parse(d, text, damageds) }

// Validate returns every fault of the section.
func (d Data) Validate() error {
	var f setting.Faults
	f.Check(d.Workers >= 0 && d.Workers <= 1024, "workers", d.Workers, "is not in 0..1024")
	setting.Word(&f, "damaged", d.Damaged, damageds)
	return errors.Join(f.Err(), d.Spec.Validate(), d.Transform.Validate())
}

// Search is a search's configuration.
type Search struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Search SearchSection `mapstructure:"search" yaml:"search"`
}

// Train is a training's configuration.
type Train struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Train  TrainSection `mapstructure:"train" yaml:"train"`
}

// DefaultSearch is the paper's search of that kind, on CIFAR-10.
func DefaultSearch(k Kind) Search {
	c := Search{common(16, 8), DefaultSearchSection(k)}
	c.Data.Cutout = 0
	return c
}

// DefaultTrain is the paper's training of a found network on CIFAR-10.
func DefaultTrain() Train {
	c := Train{common(36, 20), DefaultTrainSection()}
	c.Network.Auxiliary = true
	return c
}

func common(channels int64, layers int) Common {
	return Common{
		Device: "auto", Precision: "float32",
		Data: Data{
			Spec: datasets.Spec{Name: "cifar10", Interpolation: "bilinear"}, Damaged: FailOnDamaged,
			Transform: datasets.Transform{Padding: 4, Flip: true, Cutout: 16, AutoAugment: "none", RandAugment: datasets.RandAugment{Magnitude: 9}},
		},
		Network: plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, PoolNorm: "auto", Wiring: plan.Summed, StageOutput: plan.LastTwo},
	}
}

// settle fills in what depends on other settings: image files are seen at the size that the network's
// preset is made for.
func (c *Common) settle() {
	if c.Data.Size == 0 && datasets.OfFiles(c.Data.Name) && c.Network.Preset == plan.CIFAR {
		c.Data.Size = 32
	}
}

func (c Common) validate() error {
	var f setting.Faults
	f.Check(c.Threads >= 0 && c.Threads <= 1024, "threads", c.Threads, "is not in 0..1024")
	_, err := c.parsePrecision()
	f.Check(err == nil, "precision", c.Precision, "is unknown; known are %s", setting.List(dtype.Precisions))
	m := c.Network
	m.Classes = 1 // comes with the data
	return errors.Join(f.Err(), setting.In("data", c.Data.Validate()), setting.In("network", m.Validate()))
}

// parsePrecision reads the precision as that of a device that has all of them; the device is known later.
func (c Common) parsePrecision() (dtype.Precision, error) {
	return dtype.ParsePrecision(c.Precision, true)
}

// Validate returns every fault of the configuration.
func (c Search) Validate() error {
	precision, _ := c.parsePrecision() // an unknown one is among the common faults
	return errors.Join(c.Common.validate(), setting.In("search", errors.Join(c.Search.Validate(), c.Search.Fits(c.Network.Channels, precision.Autocast != dtype.Float32))))
}

// Validate returns every fault of the configuration.
func (c Train) Validate() error {
	return errors.Join(c.Common.validate(), setting.In("train", c.Train.Validate()))
}
