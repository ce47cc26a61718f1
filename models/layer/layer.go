// Package layer describes layers as data: the names and shapes of their parameters, the shape of their
// output, and their cost. It makes no tensors; package models builds modules from these descriptions.
package layer

import (
	"fmt"
	"math"
	"slices"
)

// Shape is the size of one sample: channels, height, width.
type Shape struct{ C, H, W int64 }

// String returns the shape as "CxHxW".
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.C, s.H, s.W) }

// Cost is the size of a layer and its amount of computation for one sample.
type Cost struct {
	Parameters int64 // number of trainable elements
	MACs       int64 // number of multiply-adds in convolutions and fully connected layers
}

// Add returns the sum of both costs; a sum that does not fit into 64 bits is math.MaxInt64.
func (c Cost) Add(d Cost) Cost { return Cost{sum(c.Parameters, d.Parameters), sum(c.MACs, d.MACs)} }

func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Param describes a parameter, or a buffer such as a running mean, and its initial values. If FanIn is
// not 0, they are uniform in (-b, b) with b = 1/sqrt(FanIn), PyTorch's default for convolutions and
// linear layers. Otherwise all are Value.
type Param struct {
	Name   string
	Shape  []int64
	FanIn  int64
	Value  float64
	Buffer bool // saved but not trained
}

// Numel returns the number of elements.
func (p Param) Numel() int64 {
	n := int64(1)
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Weight returns the description of a convolution's weight (out,in,kh,kw) or of a fully connected
// layer's weight (out,in).
func Weight(name string, shape ...int64) Param {
	return Param{Name: name, Shape: shape, FanIn: Param{Shape: shape[1:]}.Numel()}
}

// Join returns the prefix place and the name, joined by a dot as in PyTorch; the name alone if place is
// empty.
func Join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}

// Under returns a copy of params whose names have the prefix place.
func Under(place string, params []Param) []Param {
	out := slices.Clone(params)
	for i := range out {
		out[i].Name = Join(place, out[i].Name)
	}
	return out
}

// Parameters returns the number of trainable elements of params.
func Parameters(params []Param) int64 {
	var n int64
	for _, p := range params {
		if !p.Buffer {
			n += p.Numel()
		}
	}
	return n
}

// Layer is the description of a layer.
type Layer interface {
	// Params returns the layer's parameters and buffers, in the order of PyTorch's state_dict.
	Params() []Param
	// Cost returns the shape of the output for an input of that shape, and the layer's cost.
	Cost(in Shape) (Shape, Cost)
}

// Conv is a convolution with a square kernel, without bias and dilation.
type Conv struct{ In, Out, Kernel, Stride, Padding int64 }

// Params returns "weight".
func (l Conv) Params() []Param { return []Param{Weight("weight", l.Out, l.In, l.Kernel, l.Kernel)} }

// Cost returns the output's shape and the cost.
func (l Conv) Cost(in Shape) (Shape, Cost) {
	out := Shape{l.Out, windowed(in.H, l.Kernel, l.Stride, l.Padding), windowed(in.W, l.Kernel, l.Stride, l.Padding)}
	weights := Parameters(l.Params())
	return out, Cost{weights, weights * out.H * out.W}
}

func windowed(in, kernel, stride, padding int64) int64 { return (in+2*padding-kernel)/stride + 1 }

// BatchNorm is a batch norm with per-channel statistics.
type BatchNorm struct {
	C      int64
	Affine bool // with a scale and a shift
}

// Params returns "weight" and "bias" if l.Affine, then the buffers "running_mean" and "running_var".
func (l BatchNorm) Params() []Param {
	c := []int64{l.C}
	params := []Param{{Name: "running_mean", Shape: c, Buffer: true}, {Name: "running_var", Shape: c, Value: 1, Buffer: true}}
	if l.Affine {
		params = append([]Param{{Name: "weight", Shape: c, Value: 1}, {Name: "bias", Shape: c}}, params...)
	}
	return params
}

// Cost returns the same shape; the cost is the parameters alone, without multiply-adds.
func (l BatchNorm) Cost(in Shape) (Shape, Cost) { return in, Cost{Parameters: Parameters(l.Params())} }

// ReLU returns max(x, 0).
type ReLU struct{}

// Params returns nil.
func (ReLU) Params() []Param { return nil }

// Cost returns the same shape and no cost.
func (ReLU) Cost(in Shape) (Shape, Cost) { return in, Cost{} }

// AvgPool is average pooling over square windows without padding.
type AvgPool struct{ Kernel, Stride int64 }

// Params returns nil.
func (AvgPool) Params() []Param { return nil }

// Cost returns the output's shape and no cost: the additions of a pooling are not multiply-adds.
func (l AvgPool) Cost(in Shape) (Shape, Cost) {
	return Shape{in.C, windowed(in.H, l.Kernel, l.Stride, 0), windowed(in.W, l.Kernel, l.Stride, 0)}, Cost{}
}

// Linear is a fully connected layer, with bias, of all features of a sample.
type Linear struct{ In, Out int64 }

// Params returns "weight" and "bias".
func (l Linear) Params() []Param {
	return []Param{Weight("weight", l.Out, l.In), {Name: "bias", Shape: []int64{l.Out}, FanIn: l.In}}
}

// Cost returns the output's shape and the cost. The bias counts as parameters but not as multiply-adds.
func (l Linear) Cost(Shape) (Shape, Cost) {
	return Shape{l.Out, 1, 1}, Cost{Parameters(l.Params()), l.In * l.Out}
}

// Sequence applies its layers in order. The names of their parameters have the prefixes "0", "1" and so
// on, as in PyTorch's Sequential.
type Sequence []Layer

// Params returns the parameters of all layers.
func (l Sequence) Params() []Param {
	var params []Param
	for i, part := range l {
		params = append(params, Under(fmt.Sprint(i), part.Params())...)
	}
	return params
}

// Cost returns the shape of the last output and the sum of the costs.
func (l Sequence) Cost(in Shape) (Shape, Cost) {
	var total Cost
	for _, part := range l {
		var c Cost
		in, c = part.Cost(in)
		total = total.Add(c)
	}
	return in, total
}

// Named is a layer with the prefix that its parameters have in the network.
type Named struct {
	Name string
	Layer
}

// Params returns the layer's parameters with the prefix l.Name.
func (l Named) Params() []Param { return Under(l.Name, l.Layer.Params()) }
