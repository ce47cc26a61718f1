// Package ops is the one table of primitives: the operations that an edge of a cell or of a stage
// can be.
package ops

import (
	"fmt"
	"slices"
	"strings"

	"hdas/models/layer"
)

// Spec is the place an operation must fit: (N,C,H,W) to (N,C,H/Stride,W/Stride).
type Spec struct {
	C, Stride int64
	Affine    bool // batch norms have a scale and a shift of their own; off in what is searched
	PoolNorm  bool // a pooling is followed by a batch norm; always on in a mixture
}

// Primitive is all there is to know of one operation.
type Primitive struct {
	New  func(s Spec) layer.Layer
	Null bool // carries nothing: a candidate that is never chosen
	Pool bool // a pooling, which Spec.PoolNorm is about
	Free bool // without weights, so also fit for the edges of a stage (Rule 1)
}

// Names and meanings: DARTS (arXiv:1806.09055), NASNet (arXiv:1707.07012).
var table = map[string]Primitive{
	"none":         {New: func(s Spec) layer.Layer { return layer.Zero{Stride: s.Stride} }, Null: true, Free: true},
	"skip_connect": {New: skip, Free: true},
	"max_pool_3x3": {New: pool(true), Pool: true, Free: true},
	"avg_pool_3x3": {New: pool(false), Pool: true, Free: true},
	"sep_conv_3x3": {New: sepConv(3)},
	"sep_conv_5x5": {New: sepConv(5)},
	"sep_conv_7x7": {New: sepConv(7)},
	"dil_conv_3x3": {New: dilConv(3)},
	"dil_conv_5x5": {New: dilConv(5)},
	"conv_7x1_1x7": {New: conv7x1},
}

// Cell is DARTS' candidates for an edge of a cell, in its order.
var Cell = []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
	"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// Stage is H-DAS' candidates for an edge of a stage (Rule 1).
var Stage = []string{"none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"}

// Get is the primitive of that name. An unknown name is an error that lists the known ones.
func Get(name string) (Primitive, error) {
	p, ok := table[name]
	if !ok {
		return p, fmt.Errorf("operation %q is unknown; known are %s", name, strings.Join(Names(), ", "))
	}
	return p, nil
}

// Names are all primitives, sorted.
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

// IsNull reports whether that operation carries nothing.
func IsNull(name string) bool { return table[name].Null }

// New is the operation at a place.
func New(name string, s Spec) (layer.Layer, error) {
	p, err := Get(name)
	if err != nil {
		return nil, err
	}
	l := p.New(s)
	if p.Pool && s.PoolNorm {
		l = layer.Sequence{l, layer.BatchNorm{C: s.C, Affine: s.Affine}}
	}
	return l, nil
}

// ReLUConvBN is ReLU, a 1x1 convolution and a batch norm: how a cell and a stage read a state.
func ReLUConvBN(in, out int64, affine bool) layer.Layer {
	return op(layer.ReLU{}, layer.Square(in, out, 1, 1, 0), layer.BatchNorm{C: out, Affine: affine})
}

func op(layers ...layer.Layer) layer.Layer {
	return layer.Named{Name: "op", Layer: layer.Sequence(layers)}
}

func skip(s Spec) layer.Layer {
	if s.Stride == 1 {
		return layer.Identity{}
	}
	return layer.FactorizedReduce{In: s.C, Out: s.C, Affine: s.Affine}
}

func pool(largest bool) func(Spec) layer.Layer {
	return func(s Spec) layer.Layer {
		return layer.Pool{Max: largest, Kernel: 3, Stride: s.Stride, Padding: 1}
	}
}

func sepConv(k int64) func(Spec) layer.Layer {
	return func(s Spec) layer.Layer {
		norm, pointwise := layer.BatchNorm{C: s.C, Affine: s.Affine}, layer.Square(s.C, s.C, 1, 1, 0)
		return op(
			layer.ReLU{}, layer.Depthwise(s.C, k, s.Stride, k/2, 1), pointwise, norm,
			layer.ReLU{}, layer.Depthwise(s.C, k, 1, k/2, 1), pointwise, norm)
	}
}

func dilConv(k int64) func(Spec) layer.Layer {
	return func(s Spec) layer.Layer {
		return op(layer.ReLU{}, layer.Depthwise(s.C, k, s.Stride, k-1, 2),
			layer.Square(s.C, s.C, 1, 1, 0), layer.BatchNorm{C: s.C, Affine: s.Affine})
	}
}

func conv7x1(s Spec) layer.Layer {
	return layer.Sequence{layer.ReLU{},
		layer.Conv{In: s.C, Out: s.C, Kernel: [2]int64{1, 7}, Stride: [2]int64{1, s.Stride}, Padding: [2]int64{0, 3}},
		layer.Conv{In: s.C, Out: s.C, Kernel: [2]int64{7, 1}, Stride: [2]int64{s.Stride, 1}, Padding: [2]int64{3, 0}},
		layer.BatchNorm{C: s.C, Affine: s.Affine}}
}
