package nn

import "hdas/torch"

// Ctx is all that a forward pass may depend on besides its input.
type Ctx struct {
	Train    bool    // batch statistics and drop path on
	DropPath float64 // probability in [0,1) that an edge's output is zeroed, per sample
	// Recompute says what a cell computes again for its gradient instead of storing it.
	Recompute torch.Recompute
	// Autocast is the type that a network's convolutions are computed in; Float32: its weights'.
	Autocast torch.DType
}

// Module maps images or features (N,C,H,W) to others.
type Module interface {
	Forward(c *Ctx, x torch.Tensor) torch.Tensor
}

// Func is a module without parameters.
type Func func(x torch.Tensor) torch.Tensor

// Forward is f(x).
func (f Func) Forward(_ *Ctx, x torch.Tensor) torch.Tensor { return f(x) }

// ReLU is max(x, 0).
var ReLU relu

type relu struct{}

func (relu) Forward(_ *Ctx, x torch.Tensor) torch.Tensor { return x.ReLU() }

// Identity hands on its input.
var Identity identity

type identity struct{}

func (identity) Forward(_ *Ctx, x torch.Tensor) torch.Tensor { return x }

// Sequential applies its modules one after the other.
type Sequential []Module

// Forward is the last module's output.
func (s Sequential) Forward(c *Ctx, x torch.Tensor) torch.Tensor {
	for _, m := range s {
		x = m.Forward(c, x)
	}
	return x
}

// Conv2d is a convolution without bias.
type Conv2d struct {
	weight  torch.Tensor
	options torch.ConvOptions
}

// NewConv2d makes a convolution from in to out channels with kernel (kh,kw), and its "weight".
func NewConv2d(p *Path, in, out int64, kernel [2]int64, o torch.ConvOptions) *Conv2d {
	in /= max(o.Groups, 1)
	fanIn := in * kernel[0] * kernel[1]
	return &Conv2d{p.Weight("weight", FanIn(fanIn), out, in, kernel[0], kernel[1]), o}
}

// Forward maps (N,in,H,W) to (N,out,H',W').
func (l *Conv2d) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.Conv2d(x, l.weight, torch.Tensor{}, l.options)
}

// Weight is the kernel (out,in,kh,kw).
func (l *Conv2d) Weight() torch.Tensor { return l.weight }

// pointwise reports whether the kernel is 1x1, with stride 1.
func (l *Conv2d) pointwise() bool {
	shape, one := l.weight.Shape(), func(v []int64) bool { return v == nil || v[0] == 1 && v[1] == 1 }
	return shape[2] == 1 && shape[3] == 1 && one(l.options.Stride) && l.options.Groups <= 1 &&
		(l.options.Padding == nil || l.options.Padding[0] == 0 && l.options.Padding[1] == 0)
}

// depthwise is the convolution as the window of a round, if it keeps to one channel each, with the
// same geometry in both directions.
func (l *Conv2d) depthwise() (r torch.Round, ok bool) {
	shape, o := l.weight.Shape(), l.options
	if shape[2] == 1 || shape[0] != max(o.Groups, 1) || shape[1] != 1 || shape[2] != shape[3] {
		return r, false
	}
	for _, v := range [][]int64{o.Stride, o.Padding, o.Dilation} {
		if len(v) != 2 || v[0] != v[1] {
			return r, false
		}
	}
	return torch.Round{Front: torch.Depthwise, Kernel: shape[2], Stride: o.Stride[0], Padding: o.Padding[0], Dilation: o.Dilation[0], Window: l.weight}, true
}

// BatchNorm2d normalises per channel, with momentum 0.1 and eps 1e-5.
type BatchNorm2d struct {
	weight, bias, mean, variance torch.Tensor
}

// NewBatchNorm2d makes a batch norm over that many channels, with a scale and a shift of its own
// when affine.
func NewBatchNorm2d(p *Path, channels int64, affine bool) *BatchNorm2d {
	var l BatchNorm2d
	if affine {
		l.weight = p.Weight("weight", Constant(1), channels)
		l.bias = p.Weight("bias", Constant(0), channels)
	}
	l.mean = p.Buffer("running_mean", Constant(0), channels)
	l.variance = p.Buffer("running_var", Constant(1), channels)
	return &l
}

// Forward keeps the shape. While training it uses, and lets the running statistics follow, the
// batch's.
func (l *BatchNorm2d) Forward(c *Ctx, x torch.Tensor) torch.Tensor {
	return torch.BatchNorm(x, l.weight, l.bias, l.mean, l.variance, c.Train, 0.1, 1e-5)
}

// Linear is an affine map.
type Linear struct{ weight, bias torch.Tensor }

// NewLinear makes an affine map from in to out features.
func NewLinear(p *Path, in, out int64) *Linear {
	return &Linear{p.Weight("weight", FanIn(in), out, in), p.Weight("bias", FanIn(in), out)}
}

// Forward maps (N,in,...), flattened behind N, to (N,out).
func (l *Linear) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.Linear(x.Reshape(x.Size(0), -1), l.weight, l.bias)
}

// MaxPool is a max pooling whose padding counts as minus infinity.
func MaxPool(kernel, stride, padding int64) Module { return pool{true, kernel, stride, padding} }

// AvgPool is a mean pooling that does not count its padding.
func AvgPool(kernel, stride, padding int64) Module { return pool{false, kernel, stride, padding} }

type pool struct {
	largest                 bool
	kernel, stride, padding int64
}

func (l pool) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	if l.largest {
		return torch.MaxPool2d(x, l.kernel, l.stride, l.padding)
	}
	return torch.AvgPool2d(x, l.kernel, l.stride, l.padding)
}

// DropPath zeroes whole samples of x (N,C,H,W) with probability c.DropPath and divides the others
// by 1 - c.DropPath, while training; else it is x.
func DropPath(c *Ctx, x torch.Tensor) torch.Tensor {
	if keep := KeepPath(c, x.Size(0), torch.Options{DType: x.DType(), Device: x.Device()}); keep.Defined() {
		return x.Mul(keep)
	}
	return x
}

// KeepPath draws what DropPath multiplies n samples by, (n,1,1,1); undefined where that is nothing.
func KeepPath(c *Ctx, n int64, o torch.Options) torch.Tensor {
	if !c.Train || c.DropPath == 0 {
		return torch.Tensor{}
	}
	keep := 1 - c.DropPath
	return torch.Zeros(o, n, 1, 1, 1).Bernoulli_(keep).MulScalar_(1 / keep)
}
