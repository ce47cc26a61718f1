package search

import (
	"slices"

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
	Joint        Kind = "joint"        // cells and stages at once, with min_cells their number too
)

// Kinds are all of them.
var Kinds = []Kind{Cell, Distribution, Stage, Joint}

func (k Kind) cells() bool  { return k == Cell || k == Joint }
func (k Kind) stages() bool { return k != Cell }

// Config is what a search depends on besides its data and the size of its supernet. Idle says
// which settings a search has no use for.
type Config struct {
	Kind   Kind   `mapstructure:"kind" yaml:"kind"`
	Epochs int    `mapstructure:"epochs" yaml:"epochs"`
	Batch  int    `mapstructure:"batch" yaml:"batch"` // samples of each half a step
	Order  string `mapstructure:"order" yaml:"order"` // of the architecture's gradient: first, second
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
	Delta        float64 `mapstructure:"delta" yaml:"delta"`
	DepthWeights string  `mapstructure:"depth_weights" yaml:"depth_weights"` // what an edge carries: softmax, raw, edge_softmax
	Gamma        float64 `mapstructure:"gamma" yaml:"gamma"`
	Theta        string  `mapstructure:"theta" yaml:"theta"` // what a cell costs: one, flops, parameters, latency

	// How the genotype is read off.
	Derivation string `mapstructure:"derivation" yaml:"derivation"` // by the softmax, or by the alphas as they are: softmax, raw
	MaxSkips   int    `mapstructure:"max_skips" yaml:"max_skips"`   // that a normal cell keeps (P-DARTS); -1: any number
	Stop       Stop   `mapstructure:"stop" yaml:"stop"`

	// Recompute is what a cell computes again for its gradient instead of storing it: none, edge, cell.
	Recompute string `mapstructure:"recompute" yaml:"recompute"`

	Weights Weights `mapstructure:"weights" yaml:"weights"`
	Alpha   Alpha   `mapstructure:"alpha" yaml:"alpha"`
}

// Stop ends a search whose validation loss curves ever more sharply in the architecture parameters,
// as those do that collapse to skips (RobustDARTS, arXiv:1909.09656).
type Stop struct {
	// Ratio: it ends where the mean eigenvalue of the Window epochs before the last Window, divided
	// by that of the last Window, is below it; the paper has 0.75. 0: never, and none is computed.
	Ratio  float64 `mapstructure:"ratio" yaml:"ratio"`
	Window int     `mapstructure:"window" yaml:"window"` // epochs; the genotype found is that of so many before the last
}

// Weights is how the weights learn: SGD, its rate along a cosine, epoch by epoch.
type Weights struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	MinLR       float64 `mapstructure:"min_lr" yaml:"min_lr"`
	Momentum    float64 `mapstructure:"momentum" yaml:"momentum"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Clip        float64 `mapstructure:"clip" yaml:"clip"` // largest norm of the gradient
}

// Alpha is how the architecture parameters learn: Adam at a constant rate.
type Alpha struct {
	LR          float64 `mapstructure:"lr" yaml:"lr"`
	Beta1       float64 `mapstructure:"beta1" yaml:"beta1"`
	Beta2       float64 `mapstructure:"beta2" yaml:"beta2"`
	WeightDecay float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Warmup      int     `mapstructure:"warmup" yaml:"warmup"` // epochs at the start in which only the weights learn
}

// Default is the paper's setting of a search (section 6.4).
func Default(k Kind) Config {
	c := Config{
		Kind: k, Epochs: 50, Batch: 64, Order: OrderFirst, Recompute: "none",
		StageSpecific: k == Cell, Nodes: 4, CellPrimitives: slices.Clone(ops.Cell),
		Cells: "DARTS_V1", Lengths: []int{6, 6, 6}, Window: 3, StagePrimitives: slices.Clone(ops.Stage),
		PartialChannels: 1,
		Delta:           1, DepthWeights: Softmax, Gamma: 0.4, Theta: ThetaOne,
		Derivation: Softmax, MaxSkips: -1, Stop: Stop{Window: 5},
		Weights: Weights{LR: 0.025, MinLR: 0.001, Momentum: 0.9, WeightDecay: 2.7e-3, Clip: 5},
		Alpha:   Alpha{LR: 3e-4, Beta1: 0.5, Beta2: 0.999, WeightDecay: 1e-3},
	}
	if k == Distribution {
		c.Lengths, c.MinCells = []int{8, 8, 8}, 4
	}
	return c
}

// Space is what the search may find.
func (c Config) Space() (space.Space, error) {
	var s space.Space
	if c.Kind.cells() {
		s = space.Cells(space.ChainCells(c.StageSpecific), c.Nodes, c.CellPrimitives)
		s.PartialChannels = int64(c.PartialChannels)
	} else {
		cells, err := genotype.Load(c.Cells)
		if err != nil {
			return s, err
		}
		s = space.Fixed(cells)
	}
	if !c.Kind.stages() {
		return s, nil
	}
	return s.Under(c.Lengths, c.Window, genotype.Candidates{Stage: c.StagePrimitives, MinCells: c.least(), Shared: c.Shared})
}

// least is how many cells a stage keeps at least, 0 where their number is not searched.
func (c Config) least() int {
	if c.Kind == Distribution || c.Kind == Joint {
		return c.MinCells
	}
	return 0
}
