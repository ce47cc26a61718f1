package nn

import (
	"hdas/torch"
	"hdas/torch/kernel"
)

// Ctx is all that a forward pass may depend on besides its input. It is not changed once made.
type Ctx struct {
	Train    bool    // batch statistics and drop path on
	DropPath float64 // probability in [0,1) that an edge's output is zeroed, per sample
	// Mix is what the architecture's parameters weigh in this pass; nil in a derived network.
	Mix *Mix
	// Recompute says what a cell computes again for its gradient instead of storing it.
	Recompute kernel.Recompute
	// Path says what code computes a cell.
	Path kernel.Path
	// Autocast is the type that a network's convolutions are computed in; Float32: its weights'.
	Autocast torch.DType
}

// Norm returns which statistics batch norms use.
func (c *Ctx) Norm() kernel.Norm {
	if c.Train {
		return kernel.BatchStatistics
	}
	return kernel.RunningStatistics
}

// Mix holds the weights of a supernet's mixtures for one pass, by the name of their DAG.
type Mix struct {
	Alpha map[string]torch.Tensor // (edges, operations): the factor of every candidate
	Edge  map[string]torch.Tensor // (edges): the factor of what passes a mixture by (PC-DARTS); empty without
	Beta  map[string]torch.Tensor // (outputs): the factor of every candidate output of a stage
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
	Weight  torch.Tensor // (K,C/groups,kh,kw)
	Options torch.ConvOptions
}

// Forward maps (N,C,H,W) to (N,K,H',W').
func (l Conv2d) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.Conv2d(x, l.Weight, torch.Tensor{}, l.Options)
}

// BatchNorm2d normalises per channel, with momentum 0.1 and eps 1e-5. Weight and Bias may be
// undefined.
type BatchNorm2d struct{ Weight, Bias, Mean, Var torch.Tensor }

// Forward keeps the shape. By batch statistics the running ones follow.
func (l BatchNorm2d) Forward(c *Ctx, x torch.Tensor) torch.Tensor {
	return torch.BatchNorm(x, l.Weight, l.Bias, l.Mean, l.Var, c.Norm() == kernel.BatchStatistics, 0.1, 1e-5)
}

// Linear is an affine map.
type Linear struct{ Weight, Bias torch.Tensor }

// Forward maps (N,in,...), flattened behind N, to (N,out).
func (l Linear) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.Linear(x.Reshape(x.Size(0), -1), l.Weight, l.Bias)
}

// AvgPool is a mean over square windows without padding.
type AvgPool struct{ Kernel, Stride int64 }

// Forward maps (N,C,H,W) to (N,C,H',W').
func (l AvgPool) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.AvgPool2d(x, l.Kernel, l.Stride, 0)
}

// DropPathMask draws the factors (n,1,1,1) that drop path multiplies n samples by: 0 with
// probability c.DropPath, else 1/(1-c.DropPath). It is undefined in evaluation and without drop path.
func DropPathMask(c *Ctx, n int64, o torch.Options) torch.Tensor {
	if !c.Train || c.DropPath == 0 {
		return torch.Tensor{}
	}
	keep := 1 - c.DropPath
	return torch.Zeros(o, n, 1, 1, 1).Bernoulli_(keep).MulScalar_(1 / keep)
}
