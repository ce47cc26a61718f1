package nn

import (
	"hdas/torch"
	"hdas/torch/kernel"
)

// Ctx holds everything that a forward pass depends on besides its input and the parameters. It must not
// be changed once it is in use.
type Ctx struct {
	Train    bool    // use batch statistics and drop path
	DropPath float64 // probability in [0,1) that an edge's output is zeroed, drawn for each sample
	// Frozen makes the backbone, which is all but the classifier and the auxiliary head, compute as in evaluation
	// and without gradients while these learn. Nothing in it changes.
	Frozen bool
	// FrozenNorms makes the batch norms of the backbone use their running statistics while training, and leave
	// them as they are. Their scales and shifts learn.
	FrozenNorms bool
	// Statistics are those that batch norms use while training, unless they are frozen: kernel.BatchStatistics, or those of
	// several processes.
	Statistics kernel.Norm
	// Mix holds the architecture weights of a supernet for this pass; nil in a derived network.
	Mix *Mix
	// Recompute selects what a cell computes again for its gradient instead of storing it.
	Recompute kernel.Recompute
	// Path selects the code that computes a cell.
	Path kernel.Path
	// Autocast is the type of convolutions under autocast. Float32 means no autocast: convolutions
	// compute in the type of the network's weights.
	Autocast torch.DType
}

// Backbone returns the context of the backbone. It is c itself unless something in it is frozen.
func (c *Ctx) Backbone() *Ctx {
	if !c.Frozen {
		return c
	}
	b := *c
	b.Train = false
	return &b
}

// Head returns the context of the classifier and the auxiliary head, in which nothing is frozen.
func (c *Ctx) Head() *Ctx {
	h := *c
	h.Frozen, h.FrozenNorms = false, false
	return &h
}

// Storing returns the context in which nothing is computed again for the gradient.
func (c *Ctx) Storing() *Ctx {
	s := *c
	s.Recompute = kernel.RecomputeNone
	return &s
}

// Norm returns the statistics that batch norms use: Statistics while training, unless they are frozen, else the
// running ones.
func (c *Ctx) Norm() kernel.Norm {
	if c.Train && !c.FrozenNorms {
		return c.Statistics
	}
	return kernel.RunningStatistics
}

// Mix holds the architecture weights of one forward pass of a supernet, after softmax. The keys are the
// names of the DAGs of cells and stages, such as "normal". search.Arch.Mix makes it.
type Mix struct {
	Alpha map[string]torch.Tensor // (edges, operations): the factor of each candidate operation
	Edge  map[string]torch.Tensor // (edges): with partial channels (PC-DARTS), the factor of the channels that bypass an edge's operations; else empty
	Beta  map[string]torch.Tensor // (outputs): the factor of each candidate output of a stage
}

// Module is a layer or a network: it maps images or features (N,C,H,W) to features or logits. The
// innermost scope owns the result of Forward.
type Module interface {
	Forward(c *Ctx, x torch.Tensor) torch.Tensor
}

// Func is a module without parameters.
type Func func(x torch.Tensor) torch.Tensor

// Forward returns f(x).
func (f Func) Forward(_ *Ctx, x torch.Tensor) torch.Tensor { return f(x) }

// ReLU is the module that returns max(x, 0).
var ReLU relu

type relu struct{}

func (relu) Forward(_ *Ctx, x torch.Tensor) torch.Tensor { return x.ReLU() }

// Sequential is the composition of its modules, applied in order.
type Sequential []Module

// Forward returns the output of the last module.
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

// BatchNorm2d is a batch norm with per-channel statistics, momentum 0.1 and eps 1e-5. All four tensors
// have shape (C). Weight and Bias may be undefined.
type BatchNorm2d struct{ Weight, Bias, Mean, Var torch.Tensor }

// Forward returns x (N,C,H,W) normalised, in the same shape. While training it also updates the
// running statistics Mean and Var in place.
func (l BatchNorm2d) Forward(c *Ctx, x torch.Tensor) torch.Tensor {
	if n := c.Norm(); n == kernel.SyncStatistics || n == kernel.BlankStatistics {
		return torch.SyncBatchNorm(x, l.Weight, l.Bias, l.Mean, l.Var, n == kernel.SyncStatistics)
	}
	return torch.BatchNorm(x, l.Weight, l.Bias, l.Mean, l.Var, c.Norm() == kernel.BatchStatistics, 0.1, 1e-5)
}

// Linear is a fully connected layer with Weight (out,in) and Bias (out).
//
// Product is the map without the bias as a program with one input (N,in,H,W), by which the kernels compute it: the gradients of
// torch.Linear depend on the number of threads. It may be nil.
type Linear struct {
	Weight, Bias torch.Tensor
	Product      *torch.Program
}

// Forward flattens all dimensions of x after the first to (N,in), and returns (N,out).
func (l Linear) Forward(c *Ctx, x torch.Tensor) torch.Tensor {
	n := x.Size(0)
	x = x.Reshape(n, -1)
	if l.Product == nil || c.Path != kernel.Kernels || c.Autocast != torch.Float32 || x.Device().IsCUDA() {
		return torch.Linear(x, l.Weight, l.Bias)
	}
	// The images are the pixels of a few samples, which the threads take in turns.
	samples := int64(16)
	for n%samples != 0 {
		samples--
	}
	y := l.Product.Run([]torch.Tensor{x.Reshape(samples, n/samples, 1, -1).Permute(0, 3, 1, 2)}, torch.Pass{Norm: kernel.RunningStatistics})
	return y.Permute(0, 2, 3, 1).Reshape(n, -1).Add(l.Bias)
}

// AvgPool is average pooling over square windows without padding.
type AvgPool struct{ Kernel, Stride int64 }

// Forward maps (N,C,H,W) to (N,C,H',W').
func (l AvgPool) Forward(_ *Ctx, x torch.Tensor) torch.Tensor {
	return torch.AvgPool2d(x, l.Kernel, l.Stride, 0)
}

// DropPathMasks returns `count` tensors of random factors (n,1,1,1) by which drop path multiplies n samples: 0
// with probability c.DropPath, else 1/(1-c.DropPath). They are drawn together. It returns nil in evaluation and
// if c.DropPath is 0.
func DropPathMasks(c *Ctx, count int, n int64, o torch.Options) []torch.Tensor {
	if !c.Train || c.DropPath == 0 || count == 0 {
		return nil
	}
	keep := 1 - c.DropPath
	all := torch.Zeros(o, int64(count), n, 1, 1, 1).Bernoulli_(keep).MulScalar_(1 / keep)
	masks := make([]torch.Tensor, count)
	for i := range masks {
		masks[i] = all.Select(0, int64(i))
	}
	return masks
}
