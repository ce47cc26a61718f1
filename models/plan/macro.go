package plan

import (
	"hdas/setting"
)

// Preset is the kind of images that a network is for. It decides the stem and the auxiliary head.
type Preset string

// The presets.
const (
	CIFAR    Preset = "cifar"    // small images, whose resolution the stem keeps
	ImageNet Preset = "imagenet" // large images, whose height and width the stem divides by 8
)

// Presets lists all of them.
var Presets = []Preset{CIFAR, ImageNet}

// UnmarshalText reads one of Presets.
func (p *Preset) UnmarshalText(text []byte) error { return setting.Parse(p, text, Presets) }

// Wiring says how the cells of a stage read the stage's edges.
type Wiring string

// The wirings.
const (
	Summed Wiring = "summed" // a cell reads the sum of its edges on both inputs
	Paired Wiring = "paired" // edge k feeds the cell's input k
)

var wirings = []Wiring{Summed, Paired}

// UnmarshalText reads one of the words above.
func (w *Wiring) UnmarshalText(text []byte) error { return setting.Parse(w, text, wirings) }

// StageOutput is the output of a stage in the paired wiring.
type StageOutput string

// The outputs of a stage. The empty one means LastTwo.
const (
	LastTwo StageOutput = "last_two" // the concatenation of its last two cells (Rule 2)
	Last    StageOutput = "last"     // its last cell, as in a chain
)

var stageOutputs = []StageOutput{LastTwo, Last}

// UnmarshalText reads one of the words above, or nothing.
func (s *StageOutput) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = ""
		return nil
	}
	return setting.Parse(s, text, stageOutputs)
}

// PoolNorm says whether poolings are followed by a batch norm.
type PoolNorm string

// The choices. PoolNormAuto is on in networks with stages and off in chains.
const (
	PoolNormAuto PoolNorm = "auto"
	PoolNormOn   PoolNorm = "on"
	PoolNormOff  PoolNorm = "off"
)

var poolNorms = []PoolNorm{PoolNormAuto, PoolNormOn, PoolNormOff}

// UnmarshalText reads one of the words above.
func (p *PoolNorm) UnmarshalText(text []byte) error { return setting.Parse(p, text, poolNorms) }

// Macro is what a network's size depends on besides its genotype: the section "network" of a
// configuration.
type Macro struct {
	Preset      Preset      `mapstructure:"preset" yaml:"preset"`
	Channels    int64       `mapstructure:"channels" yaml:"channels"`   // C: of the first cells' nodes
	Layers      int         `mapstructure:"layers" yaml:"layers"`       // cells of a chain; stages have their own number
	Classes     int64       `mapstructure:"-" yaml:"-"`                 // the data set's
	Auxiliary   bool        `mapstructure:"auxiliary" yaml:"auxiliary"` // has an auxiliary head
	PoolNorm    PoolNorm    `mapstructure:"pool_norm" yaml:"pool_norm"`
	Wiring      Wiring      `mapstructure:"wiring" yaml:"wiring"` // of stages
	StageOutput StageOutput `mapstructure:"stage_output" yaml:"stage_output"`
}

// Validate returns a setting.Fault for every impossible value.
func (m Macro) Validate() error {
	var f setting.Faults
	setting.Word(&f, "preset", m.Preset, Presets)
	f.Check(m.Channels >= 1 && m.Channels <= 4096, "channels", m.Channels, "is not in 1..4096")
	f.Check(m.Preset != ImageNet || m.Channels != 1, "channels", m.Channels, "leaves the %s stem, whose first convolution has C/2, without any; at least 2", ImageNet)
	f.Check(m.Layers >= 0 && m.Layers <= 1000, "layers", m.Layers, "is not in 2..1000")
	f.Check(m.Classes >= 1 && m.Classes <= 1_000_000, "classes", m.Classes, "is not in 1..1000000")
	setting.Word(&f, "pool_norm", m.PoolNorm, poolNorms)
	setting.Word(&f, "wiring", m.Wiring, wirings)
	if m.StageOutput != "" {
		setting.Word(&f, "stage_output", m.StageOutput, stageOutputs)
	}
	f.Check(m.StageOutput != Last || m.Wiring != Summed, "stage_output", m.StageOutput, "is for the wiring %s; a %s stage puts out its last two cells (Rule 2)", Paired, Summed)
	return f.Err()
}
