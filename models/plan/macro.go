package plan

import (
	"hdas/setting"
)

// Preset is the kind of images that a network is for. It determines the stem and the auxiliary head.
type Preset string

// The presets.
const (
	CIFAR    Preset = "cifar"    // small images: the stem keeps their resolution
	ImageNet Preset = "imagenet" // large images: the stem divides height and width by 8
)

// Presets lists all presets.
var Presets = []Preset{CIFAR, ImageNet}

// UnmarshalText reads one of Presets.
func (p *Preset) UnmarshalText(text []byte) error { return setting.Parse(p, text, Presets) }

// Size is the size at which the networks of a preset are trained.
type Size struct {
	Channels int64 // C
	Layers   int   // cells of a chain
	Image    int64 // height and width of the images
	Classes  int64 // of the preset's data set
}

// Size returns the size of a preset's networks with or without stages: that of DARTS and of the paper
// (section 6.4).
func (p Preset) Size(staged bool) Size {
	switch {
	case p == ImageNet && staged:
		return Size{Channels: 39, Layers: 14, Image: 224, Classes: 1000}
	case p == ImageNet:
		return Size{Channels: 48, Layers: 14, Image: 224, Classes: 1000}
	}
	return Size{Channels: 36, Layers: 20, Image: 32, Classes: 10}
}

// Wiring selects how the edges of a stage feed the two inputs of a cell.
type Wiring string

// The wirings.
const (
	Summed Wiring = "summed" // both inputs of a cell are the sum of its edges
	Paired Wiring = "paired" // input k of a cell is its edge k
)

var wirings = []Wiring{Summed, Paired}

// UnmarshalText reads the name of a wiring.
func (w *Wiring) UnmarshalText(text []byte) error { return setting.Parse(w, text, wirings) }

// StageOutput selects the output of a stage with the paired wiring.
type StageOutput string

// The outputs of a stage. The empty one means LastTwo.
const (
	LastTwo StageOutput = "last_two" // the concatenation of its last two cells (Rule 2)
	Last    StageOutput = "last"     // its last cell, as in a chain
)

var stageOutputs = []StageOutput{LastTwo, Last}

// UnmarshalText reads the name of an output, or an empty text.
func (s *StageOutput) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = ""
		return nil
	}
	return setting.Parse(s, text, stageOutputs)
}

// PoolNorm selects whether a batch norm follows each pooling.
type PoolNorm string

// The choices. PoolNormAuto is on in networks with stages and off in chains.
const (
	PoolNormAuto PoolNorm = "auto"
	PoolNormOn   PoolNorm = "on"
	PoolNormOff  PoolNorm = "off"
)

var poolNorms = []PoolNorm{PoolNormAuto, PoolNormOn, PoolNormOff}

// UnmarshalText reads one of these choices.
func (p *PoolNorm) UnmarshalText(text []byte) error { return setting.Parse(p, text, poolNorms) }

// Macro holds the settings that, together with the genotype, determine a network's size. It is the
// section "network" of a configuration.
type Macro struct {
	Preset      Preset      `mapstructure:"preset" yaml:"preset" help:"stem, auxiliary head and default sizes: cifar, for small images, or imagenet, whose stem divides height and width by 8" paper:"section 6.4"`
	Channels    int64       `mapstructure:"channels" yaml:"channels" range:"1..4096" help:"C: channels of the nodes in the cells before the first reduction" paper:"section 6.4"`
	Layers      int         `mapstructure:"layers" yaml:"layers" range:"0..1000" help:"number of cells in a chain; not used if the genotype has stages" paper:"section 6.4"`
	Classes     int64       `mapstructure:"-" yaml:"-"` // number of classes in the data set
	Auxiliary   bool        `mapstructure:"auxiliary" yaml:"auxiliary" help:"has an auxiliary head, whose loss is added in training"`
	PoolNorm    PoolNorm    `mapstructure:"pool_norm" yaml:"pool_norm" help:"batch norm after pooling; auto: on in networks with stages, off in chains"`
	Wiring      Wiring      `mapstructure:"wiring" yaml:"wiring" help:"of stages: summed (both inputs of a cell are the sum of its edges) or paired (input k of a cell is its edge k)" paper:"eq. 1"`
	StageOutput StageOutput `mapstructure:"stage_output" yaml:"stage_output" help:"of stages in the paired wiring: concatenation of the last_two cells, or the last cell" paper:"Rule 2"`
}

// Validate returns an error that lists every invalid value, as a setting.Fault each.
func (m Macro) Validate() error {
	var f setting.Faults
	setting.Word(&f, "preset", m.Preset, Presets)
	f.Check(m.Preset != ImageNet || m.Channels != 1, "channels", m.Channels, "leaves the %s stem, whose first convolution has C/2, without any; at least 2", ImageNet)
	f.Check(m.Classes >= 1 && m.Classes <= 1_000_000, "classes", m.Classes, "is not in 1..1000000")
	setting.Word(&f, "pool_norm", m.PoolNorm, poolNorms)
	setting.Word(&f, "wiring", m.Wiring, wirings)
	if m.StageOutput != "" {
		setting.Word(&f, "stage_output", m.StageOutput, stageOutputs)
	}
	f.Ranges(m, nil)
	f.Check(m.StageOutput != Last || m.Wiring != Summed, "stage_output", m.StageOutput, "is for the wiring %s; the output of a %s stage is its last two cells (Rule 2)", Paired, Summed)
	return f.Err()
}
