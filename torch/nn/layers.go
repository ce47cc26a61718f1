package nn

import "hdas/torch"

// Ctx is all that a forward pass may depend on besides its input.
type Ctx struct {
	Train    bool    // batch statistics and drop path on
	DropPath float64 // probability in [0,1) that an edge's output is zeroed, per sample
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
var ReLU = Func(torch.Tensor.ReLU)

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
func MaxPool(kernel, stride, padding int64) Module {
	return Func(func(x torch.Tensor) torch.Tensor { return torch.MaxPool2d(x, kernel, stride, padding) })
}

// AvgPool is a mean pooling that does not count its padding.
func AvgPool(kernel, stride, padding int64) Module {
	return Func(func(x torch.Tensor) torch.Tensor { return torch.AvgPool2d(x, kernel, stride, padding) })
}

// DropPath zeroes whole samples of x (N,C,H,W) with probability c.DropPath and divides the others
// by 1 - c.DropPath, while training; else it is x.
func DropPath(c *Ctx, x torch.Tensor) torch.Tensor {
	if !c.Train || c.DropPath == 0 {
		return x
	}
	keep := 1 - c.DropPath
	mask := torch.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, x.Size(0), 1, 1, 1)
	return x.Mul(mask.Bernoulli_(keep).MulScalar_(1 / keep))
}
