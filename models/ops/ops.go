// Package ops holds the table of primitives: the operations that an edge of a cell or of a stage can
// have. A row of the table describes its operation completely. To add an operation, add a row. The
// package makes no tensors.
package ops

import (
	"fmt"
	"slices"
	"strings"

	"hdas/torch/kernel"
)

// Spec describes what an operation must do at its place in a network: map (N,C,H,W) to
// (N,C,H/Stride,W/Stride).
type Spec struct {
	C, Stride int64
	Affine    bool // batch norms have a scale and a shift; false in cells and stages that are searched
	PoolNorm  bool // a batch norm follows a pooling; always true in a mixture of candidates
}

// Primitive describes one operation. Its cost and its parameters follow from its rounds.
type Primitive struct {
	Rounds func(s Spec) Rounds // returns how the operation is computed; no rounds mean the identity
	Null   bool                // outputs zeros, and is never chosen by a search
	Skip   bool                // is a skip connection, whose number a search can limit
	NoDrop bool                // drop path does not act on it where it is the identity
	Free   bool                // has no convolutions at stride 1, so edges of stages may have it (H-DAS Rule 1)
}

// The names and their meanings are from DARTS (arXiv:1806.09055) and NASNet (arXiv:1707.07012).
var table = map[string]Primitive{
	"none":         {Rounds: zero, Null: true, Free: true},
	"skip_connect": {Rounds: skip, Skip: true, NoDrop: true, Free: true},
	"max_pool_3x3": {Rounds: pool(kernel.MaxPool), Free: true},
	"avg_pool_3x3": {Rounds: pool(kernel.AvgPool), Free: true},
	"sep_conv_3x3": {Rounds: sepConv(3)},
	"sep_conv_5x5": {Rounds: sepConv(5)},
	"sep_conv_7x7": {Rounds: sepConv(7)},
	"dil_conv_3x3": {Rounds: dilConv(3)},
	"dil_conv_5x5": {Rounds: dilConv(5)},
	"conv_7x1_1x7": {Rounds: conv7x1},
}

// Cell lists the candidates of DARTS for an edge of a cell, in the order of DARTS.
var Cell = []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
	"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// Stage lists the candidates of H-DAS for an edge of a stage (Rule 1).
var Stage = []string{"none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"}

// Get returns the primitive with the given name. For an unknown name it returns an error that lists the
// known ones.
func Get(name string) (Primitive, error) {
	p, ok := table[name]
	if !ok {
		return p, fmt.Errorf("operation %q is unknown; known are %s", name, strings.Join(Names(), ", "))
	}
	return p, nil
}

// Names returns the names of all primitives, sorted.
func Names() []string {
	var names []string
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// InCell reports whether an edge of a cell can have the named operation.
func InCell(name string) bool { _, ok := table[name]; return ok }

// InStage reports whether an edge of a stage can have the named operation.
func InStage(name string) bool { return table[name].Free }

// IsNull reports whether the named operation outputs zeros.
func IsNull(name string) bool { return table[name].Null }

// IsSkip reports whether the named operation is a skip connection.
func IsSkip(name string) bool { return table[name].Skip }

// New returns the rounds of the named operation for s, or an error if the name is unknown.
func New(name string, s Spec) (Rounds, error) {
	p, err := Get(name)
	if err != nil {
		return nil, err
	}
	return p.Rounds(s), nil
}

// The functions below return the rounds of the table's operations. Parameters have the names of the
// modules in DARTS.

func zero(s Spec) Rounds {
	return Rounds{{Round: kernel.Round{Window: kernel.Zero, Kernel: both(1), Stride: both(s.Stride), Dilation: both(1), In: s.C, Out: s.C}}}
}

func skip(s Spec) Rounds {
	if s.Stride == 1 {
		return nil
	}
	return FactorizedReduce(s.C, s.C, s.Affine)
}

func pool(window kernel.Window) func(Spec) Rounds {
	return func(s Spec) Rounds {
		r := Round{Round: kernel.Round{Window: window, Kernel: both(3), Stride: both(s.Stride), Padding: both(1), Dilation: both(1), In: s.C, Out: s.C}}
		if s.PoolNorm {
			r = r.norm("1", s.Affine)
		}
		return Rounds{r}
	}
}

func sepConv(k int64) func(Spec) Rounds {
	return func(s Spec) Rounds {
		return Rounds{
			depthwise(s.C, k, s.Stride, k/2, 1, "op.1", "op.2").norm("op.3", s.Affine),
			depthwise(s.C, k, 1, k/2, 1, "op.5", "op.6").norm("op.7", s.Affine)}
	}
}

func dilConv(k int64) func(Spec) Rounds {
	return func(s Spec) Rounds {
		return Rounds{depthwise(s.C, k, s.Stride, k-1, 2, "op.1", "op.2").norm("op.3", s.Affine)}
	}
}

func conv7x1(s Spec) Rounds {
	dense := func(name string, k, stride [2]int64) Round {
		return Round{Round: kernel.Round{Window: kernel.Dense, Kernel: k, Stride: stride, Padding: [2]int64{k[0] / 2, k[1] / 2}, Dilation: both(1),
			In: s.C, Out: s.C}, Places: Places{WindowAt: name}}
	}
	first, second := dense("1", [2]int64{1, 7}, [2]int64{1, s.Stride}), dense("2", [2]int64{7, 1}, [2]int64{s.Stride, 1})
	first.ReLU = true
	return Rounds{first, second.norm("3", s.Affine)}
}

// ReLUConvBN returns a ReLU, a 1x1 convolution and a batch norm: the preprocessing of the inputs of
// cells and stages.
func ReLUConvBN(in, out int64, affine bool) Rounds {
	r := Round{Round: kernel.Round{ReLU: true, Window: kernel.Point, Kernel: both(1), Stride: both(1), Dilation: both(1), In: in, Out: out}, Places: Places{PointAt: "op.1"}}
	return Rounds{r.norm("op.2", affine)}
}

// FactorizedReduce returns a ReLU, a convolution that halves height and width, and a batch norm. The
// convolution is the concatenation of two 1x1 convolutions with stride 2, each to half of the output
// channels. The second one reads its pixels one further down and to the right.
func FactorizedReduce(in, out int64, affine bool) Rounds {
	r := Round{Round: kernel.Round{ReLU: true, Window: kernel.Halve, Kernel: both(1), Stride: both(2), Dilation: both(1), In: in, Out: out},
		Places: Places{PointAt: "conv_1", ShiftedAt: "conv_2"}}
	return Rounds{r.norm("bn", affine)}
}

func depthwise(c, k, stride, padding, dilation int64, window, point string) Round {
	return Round{Round: kernel.Round{ReLU: true, Window: kernel.Depthwise, Kernel: both(k), Stride: both(stride), Padding: both(padding), Dilation: both(dilation), In: c, Out: c},
		Places: Places{WindowAt: window, PointAt: point}}
}

func both(v int64) [2]int64 { return [2]int64{v, v} }
