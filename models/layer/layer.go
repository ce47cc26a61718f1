// Package layer describes layers as data: the names and shapes of their parameters, the shape of
// their output and their cost. It makes no tensor; package models builds modules from it.
package layer

import (
	"fmt"
	"slices"
)

// Shape is the size of one sample: channels, height, width.
type Shape struct{ C, H, W int64 }

// String is "CxHxW".
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.C, s.H, s.W) }

// Cost of a layer for one sample.
type Cost struct {
	Parameters int64 // trainable
	MACs       int64 // multiply-adds of convolutions and linear maps
}

// Add is the sum of both costs.
func (c Cost) Add(d Cost) Cost { return Cost{c.Parameters + d.Parameters, c.MACs + d.MACs} }

// Param is a parameter, or a buffer such as a running mean, with its initial values: uniform in
// (-b, b), b = 1/sqrt(FanIn), as PyTorch initialises convolutions and linear layers; where FanIn is
// 0, Value.
type Param struct {
	Name   string
	Shape  []int64
	FanIn  int64
	Value  float64
	Buffer bool // saved but not trained
}

// Numel is the number of elements.
func (p Param) Numel() int64 {
	n := int64(1)
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Weight is a convolution's kernel (out,in,kh,kw), or a linear map's matrix (out,in).
func Weight(name string, shape ...int64) Param {
	return Param{Name: name, Shape: shape, FanIn: Param{Shape: shape[1:]}.Numel()}
}

// Join puts a place before a name, with a dot between them, as PyTorch does.
func Join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}

// Under returns the parameters with a place before their names.
func Under(place string, params []Param) []Param {
	out := slices.Clone(params)
	for i := range out {
		out[i].Name = Join(place, out[i].Name)
	}
	return out
}

// Parameters is the number of trainable elements.
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
	// Params are its parameters in the order in which PyTorch's state_dict has them.
	Params() []Param
	// Cost is the shape of the output for an input of that shape, and what it takes.
	Cost(in Shape) (Shape, Cost)
}

// Conv is a square convolution without bias and dilation.
type Conv struct{ In, Out, Kernel, Stride, Padding int64 }

// Params is "weight".
func (l Conv) Params() []Param { return []Param{Weight("weight", l.Out, l.In, l.Kernel, l.Kernel)} }

// Cost counts no bias.
func (l Conv) Cost(in Shape) (Shape, Cost) {
	out := Shape{l.Out, windowed(in.H, l.Kernel, l.Stride, l.Padding), windowed(in.W, l.Kernel, l.Stride, l.Padding)}
	weights := Parameters(l.Params())
	return out, Cost{weights, weights * out.H * out.W}
}

func windowed(in, kernel, stride, padding int64) int64 { return (in+2*padding-kernel)/stride + 1 }

// BatchNorm normalises per channel.
type BatchNorm struct {
	C      int64
	Affine bool // with a scale and a shift
}

// Params are "weight" and "bias" where affine, then the buffers "running_mean" and "running_var".
func (l BatchNorm) Params() []Param {
	c := []int64{l.C}
	params := []Param{{Name: "running_mean", Shape: c, Buffer: true}, {Name: "running_var", Shape: c, Value: 1, Buffer: true}}
	if l.Affine {
		params = append([]Param{{Name: "weight", Shape: c, Value: 1}, {Name: "bias", Shape: c}}, params...)
	}
	return params
}

// Cost is the scale and the shift.
func (l BatchNorm) Cost(in Shape) (Shape, Cost) { return in, Cost{Parameters: Parameters(l.Params())} }

// ReLU is max(x, 0).
type ReLU struct{}

// Params are none.
func (ReLU) Params() []Param { return nil }

// Cost is nothing.
func (ReLU) Cost(in Shape) (Shape, Cost) { return in, Cost{} }

// AvgPool is the mean over a square window without padding.
type AvgPool struct{ Kernel, Stride int64 }

// Params are none.
func (AvgPool) Params() []Param { return nil }

// Cost is nothing: poolings are not counted as multiply-adds.
func (l AvgPool) Cost(in Shape) (Shape, Cost) {
	return Shape{in.C, windowed(in.H, l.Kernel, l.Stride, 0), windowed(in.W, l.Kernel, l.Stride, 0)}, Cost{}
}

// Linear is an affine map of all features of a sample.
type Linear struct{ In, Out int64 }

// Params are "weight" and "bias".
func (l Linear) Params() []Param {
	return []Param{Weight("weight", l.Out, l.In), {Name: "bias", Shape: []int64{l.Out}, FanIn: l.In}}
}

// Cost counts the bias as parameters, not as multiply-adds.
func (l Linear) Cost(Shape) (Shape, Cost) {
	return Shape{l.Out, 1, 1}, Cost{Parameters(l.Params()), l.In * l.Out}
}

// Sequence applies its layers one after the other; their parameters are at "0", "1" and so on, as
// in PyTorch's Sequential.
type Sequence []Layer

// Params are those of all layers.
func (l Sequence) Params() []Param {
	var params []Param
	for i, part := range l {
		params = append(params, Under(fmt.Sprint(i), part.Params())...)
	}
	return params
}

// Cost is the sum.
func (l Sequence) Cost(in Shape) (Shape, Cost) {
	var total Cost
	for _, part := range l {
		var c Cost
		in, c = part.Cost(in)
		total = total.Add(c)
	}
	return in, total
}

// Named is a layer at a place in a network's names.
type Named struct {
	Name string
	Layer
}

// Params are the layer's, under the name.
func (l Named) Params() []Param { return Under(l.Name, l.Layer.Params()) }
