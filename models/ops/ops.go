// Package ops is the one table of primitives: the operations that an edge of a cell or of a stage
// can be. A row of the table says everything about its operation; it makes no tensor.
package ops

import (
	"fmt"
	"slices"
	"strings"

	"hdas/torch/kernel"
)

// Spec is the place an operation must fit: (N,C,H,W) to (N,C,H/Stride,W/Stride).
type Spec struct {
	C, Stride int64
	Affine    bool // batch norms have a scale and a shift; off in what is searched
	PoolNorm  bool // a pooling is followed by a batch norm; always on in a mixture
}

// Primitive describes one operation. Its cost and its parameters follow from its rounds.
type Primitive struct {
	Rounds func(s Spec) Rounds // how it is computed; none: it hands its input on
	Null   bool                // outputs zeros: a candidate that is never chosen
	Skip   bool                // a skip connection, of which a search may limit the number
	NoDrop bool                // drop path leaves it alone where it hands its input on
	Free   bool                // without convolutions, so also fit for the edges of a stage (Rule 1)
}

// Names and meanings: DARTS (arXiv:1806.09055), NASNet (arXiv:1707.07012).
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

// Cell lists DARTS' candidates for an edge of a cell, in its order.
var Cell = []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
	"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// Stage lists H-DAS' candidates for an edge of a stage (Rule 1).
var Stage = []string{"none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"}

// Get returns the primitive of that name. An unknown name is an error that lists the known ones.
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

// InCell reports whether an edge of a cell can be that operation.
func InCell(name string) bool { _, ok := table[name]; return ok }

// InStage reports whether an edge of a stage can be that operation.
func InStage(name string) bool { return table[name].Free }

// IsNull reports whether that operation outputs zeros.
func IsNull(name string) bool { return table[name].Null }

// IsSkip reports whether that operation is a skip connection.
func IsSkip(name string) bool { return table[name].Skip }

// New returns how the operation of that name is computed at a place.
func New(name string, s Spec) (Rounds, error) {
	p, err := Get(name)
	if err != nil {
		return nil, err
	}
	return p.Rounds(s), nil
}

// The rounds of the table, with the names that DARTS' modules give to their parameters.

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

// ReLUConvBN is ReLU, a 1x1 convolution and a batch norm: how a cell and a stage read a state.
func ReLUConvBN(in, out int64, affine bool) Rounds {
	r := Round{Round: kernel.Round{ReLU: true, Window: kernel.Point, Kernel: both(1), Stride: both(1), Dilation: both(1), In: in, Out: out}, Places: Places{PointAt: "op.1"}}
	return Rounds{r.norm("op.2", affine)}
}

// FactorizedReduce halves height and width: two 1x1 convolutions of half the channels, the second
// one pixel further down and to the right, side by side.
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
