package plan

import (
	"errors"
	"fmt"
)

// The stems, and with them the auxiliary head: for small images, which keep their resolution, and
// for large ones, which the stem divides by 8.
const (
	CIFAR    = "cifar"
	ImageNet = "imagenet"
)

// The wirings of a stage.
const (
	Summed = "summed" // a cell reads the sum of its edges on both inputs
	Paired = "paired" // edge k feeds the cell's input k
)

// What a stage of the paired wiring puts out.
const (
	LastTwo = "last_two" // the concatenation of its last two cells (Rule 2)
	Last    = "last"     // its last cell, as a chain does
)

// Macro is what a network's size depends on besides its genotype.
type Macro struct {
	Preset    string `mapstructure:"preset" yaml:"preset"`
	Channels  int64  `mapstructure:"channels" yaml:"channels"`   // C: of the first cells' nodes
	Layers    int    `mapstructure:"layers" yaml:"layers"`       // cells of a chain; stages have their own number
	Classes   int64  `mapstructure:"-" yaml:"-"`                 // the data set's
	Auxiliary bool   `mapstructure:"auxiliary" yaml:"auxiliary"` // has an auxiliary head
	PoolNorm  string `mapstructure:"pool_norm" yaml:"pool_norm"` // batch norm after pooling: on, off; auto: on in stages, off in chains
	Wiring    string `mapstructure:"wiring" yaml:"wiring"`       // of stages: summed, paired
	// StageOutput is what a stage of the paired wiring puts out: last_two, last. Empty means last_two.
	StageOutput string `mapstructure:"stage_output" yaml:"stage_output"`
}

// Validate names every impossible value.
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
