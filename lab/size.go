package lab

import (
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
)

// Size describes the size of a genotype's network.
type Size struct {
	Name                string              `json:"name"`
	Preset              plan.Preset         `json:"preset"`
	Channels            int64               `json:"channels"`
	Layers              int                 `json:"layers"` // number of cells, with reduction cells
	Classes             int64               `json:"classes"`
	Wiring              plan.Wiring         `json:"wiring,omitempty"`       // only of stages
	StageOutput         plan.StageOutput    `json:"stage_output,omitempty"` // only of stages
	PoolNorm            plan.PoolNorm       `json:"pool_norm"`
	Image               [2]int64            `json:"image"`                // height, width
	Parameters          int64               `json:"parameters"`           // number of parameters without the auxiliary head
	ParametersAuxiliary int64               `json:"parameters_auxiliary"` // number of parameters with the auxiliary head
	MACs                int64               `json:"macs"`                 // multiply-adds of convolutions and linear layers, without the auxiliary head
	Stages              []genotype.Topology `json:"stages"`
	Reported            *Reported           `json:"reported,omitempty"`
}

// Reported holds the published test errors of a network, in percent; 0: unknown.
type Reported struct {
	CIFAR10  float64 `json:"cifar10_error,omitempty"`
	ImageNet float64 `json:"imagenet_error,omitempty"` // top-1
	Source   string  `json:"source"`
}

// Measure returns the size of a genotype's network for the images of its preset. It makes no tensor.
func Measure(g genotype.Genotype, m plan.Macro) (Size, error) {
	side := m.Preset.Size(false).Image
	return MeasureFor(g, m, layer.Shape{C: 3, H: side, W: side})
}

// MeasureFor is Measure for images of that shape.
func MeasureFor(g genotype.Genotype, m plan.Macro, image layer.Shape) (Size, error) {
	network, err := plan.New(g, m, image, genotype.Candidates{})
	if err != nil {
		return Size{}, err
	}
	s := Size{Name: g.Name, Preset: m.Preset, Channels: m.Channels, Classes: m.Classes, PoolNorm: m.PoolNorm,
		Image: [2]int64{image.H, image.W}, Parameters: network.Cost.Parameters, MACs: network.Cost.MACs,
		ParametersAuxiliary: network.Cost.Parameters + network.AuxiliaryCost.Parameters}
	if g.Reported != (genotype.Reported{}) {
		found := Reported(g.Reported)
		s.Reported = &found
	}
	staged := len(g.Stages) > 0
	if staged {
		s.Wiring, s.StageOutput = m.Wiring, m.StageOutput
	}
	if s.PoolNorm == plan.PoolNormAuto {
		s.PoolNorm = map[bool]plan.PoolNorm{true: plan.PoolNormOn, false: plan.PoolNormOff}[staged]
	}
	for _, stage := range network.Stages {
		s.Layers += len(stage.Cells)
		if stage.Reduce != nil {
			s.Layers++
		}
		s.Stages = append(s.Stages, stage.DAG().Topology())
	}
	return s, nil
}
