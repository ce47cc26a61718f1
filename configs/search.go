package configs

import (
	"slices"

	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/setting"
)

// Kind says what a search finds.
type Kind string

// The searches of the paper.
const (
	CellSearch         Kind = "cell"         // Hc-DAS: the cells of a chain
	DistributionSearch Kind = "distribution" // Hs-DAS, first: how many cells each stage has
	StageSearch        Kind = "stage"        // Hs-DAS, second: the connections of each stage's cells
	JointSearch        Kind = "joint"        // cells and stages at once, with min_cells their number too
)

// Kinds are all of them.
var Kinds = []Kind{CellSearch, DistributionSearch, StageSearch, JointSearch}

// FindsCells reports whether a search of that kind decides the edges of cells.
func (k Kind) FindsCells() bool { return k == CellSearch || k == JointSearch }

// FindsStages reports whether a search of that kind decides the edges of stages.
func (k Kind) FindsStages() bool { return k != CellSearch }

// UnmarshalText reads one of Kinds.
func (k *Kind) UnmarshalText(text []byte) error { return setting.Parse(k, text, Kinds) }

// Order is that of the architecture's gradient.
type Order string

// The orders of the architecture's gradient.
const (
	FirstOrder  Order = "first"  // at the weights as they are
	SecondOrder Order = "second" // at the weights after their next step (DARTS eq. 7-8)
)

var orders = []Order{FirstOrder, SecondOrder}

// UnmarshalText reads one of the words above.
func (o *Order) UnmarshalText(text []byte) error { return setting.Parse(o, text, orders) }

// DepthWeights says which weight an edge of a stage has in the depth loss.
type DepthWeights string

// The weights of an edge in the depth loss.
const (
	DepthSoftmax     DepthWeights = "softmax"      // the softmax weights of all operations but none, summed
	DepthRaw         DepthWeights = "raw"          // its alphas, summed, as in the H-DAS authors' stage search
	DepthEdgeSoftmax DepthWeights = "edge_softmax" // the softmax, over the edges of its cell, of its largest alpha that is not none's, as in their distribution search
)

var depthWeights = []DepthWeights{DepthSoftmax, DepthRaw, DepthEdgeSoftmax}

// UnmarshalText reads one of the words above.
func (d *DepthWeights) UnmarshalText(text []byte) error { return setting.Parse(d, text, depthWeights) }

// Theta says what a cell costs in the complexity loss.
type Theta string

// The costs of a cell in the complexity loss.
const (
	ThetaOne        Theta = "one"
	ThetaFLOPs      Theta = "flops"
	ThetaParameters Theta = "parameters"
	ThetaLatency    Theta = "latency" // measured on the device of the search when it begins
)

var thetas = []Theta{ThetaOne, ThetaFLOPs, ThetaParameters, ThetaLatency}

// UnmarshalText reads one of the words above.
func (t *Theta) UnmarshalText(text []byte) error { return setting.Parse(t, text, thetas) }

// Derivation says by which numbers the genotype is read off the architecture parameters.
type Derivation string

// The derivations of a genotype.
const (
	DerivationSoftmax Derivation = "softmax" // by the softmax of the alphas
	DerivationRaw     Derivation = "raw"     // by the alphas as they are
)

var derivations = []Derivation{DerivationSoftmax, DerivationRaw}

// UnmarshalText reads one of the words above.
func (d *Derivation) UnmarshalText(text []byte) error { return setting.Parse(d, text, derivations) }

// SearchSection is what a search depends on besides its data and the size of its supernet: the
// section "search" of a configuration. Idle returns the settings that a search does not use.
type SearchSection struct {
	Kind   Kind  `mapstructure:"kind" yaml:"kind"`
	Epochs int   `mapstructure:"epochs" yaml:"epochs"`
	Batch  int   `mapstructure:"batch" yaml:"batch"` // samples of each half a step
	Order  Order `mapstructure:"order" yaml:"order"` // of the architecture's gradient: first, second
	// CheckpointSteps is how many steps lie between two checkpoints of an epoch; 0: none but at its end.
	CheckpointSteps int `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps"`

	// What may be found.
	StageSpecific     bool     `mapstructure:"stage_specific" yaml:"stage_specific"`         // normal1 reduce1 normal2 reduce2 normal3 (Hc-DAS), else normal reduce (DARTS)
	Nodes             int      `mapstructure:"nodes" yaml:"nodes"`                           // of a cell
	CellPrimitives    []string `mapstructure:"cell_primitives" yaml:"cell_primitives"`       // candidate operations
	Cells             string   `mapstructure:"cells" yaml:"cells"`                           // the genotype whose cells are used, a name or a file
	Lengths           []int    `mapstructure:"lengths" yaml:"lengths"`                       // cells of each stage
	Window            int      `mapstructure:"window" yaml:"window"`                         // how many states before it a cell may read (Rule 3)
	MinCells          int      `mapstructure:"min_cells" yaml:"min_cells"`                   // the least a stage keeps; joint: 0 keeps them all
	Shared            bool     `mapstructure:"shared" yaml:"shared"`                         // all stages are one DAG (Hs-DAS*, Table 3)
	StagePrimitives   []string `mapstructure:"stage_primitives" yaml:"stage_primitives"`     // candidate operations
	PartialChannels   int      `mapstructure:"partial_channels" yaml:"partial_channels"`     // of a cell's channels, one in so many is mixed (PC-DARTS); 1: all
	EdgeNormalization bool     `mapstructure:"edge_normalization" yaml:"edge_normalization"` // the edges of a node compete by a softmax of their own (PC-DARTS)

	// The loss of the architecture: cross-entropy + delta * depth + gamma * complexity (eq. 6).
	Delta        float64      `mapstructure:"delta" yaml:"delta"`
	DepthWeights DepthWeights `mapstructure:"depth_weights" yaml:"depth_weights"` // what an edge carries: softmax, raw, edge_softmax
	Gamma        float64      `mapstructure:"gamma" yaml:"gamma"`
	Theta        Theta        `mapstructure:"theta" yaml:"theta"` // what a cell costs: one, flops, parameters, latency

	// How the genotype is read off.
	Derivation Derivation `mapstructure:"derivation" yaml:"derivation"` // by the softmax, or by the alphas as they are: softmax, raw
	MaxSkips   int        `mapstructure:"max_skips" yaml:"max_skips"`   // that a normal cell keeps (P-DARTS); -1: any number
	Stop       EarlyStop  `mapstructure:"stop" yaml:"stop"`

	// Recompute is what a cell computes again for its gradient instead of storing it: none, edge, cell.
	Recompute string `mapstructure:"recompute" yaml:"recompute"`

	Weights SGD  `mapstructure:"weights" yaml:"weights"`
	Alpha   Adam `mapstructure:"alpha" yaml:"alpha"`
}

// EarlyStop ends a search whose validation loss curves ever more sharply in the architecture parameters,
// as those do that collapse to skips (RobustDARTS, arXiv:1909.09656).
type EarlyStop struct {
	// Ratio: it ends where the mean eigenvalue of the Window epochs before the last Window, divided
	// by that of the last Window, is below it; the paper has 0.75. 0: never, and none is computed.
	Ratio  float64 `mapstructure:"ratio" yaml:"ratio"`
	Window int     `mapstructure:"window" yaml:"window"` // epochs; the genotype found is that of so many before the last
}

// SGD is how the weights of a supernet learn; the rate follows a cosine, epoch by epoch.
type SGD struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	MinLR       float64 `mapstructure:"min_lr" yaml:"min_lr"`
	Momentum    float64 `mapstructure:"momentum" yaml:"momentum"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Clip        float64 `mapstructure:"clip" yaml:"clip"` // largest norm of the gradient
}

// Adam is how the architecture parameters learn, at a constant rate.
type Adam struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	Beta1       float64 `mapstructure:"beta1" yaml:"beta1"`
	Beta2       float64 `mapstructure:"beta2" yaml:"beta2"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Warmup      int     `mapstructure:"warmup" yaml:"warmup"` // epochs at the start in which only the weights learn
}

// DefaultSearchSection is the paper's setting of a search (section 6.4).
func DefaultSearchSection(k Kind) SearchSection {
	c := SearchSection{
		Kind: k, Epochs: 50, Batch: 64, Order: FirstOrder, Recompute: "none",
		StageSpecific: k == CellSearch, Nodes: 4, CellPrimitives: slices.Clone(ops.Cell),
		Cells: "DARTS_V1", Lengths: []int{6, 6, 6}, Window: 3, StagePrimitives: slices.Clone(ops.Stage),
		PartialChannels: 1,
		Delta:           1, DepthWeights: DepthSoftmax, Gamma: 0.4, Theta: ThetaOne,
		Derivation: DerivationSoftmax, MaxSkips: -1, Stop: EarlyStop{Window: 5},
		Weights: SGD{LR: 0.025, MinLR: 0.001, Momentum: 0.9, WeightDecay: 2.7e-3, Clip: 5},
		Alpha:   Adam{LR: 3e-4, Beta1: 0.5, Beta2: 0.999, WeightDecay: 1e-3},
	}
	if k == DistributionSearch {
		c.Lengths, c.MinCells = []int{8, 8, 8}, 4
	}
	return c
}

// Space returns what the search may find. The error is a fault of one of its settings.
func (c SearchSection) Space() (space.Space, error) {
	var s space.Space
	blamed := setting.Fault{Key: "cells", Value: c.Cells}
	if c.Kind.FindsCells() {
		s = space.Cells(space.ChainCells(c.StageSpecific), c.Nodes, c.CellPrimitives)
		s.PartialChannels = int64(c.PartialChannels)
		blamed = setting.Fault{Key: "lengths", Value: c.Lengths}
	} else {
		cells, err := text.Load(c.Cells)
		if err != nil {
			blamed.Err = err
			return s, &blamed
		}
		s = space.Fixed(cells)
	}
	if !c.Kind.FindsStages() {
		return s, nil
	}
	s, err := s.Under(c.Lengths, c.Window, genotype.Candidates{Stage: c.StagePrimitives, MinCells: c.least(), Shared: c.Shared})
	if err == nil || len(setting.All(err)) > 0 {
		return s, err
	}
	blamed.Err = err // there is no cell for one of the stages
	return s, &blamed
}

// least is how many cells a stage keeps at least, 0 where their number is not searched.
func (c SearchSection) least() int {
	if c.Kind == DistributionSearch || c.Kind == JointSearch {
		return c.MinCells
	}
	return 0
}
