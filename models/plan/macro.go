package plan

import (
	"errors"
	"fmt"
)

// The presets, each with a stem and an auxiliary head of its own.
const (
	CIFAR    = "cifar"    // small images: the stem keeps their resolution
	ImageNet = "imagenet" // large images: the stem divides height and width by 8
)

// The wirings of a stage: how the edges of a stage feed the two inputs of a cell.
const (
	Summed = "summed" // both inputs of a cell are the sum of its edges
	Paired = "paired" // input k of a cell is its edge k
)

// The outputs that a stage with the paired wiring can have.
const (
	LastTwo = "last_two" // the concatenation of its last two cells (Rule 2)
	Last    = "last"     // its last cell, as in a chain
)

// Macro holds the settings that, together with the genotype, determine a network's size.
type Macro struct {
	Preset    string `mapstructure:"preset" yaml:"preset"`
	Channels  int64  `mapstructure:"channels" yaml:"channels"`   // C: channels of the nodes in the cells before the first reduction
	Layers    int    `mapstructure:"layers" yaml:"layers"`       // number of cells in a chain; not used if the genotype has stages
	Classes   int64  `mapstructure:"-" yaml:"-"`                 // number of classes in the data set
	Auxiliary bool   `mapstructure:"auxiliary" yaml:"auxiliary"` // has an auxiliary head
	PoolNorm  string `mapstructure:"pool_norm" yaml:"pool_norm"` // batch norm after pooling: on, off; auto: on in stages, off in chains
	Wiring    string `mapstructure:"wiring" yaml:"wiring"`       // wiring of stages: summed, paired
	// StageOutput is the output of a stage with the paired wiring: last_two or last. Empty means
	// last_two.
	StageOutput string `mapstructure:"stage_output" yaml:"stage_output"`
}

// Validate returns an error that lists every invalid value.
func (m Macro) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if m.Preset != CIFAR && m.Preset != ImageNet {
		fault("preset %q is unknown; known are %s, %s", m.Preset, CIFAR, ImageNet)
	}
	if m.Channels < 1 || m.Channels > 4096 {
		fault("channels %d is not in 1..4096", m.Channels)
	}
	if m.Preset == ImageNet && m.Channels == 1 {
		fault("channels 1 leaves the %s stem, whose first convolution has C/2, without any; at least 2", ImageNet)
	}
	if m.Layers < 0 || m.Layers > 1000 {
		fault("layers %d is not in 2..1000", m.Layers)
	}
	if m.Classes < 1 || m.Classes > 1_000_000 {
		fault("classes %d is not in 1..1000000", m.Classes)
	}
	switch m.PoolNorm {
	case "auto", "on", "off":
	default:
		fault("pool_norm %q is unknown; known are auto, on, off", m.PoolNorm)
	}
	switch m.Wiring {
	case Summed, Paired:
	default:
		fault("wiring %q is unknown; known are %s, %s", m.Wiring, Summed, Paired)
	}
	switch m.StageOutput {
	case "", LastTwo:
	case Last:
		if m.Wiring == Summed {
			fault("stage_output %q is for the wiring %s; a %s stage puts out its last two cells (Rule 2)", Last, Paired, Summed)
		}
	default:
		fault("stage_output %q is unknown; known are %s, %s", m.StageOutput, LastTwo, Last)
	}
	return errors.Join(faults...)
}
