package configs

import (
	"slices"

	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/setting"
)

// Kind is the kind of a search: what it decides.
type Kind string

// The searches of the paper.
const (
	CellSearch         Kind = "cell"         // Hc-DAS: the edges and operations of the cells of a chain
	DistributionSearch Kind = "distribution" // Hs-DAS, first part: the number of cells of each stage
	StageSearch        Kind = "stage"        // Hs-DAS, second part: the connections between the cells of each stage
	JointSearch        Kind = "joint"        // cells and stages at once; with min_cells also the number of cells
)

// Kinds lists all kinds of searches.
var Kinds = []Kind{CellSearch, DistributionSearch, StageSearch, JointSearch}

// FindsCells reports whether a search of that kind decides the edges of cells.
func (k Kind) FindsCells() bool { return k == CellSearch || k == JointSearch }

// FindsStages reports whether a search of that kind decides the edges of stages.
func (k Kind) FindsStages() bool { return k != CellSearch }

// UnmarshalText reads one of Kinds.
func (k *Kind) UnmarshalText(text []byte) error { return setting.Parse(k, text, Kinds) }

// Order is the order of the architecture's gradient.
type Order string

// The orders of the architecture's gradient.
const (
	FirstOrder  Order = "first"  // at the current weights
	SecondOrder Order = "second" // at the weights after their next step (DARTS eq. 7-8)
)

var orders = []Order{FirstOrder, SecondOrder}

// UnmarshalText reads one of the words above.
func (o *Order) UnmarshalText(text []byte) error { return setting.Parse(o, text, orders) }

// DepthWeights says how the weight of an edge in the depth loss follows from the alphas.
type DepthWeights string

// The weights of an edge in the depth loss.
const (
	DepthSoftmax     DepthWeights = "softmax"      // sum of the softmax over all operations but none
	DepthRaw         DepthWeights = "raw"          // sum of the alphas, as in the H-DAS authors' stage search
	DepthEdgeSoftmax DepthWeights = "edge_softmax" // softmax, over the edges of a cell, of the largest alpha without that of none, as in the H-DAS authors' distribution search
)

var depthWeights = []DepthWeights{DepthSoftmax, DepthRaw, DepthEdgeSoftmax}

// UnmarshalText reads one of the words above.
func (d *DepthWeights) UnmarshalText(text []byte) error { return setting.Parse(d, text, depthWeights) }

// Theta says how the cost of a cell in the complexity loss is measured.
type Theta string

// The costs of a cell in the complexity loss.
const (
	ThetaOne        Theta = "one"
	ThetaFLOPs      Theta = "flops"
	ThetaParameters Theta = "parameters"
	ThetaLatency    Theta = "latency" // seconds of a forward pass, measured on the search's device when the search begins
)

var thetas = []Theta{ThetaOne, ThetaFLOPs, ThetaParameters, ThetaLatency}

// UnmarshalText reads one of the words above.
func (t *Theta) UnmarshalText(text []byte) error { return setting.Parse(t, text, thetas) }

// Derivation says which numbers are compared when a genotype is derived from the architecture parameters.
type Derivation string

// The derivations of a genotype.
const (
	DerivationSoftmax Derivation = "softmax" // the softmax of the alphas
	DerivationRaw     Derivation = "raw"     // the alphas
)

var derivations = []Derivation{DerivationSoftmax, DerivationRaw}

// UnmarshalText reads one of the words above.
func (d *Derivation) UnmarshalText(text []byte) error { return setting.Parse(d, text, derivations) }

// recomputes lists what may be recomputed in the backward pass (kernel.ParseRecompute).
var recomputes = []string{"none", "edge", "cell"}

// SearchSection is the section "search" of a configuration: all settings of a search except those of the
// data and of the supernet's size. Idle returns the keys that a kind of search does not use.
type SearchSection struct {
	Kind            Kind  `mapstructure:"kind" yaml:"kind" help:"what is searched: cells of a chain (Hc-DAS), distribution (number of cells of each stage) and stage (their connections; both are Hs-DAS), or joint (cells and stages at once)" paper:"section 3"`
	Epochs          int   `mapstructure:"epochs" yaml:"epochs" range:"1..100000" help:"passes over the training images" paper:"section 6.4"`
	Batch           int   `mapstructure:"batch" yaml:"batch" range:"2..65536; batch norm needs at least 2" help:"images of each half of the data in a step" paper:"section 6.4"`
	Order           Order `mapstructure:"order" yaml:"order" help:"the architecture's gradient is taken at: first, the current weights; second, the weights after their next step (DARTS eq. 7-8)"`
	SyncNorm        bool  `mapstructure:"sync_norm" yaml:"sync_norm" help:"with several processes, batch norms use the statistics of the images of all, not of one (SyncBatchNorm); cells are then computed by the operations of libtorch, on a CPU more slowly than by the kernels. One process ignores it"`
	CheckpointSteps int   `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps" range:"0..1000000000" help:"steps between two checkpoints within an epoch; 0: only at its end"`

	// The search space.
	StageSpecific     bool     `mapstructure:"stage_specific" yaml:"stage_specific" help:"true: cells normal1 reduce1 normal2 reduce2 normal3 (Hc-DAS); false: normal reduce (DARTS)"`
	Nodes             int      `mapstructure:"nodes" yaml:"nodes" range:"1..16" help:"nodes of a cell"`
	CellPrimitives    []string `mapstructure:"cell_primitives" yaml:"cell_primitives" help:"candidate operations of a cell's edge"`
	Cells             string   `mapstructure:"cells" yaml:"cells" help:"genotype whose cells the stages are made of, by name or file" paper:"Table 3"`
	Lengths           []int    `mapstructure:"lengths" yaml:"lengths" range:"2..1000" help:"number of cells of each stage; if it is searched, the largest number" paper:"section 6.4"`
	Window            int      `mapstructure:"window" yaml:"window" range:"2..1001" help:"number of preceding states that a cell of a stage may read" paper:"Rule 3, Table 4"`
	MinCells          int      `mapstructure:"min_cells" yaml:"min_cells" range:"0..1000" help:"smallest number of cells of a stage; joint search: 0 keeps all cells" paper:"section 3.2"`
	Shared            bool     `mapstructure:"shared" yaml:"shared" help:"all stages are one DAG (Hs-DAS*)" paper:"Table 3"`
	StagePrimitives   []string `mapstructure:"stage_primitives" yaml:"stage_primitives" help:"candidate operations of a stage's edge" paper:"Rule 1"`
	PartialChannels   int      `mapstructure:"partial_channels" yaml:"partial_channels" range:"1..64" help:"k: only 1/k of a cell's channels goes through the mixed operations (PC-DARTS, arXiv:1907.05737); 1: all"`
	EdgeNormalization bool     `mapstructure:"edge_normalization" yaml:"edge_normalization" help:"parameters for the edges of a node, with a softmax over them (PC-DARTS)"`

	// The loss of the architecture: cross-entropy + delta * depth + gamma * complexity (eq. 6).
	Delta        float64      `mapstructure:"delta" yaml:"delta" range:"[-1e6,1e6]" help:"weight of the depth loss in the loss of the architecture" paper:"eq. 2, 4, 6, Table 5"`
	DepthWeights DepthWeights `mapstructure:"depth_weights" yaml:"depth_weights" help:"weight of an edge in the depth loss: softmax (sum of the softmax over all operations but none), raw (sum of the alphas), edge_softmax (softmax over the edges of a cell)" paper:"eq. 2"`
	Gamma        float64      `mapstructure:"gamma" yaml:"gamma" range:"[-1e6,1e6]" help:"weight of the complexity loss in the loss of the architecture" paper:"eq. 5, 6"`
	Theta        Theta        `mapstructure:"theta" yaml:"theta" help:"cost of a cell in the complexity loss; latency is measured when the search begins" paper:"eq. 5"`

	// The derivation of the genotype.
	Derivation Derivation `mapstructure:"derivation" yaml:"derivation" help:"the genotype is derived by comparing the softmax of the alphas, or the alphas (raw)"`
	MaxSkips   int        `mapstructure:"max_skips" yaml:"max_skips" range:"-1..1000; -1 is any number" help:"largest number of skips in a normal cell (P-DARTS); -1: no limit"`
	Stop       EarlyStop  `mapstructure:"stop" yaml:"stop"`

	Recompute string `mapstructure:"recompute" yaml:"recompute" help:"what is recomputed in the backward pass instead of stored: less memory, more time"`

	Weights SGD  `mapstructure:"weights" yaml:"weights"`
	Alpha   Adam `mapstructure:"alpha" yaml:"alpha"`
}

// EarlyStop ends a search when the curvature of the validation loss with respect to the architecture
// parameters grows fast, which predicts a collapse to skip connections (RobustDARTS, arXiv:1909.09656).
type EarlyStop struct {
	// Ratio is a threshold in [0,1). Let now be the mean of the dominant eigenvalue over the last Window
	// epochs and before that over the Window epochs before. The search ends if before/now < Ratio. The
	// paper uses 0.75. 0: the search does not stop early, and no eigenvalue is computed.
	Ratio  float64 `mapstructure:"ratio" yaml:"ratio" range:"[0,1)" help:"ends the search when the validation loss' curvature grows: if the mean of its largest eigenvalue over stop.window epochs, divided by that over the next ones, is below this (RobustDARTS, arXiv:1909.09656: 0.75); 0: never"`
	Window int     `mapstructure:"window" yaml:"window" range:"1..100000" help:"epochs of that average; the result is the genotype of so many epochs before the last"`
}

// SGD holds the settings of the optimizer of a supernet's weights. The learning rate follows a cosine
// and changes from epoch to epoch.
type SGD struct {
	LR          float64 `mapstructure:"lr" yaml:"lr" range:"(0,1000]" help:"first learning rate of the supernet's weights" paper:"section 6.4"`
	MinLR       float64 `mapstructure:"min_lr" yaml:"min_lr" range:"[0,1000]" help:"last learning rate of the cosine, which changes from epoch to epoch" paper:"section 6.4"`
	Momentum    float64 `mapstructure:"momentum" yaml:"momentum" range:"[0,1)" help:"momentum of SGD" paper:"section 6.4"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay" range:"[0,1000]" help:"weight decay of the supernet's weights" paper:"section 6.4"`
	Clip        float64 `mapstructure:"clip" yaml:"clip" range:"(0,1e12]" help:"largest norm of the gradient of the weights; a larger one is scaled down"`
}

// Adam holds the settings of the optimizer of the architecture parameters. The learning rate is constant.
type Adam struct {
	LR          float64 `mapstructure:"lr" yaml:"lr" range:"(0,1000]" help:"learning rate of the architecture parameters, which is constant" paper:"section 6.4"`
	Beta1       float64 `mapstructure:"beta1" yaml:"beta1" range:"[0,1)" help:"decay of Adam's mean of gradients" paper:"section 6.4"`
	Beta2       float64 `mapstructure:"beta2" yaml:"beta2" range:"[0,1)" help:"decay of Adam's mean of squared gradients" paper:"section 6.4"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay" range:"[0,1000]" help:"weight decay of the architecture parameters" paper:"section 6.4"`
	Warmup      int     `mapstructure:"warmup" yaml:"warmup" range:"0..100000" help:"number of first epochs in which only the weights learn"`
}

// DefaultSearchSection returns the paper's settings of a search of that kind (section 6.4).
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

// Space returns the search space. An error is a fault of one of the settings.
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
	s, err := s.Under(c.Lengths, c.Window, genotype.Candidates{Stage: c.StagePrimitives, MinCells: c.LeastCells(), Shared: c.Shared})
	if err == nil || len(setting.All(err)) > 0 {
		return s, err
	}
	blamed.Err = err // the genotype lacks a cell that the stages need
	return s, &blamed
}

// LeastCells returns the smallest number of cells of a stage, 0 if the number of cells is not searched.
func (c SearchSection) LeastCells() int {
	if c.Kind == DistributionSearch || c.Kind == JointSearch {
		return c.MinCells
	}
	return 0
}
