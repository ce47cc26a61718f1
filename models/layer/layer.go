// Package layer describes layers as data. A layer's module, its parameters' names, the shape of
// its output and its cost all follow from one description, so that a network can be sized without
// making a tensor.
package layer

import (
	"fmt"

	"hdas/torch"
	"hdas/torch/nn"
)

// Shape is the size of one sample: channels, height, width.
type Shape struct{ C, H, W int64 }

// Cost of a layer for one sample.
type Cost struct {
	Parameters int64 // trainable
	MACs       int64 // multiply-adds of convolutions and linear maps
}

// Add is the sum of both costs.
func (c Cost) Add(d Cost) Cost { return Cost{c.Parameters + d.Parameters, c.MACs + d.MACs} }

// Layer is the description of a layer.
type Layer interface {
	// New makes the module, with its parameters at p.
	New(p *nn.Path) nn.Module
	// Cost is the shape of the output for an input of that shape, and what it takes.
	Cost(in Shape) (Shape, Cost)
}

// Conv is a convolution without bias.
type Conv struct {
	In, Out                   int64
	Kernel                    [2]int64 // height, width
	Stride, Padding, Dilation [2]int64 // zero Stride and Dilation mean 1
	Groups                    int64    // zero means 1
}

// Square is a convolution with the same geometry in both directions.
func Square(in, out, kernel, stride, padding int64) Conv {
	return Conv{In: in, Out: out, Kernel: both(kernel), Stride: both(stride), Padding: both(padding)}
}

// Depthwise is a convolution of each channel by itself.
func Depthwise(c, kernel, stride, padding, dilation int64) Conv {
	d := Square(c, c, kernel, stride, padding)
	d.Dilation, d.Groups = both(dilation), c
	return d
}

func both(v int64) [2]int64 { return [2]int64{v, v} }

// New makes "weight".
func (l Conv) New(p *nn.Path) nn.Module { return l.conv(p) }

func (l Conv) conv(p *nn.Path) *nn.Conv2d {
	l = l.defaults()
	return nn.NewConv2d(p, l.In, l.Out, l.Kernel, torch.ConvOptions{
		Stride: l.Stride[:], Padding: l.Padding[:], Dilation: l.Dilation[:], Groups: l.Groups})
}

// Cost counts no bias.
func (l Conv) Cost(in Shape) (Shape, Cost) {
	l = l.defaults()
	out := Shape{l.Out, l.size(in.H, 0), l.size(in.W, 1)}
	weights := l.Out * (l.In / l.Groups) * l.Kernel[0] * l.Kernel[1]
	return out, Cost{weights, weights * out.H * out.W}
}

func (l Conv) size(in int64, d int) int64 {
	return (in+2*l.Padding[d]-l.Dilation[d]*(l.Kernel[d]-1)-1)/l.Stride[d] + 1
}

func (l Conv) defaults() Conv {
	for d := range 2 {
		l.Stride[d], l.Dilation[d] = max(l.Stride[d], 1), max(l.Dilation[d], 1)
	}
	l.Groups = max(l.Groups, 1)
	return l
}

// BatchNorm normalises per channel.
type BatchNorm struct {
	C      int64
	Affine bool // with a scale and a shift of its own
}

// New makes "running_mean", "running_var" and, when affine, "weight" and "bias".
func (l BatchNorm) New(p *nn.Path) nn.Module { return l.norm(p) }

func (l BatchNorm) norm(p *nn.Path) *nn.BatchNorm2d { return nn.NewBatchNorm2d(p, l.C, l.Affine) }

// Cost is the scale and the shift.
func (l BatchNorm) Cost(in Shape) (Shape, Cost) {
	if l.Affine {
		return in, Cost{Parameters: 2 * l.C}
	}
	return in, Cost{}
}

// ReLU is max(x, 0).
type ReLU struct{}

// New has no parameters.
func (ReLU) New(*nn.Path) nn.Module { return nn.ReLU }

// Cost is nothing.
func (ReLU) Cost(in Shape) (Shape, Cost) { return in, Cost{} }

// Identity hands on its input.
type Identity struct{}

// New has no parameters.
func (Identity) New(*nn.Path) nn.Module { return nn.Identity }

// Cost is nothing.
func (Identity) Cost(in Shape) (Shape, Cost) { return in, Cost{} }

// Zero is zeros of the input's size divided by Stride, rounded up.
type Zero struct{ Stride int64 }

// New has no parameters.
func (l Zero) New(*nn.Path) nn.Module {
	return nn.Func(func(x torch.Tensor) torch.Tensor {
		s, _ := l.Cost(Shape{x.Size(1), x.Size(2), x.Size(3)})
		return torch.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, x.Size(0), s.C, s.H, s.W)
	})
}

// Cost is nothing.
func (l Zero) Cost(in Shape) (Shape, Cost) {
	return Shape{in.C, (in.H + l.Stride - 1) / l.Stride, (in.W + l.Stride - 1) / l.Stride}, Cost{}
}

// Pool is a pooling: the maximum, whose padding counts as minus infinity, or the mean, which does
// not count its padding.
type Pool struct {
	Max                     bool
	Kernel, Stride, Padding int64
}

// New has no parameters.
func (l Pool) New(*nn.Path) nn.Module {
	if l.Max {
		return nn.MaxPool(l.Kernel, l.Stride, l.Padding)
	}
	return nn.AvgPool(l.Kernel, l.Stride, l.Padding)
}

// Cost is nothing: poolings are not counted as multiply-adds.
func (l Pool) Cost(in Shape) (Shape, Cost) {
	size := func(n int64) int64 { return (n+2*l.Padding-l.Kernel)/l.Stride + 1 }
	return Shape{in.C, size(in.H), size(in.W)}, Cost{}
}

// GlobalPool is the mean over height and width.
type GlobalPool struct{}

// New has no parameters.
func (GlobalPool) New(*nn.Path) nn.Module { return nn.Func(torch.GlobalAvgPool) }

// Cost is nothing.
func (GlobalPool) Cost(in Shape) (Shape, Cost) { return Shape{in.C, 1, 1}, Cost{} }

// Linear is an affine map of all features of a sample.
type Linear struct{ In, Out int64 }

// New makes "weight" and "bias".
func (l Linear) New(p *nn.Path) nn.Module { return nn.NewLinear(p, l.In, l.Out) }

// Cost counts the bias as parameters, not as multiply-adds.
func (l Linear) Cost(Shape) (Shape, Cost) {
	return Shape{l.Out, 1, 1}, Cost{l.In*l.Out + l.Out, l.In * l.Out}
}

// FactorizedReduce halves height and width: two 1x1 convolutions of half the channels, the second
// one pixel further down and to the right, side by side.
type FactorizedReduce struct {
	In, Out int64
	Affine  bool
}

// New makes "conv_1", "conv_2" and "bn".
func (l FactorizedReduce) New(p *nn.Path) nn.Module {
	first, second, norm := l.parts()
	return &factorizedReduce{first.conv(p.In("conv_1")), second.conv(p.In("conv_2")), norm.norm(p.In("bn"))}
}

func (l FactorizedReduce) parts() (first, second Conv, norm BatchNorm) {
	half := l.Out / 2
	return Square(l.In, half, 1, 2, 0), Square(l.In, l.Out-half, 1, 2, 0), BatchNorm{l.Out, l.Affine}
}

// Cost is that of both convolutions. Height and width must be even.
func (l FactorizedReduce) Cost(in Shape) (Shape, Cost) {
	first, second, norm := l.parts()
	s, a := first.Cost(in)
	_, b := second.Cost(in)
	out, c := norm.Cost(Shape{l.Out, s.H, s.W})
	return out, a.Add(b).Add(c)
}

type factorizedReduce struct {
	first, second *nn.Conv2d
	norm          *nn.BatchNorm2d
}

// Rounds are one, which reads both phases.
func (m *factorizedReduce) Rounds() ([]torch.Round, bool) {
	r := torch.Round{Front: torch.Halve, Kernel: 1, Stride: 2, Dilation: 1, Point: m.first.Weight(), Shifted: m.second.Weight()}
	m.norm.Complete(&r)
	return []torch.Round{r}, true
}

// Forward maps (N,C,H,W) to (N,C',H/2,W/2); H and W must be even.
func (m *factorizedReduce) Forward(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	x = x.ReLU()
	shifted := x.Narrow(2, 1, x.Size(2)-1).Narrow(3, 1, x.Size(3)-1)
	both := []torch.Tensor{m.first.Forward(c, x), m.second.Forward(c, shifted)}
	return m.norm.Forward(c, torch.Cat(both, 1))
}

// Sequence applies its layers one after the other; their parameters are at "0", "1" and so on, as
// in PyTorch's Sequential.
type Sequence []Layer

// New makes the modules.
func (l Sequence) New(p *nn.Path) nn.Module {
	m := make(nn.Sequential, len(l))
	for i, part := range l {
		m[i] = part.New(p.In("%d", i))
	}
	return m
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

// Named puts a layer's parameters one name deeper.
type Named struct {
	Name string
	Layer
}

// New makes the module at p.Name.
func (l Named) New(p *nn.Path) nn.Module { return l.Layer.New(p.In("%s", l.Name)) }

// String is "C x H x W".
func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.C, s.H, s.W) }
