package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
)

// Kind says what is searched.
type Kind string

// The searches of the paper.
const (
	Cell         Kind = "cell"         // Hc-DAS: the cells of a chain
	Distribution Kind = "distribution" // Hs-DAS, first: how many cells each stage has
	Stage        Kind = "stage"        // Hs-DAS, second: the connections of each stage's cells
)

// Kinds are all of them.
var Kinds = []Kind{Cell, Distribution, Stage}

// Config is what a search depends on besides its data and the size of its supernet.
type Config struct {
	Kind   Kind `mapstructure:"kind" yaml:"kind"`
	Epochs int  `mapstructure:"epochs" yaml:"epochs"`
	Batch  int  `mapstructure:"batch" yaml:"batch"` // samples of each half a step

	// What may be found.
	StageSpecific   bool     `mapstructure:"stage_specific" yaml:"stage_specific"`     // cell: normal1 reduce1 normal2 reduce2 normal3 (Hc-DAS), else normal reduce (DARTS)
	Nodes           int      `mapstructure:"nodes" yaml:"nodes"`                       // cell: nodes of a cell
	CellPrimitives  []string `mapstructure:"cell_primitives" yaml:"cell_primitives"`   // cell: candidate operations
	Cells           string   `mapstructure:"cells" yaml:"cells"`                       // others: the genotype whose cells are used, a name or a file
	Lengths         []int    `mapstructure:"lengths" yaml:"lengths"`                   // others: cells of each stage
	Window          int      `mapstructure:"window" yaml:"window"`                     // others: how many states before it a cell may read (Rule 3)
	MinCells        int      `mapstructure:"min_cells" yaml:"min_cells"`               // distribution: the least a stage keeps
	StagePrimitives []string `mapstructure:"stage_primitives" yaml:"stage_primitives"` // others: candidate operations

	// The loss of the architecture: cross-entropy + delta * depth + gamma * complexity (eq. 6).
	Delta float64 `mapstructure:"delta" yaml:"delta"` // others
	Gamma float64 `mapstructure:"gamma" yaml:"gamma"` // distribution
	Theta string  `mapstructure:"theta" yaml:"theta"` // distribution: what a cell costs: one, flops, parameters

	Weights Weights `mapstructure:"weights" yaml:"weights"`
	Alpha   Alpha   `mapstructure:"alpha" yaml:"alpha"`
}

// Weights is how the weights learn: SGD, its rate along a cosine, epoch by epoch.
type Weights struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	MinLR       float64 `mapstructure:"min_lr" yaml:"min_lr"`
	Momentum    float64 `mapstructure:"momentum" yaml:"momentum"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Clip        float64 `mapstructure:"clip" yaml:"clip"` // largest norm of the gradient
}

// Alpha is how alphas and betas learn: Adam at a constant rate.
type Alpha struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	Beta1       float64 `mapstructure:"beta1" yaml:"beta1"`
	Beta2       float64 `mapstructure:"beta2" yaml:"beta2"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
}

// Default is the paper's setting of a search (section 6.4).
func Default(k Kind) Config {
	c := Config{
		Kind: k, Epochs: 50, Batch: 64,
		StageSpecific: true, Nodes: 4, CellPrimitives: slices.Clone(ops.Cell),
		Cells: "DARTS_V1", Lengths: []int{6, 6, 6}, Window: 3, MinCells: 4, StagePrimitives: slices.Clone(ops.Stage),
		Delta: 1, Gamma: 0.4, Theta: ThetaOne,
		Weights: Weights{LR: 0.025, MinLR: 0.001, Momentum: 0.9, WeightDecay: 2.7e-3, Clip: 5},
		Alpha:   Alpha{LR: 3e-4, Beta1: 0.5, Beta2: 0.999, WeightDecay: 1e-3},
	}
	if k == Distribution {
		c.Lengths = []int{8, 8, 8}
	}
	return c
}

// Validate names every impossible value.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(Kinds, c.Kind), "kind %q is unknown; known are %v", c.Kind, Kinds)
	check(c.Epochs >= 1, "epochs %d is not at least 1", c.Epochs)
	check(c.Batch >= 2, "batch %d is not at least 2, which batch norm needs", c.Batch)
	check(c.Weights.LR > 0 && c.Weights.MinLR >= 0 && c.Weights.MinLR <= c.Weights.LR, "weights.lr %v and weights.min_lr %v are not 0 <= min_lr <= lr, lr > 0", c.Weights.LR, c.Weights.MinLR)
	check(c.Weights.Momentum >= 0 && c.Weights.Momentum < 1, "weights.momentum %v is not in [0,1)", c.Weights.Momentum)
	check(c.Weights.WeightDecay >= 0 && c.Alpha.WeightDecay >= 0, "weight_decay is negative")
	check(c.Weights.Clip > 0, "weights.clip %v is not positive", c.Weights.Clip)
	check(c.Alpha.LR > 0, "alpha.lr %v is not positive", c.Alpha.LR)
	check(c.Alpha.Beta1 >= 0 && c.Alpha.Beta1 < 1 && c.Alpha.Beta2 >= 0 && c.Alpha.Beta2 < 1, "alpha.beta1 %v or alpha.beta2 %v is not in [0,1)", c.Alpha.Beta1, c.Alpha.Beta2)
	candidates := func(name string, list []string, fits func(string) bool) {
		carries := false
		for i, op := range list {
			check(fits(op), "%s holds %q; known are %s", name, op, strings.Join(slices.DeleteFunc(ops.Names(), func(n string) bool { return !fits(n) }), ", "))
			check(!slices.Contains(list[:i], op), "%s holds %q twice", name, op)
			carries = carries || fits(op) && !ops.IsNull(op)
		}
		check(carries, "%s %v holds nothing that carries data", name, list)
	}
	if c.Kind == Cell {
		check(c.Nodes >= 1 && c.Nodes <= 16, "nodes %d is not in 1..16", c.Nodes)
		candidates("cell_primitives", c.CellPrimitives, ops.InCell)
		return errors.Join(faults...)
	}
	candidates("stage_primitives", c.StagePrimitives, ops.InStage)
	check(len(c.Lengths) >= 2, "lengths %v are not at least two stages", c.Lengths)
	if c.Kind == Distribution {
		check(slices.Contains([]string{ThetaOne, ThetaFLOPs, ThetaParameters}, c.Theta), "theta %q is unknown; known are %s, %s, %s", c.Theta, ThetaOne, ThetaFLOPs, ThetaParameters)
	}
	if len(faults) == 0 { // the rest is the space's to say
		_, err := c.Space()
		check(err == nil, "%v", err)
	}
	return errors.Join(faults...)
}

// Space is what the search may find.
func (c Config) Space() (space.Space, error) {
	if c.Kind == Cell {
		return space.Cells(space.ChainCells(c.StageSpecific), c.Nodes, c.CellPrimitives), nil
	}
	cells, err := genotype.Load(c.Cells)
	if err != nil {
		return space.Space{}, err
	}
	if c.Kind == Distribution {
		return space.Distribution(cells, c.Lengths, c.MinCells, c.Window, c.StagePrimitives)
	}
	return space.Stages(cells, c.Lengths, c.Window, c.StagePrimitives)
}

// undecided is what a plan has to know of a space.
func undecided(s space.Space) models.Search {
	return models.Search{Cell: s.Cell, Stage: s.Stage, MinCells: s.MinCells}
}
