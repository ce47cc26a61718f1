package search

import (
	"slices"

	"hdas/parallel"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// StepResult holds the results of a step; all but Logits are scalars. A gradient norm is 0 if the gradient of
// a scaled loss was not finite, in which case the update was skipped.
type StepResult struct {
	Arch     Losses       // undefined if the architecture was not updated
	ArchNorm torch.Tensor // norm of the gradient of Arch.Total
	Train    torch.Tensor // training loss
	Norm     torch.Tensor // norm of the gradient of Train, before clipping
	Logits   torch.Tensor // (N,Classes) of the training images
}

// Bilevel trains a supernet: the architecture parameters on validation data, the weights on training
// data.
type Bilevel struct {
	Net           *Supernet
	Arch, Weights *optim.Learner
	ArchRate      float64        // learning rate of the architecture, constant
	Order         HyperGrad      // computes the gradient of the architecture
	archs, steps  torch.Replayer // the first-order gradient of the architecture; that of the weights
	Phase         optim.Phase    // called with the names Phases
	statistics    []torch.Tensor // running statistics that a pass changes in each process on its own
}

// Phases are the names of the parts of a step, in order. At the second order, the first two are the sums of four passes,
// and moving the weights counts as the forward pass after it.
var Phases = []string{"alpha forward", "alpha backward", optim.Forward, optim.Backward, "optimizer"}

// NewBilevel returns the trainer of a supernet with the optimizers of its configuration: Adam for the
// architecture, SGD with clipped gradients for the weights. It runs inside torch.Do; the caller frees it.
func NewBilevel(n *Supernet) *Bilevel {
	w, a := n.config.Weights, n.config.Alpha
	weights, arch := n.Weights.Weights(), n.Arch.Store.Weights()
	var statistics []torch.Tensor
	if !n.config.SyncNorm {
		statistics = nn.Tensors(parallel.Statistics(n.Weights))
	}
	return &Bilevel{Net: n, statistics: statistics, ArchRate: a.LR, Order: orders[n.config.Order],
		Arch: &optim.Learner{Params: nn.Tensors(arch),
			Optimizer: optim.NewAdam(arch, torch.AdamOptions{Beta1: a.Beta1, Beta2: a.Beta2, Eps: 1e-8, WeightDecay: a.WeightDecay})},
		Weights: &optim.Learner{Params: nn.Tensors(weights), Clip: w.Clip,
			Optimizer: optim.NewSGD(weights, torch.SGDOptions{Momentum: w.Momentum, WeightDecay: w.WeightDecay})},
	}
}

// Record makes a trainer record the passes of a step as CUDA graphs and replay them, where its supernet is on a CUDA
// device. The results of a step are the same.
func (b *Bilevel) Record() {
	b.archs.On, b.steps.On = true, true
	b.steps.After(&b.archs)
}

// Free frees the states of the optimizers, not the supernet.
func (b *Bilevel) Free() {
	b.steps.Free()
	b.archs.Free()
	b.Arch.Free()
	b.Weights.Free()
}

// Step runs one bilevel step and returns its losses, gradient norms and logits, which belong to the
// innermost scope. If architecture is true, it first updates the architecture parameters on valid. Then
// it updates the weights on train with the learning rate `rate`. With several processes the losses and the logits are
// those of the images of this one, and the norms are of the gradients of all.
func (b *Bilevel) Step(rate float64, architecture bool, train, valid Sample) (f StepResult) {
	if architecture {
		torch.Within(func(s *torch.Scope) {
			var grads []torch.Tensor
			grads, f.Arch = b.Order(b, rate, train, valid)
			f.Arch = f.Arch.leave(s)
			f.ArchNorm = s.Return(b.Arch.Step([]float64{b.ArchRate}, grads))
			b.Phase.End("optimizer")
		})
	}
	torch.Within(func(s *torch.Scope) {
		made := b.steps.Call(nil, b.Net.inputs(train), func(in []torch.Tensor) []torch.Tensor {
			loss, logits := b.Net.WeightLoss(Sample{Images: in[0], Labels: in[1], Share: train.Share})
			mine := part(loss, in)
			b.Phase.End(optim.Forward)
			return append([]torch.Tensor{loss.Detach(), logits.Detach()}, b.Weights.Gradient(mine)...)
		})
		b.Phase.End(optim.Backward)
		f.Train, f.Logits = made[0], made[1]
		b.Net.Member.Reduce(made[2:], train.Share, b.statistics)
		f.Norm = b.Weights.Step([]float64{rate}, made[2:])
		b.Phase.End("optimizer")
		for _, t := range []torch.Tensor{f.Train, f.Norm, f.Logits} {
			s.Return(t)
		}
	})
	return f
}

// Scalars returns the losses and gradient norms that are defined, with their names.
func (f StepResult) Scalars() []run.Scalar {
	return slices.DeleteFunc([]run.Scalar{
		{Name: "architecture's loss", Value: f.Arch.Total},
		{Name: "classification", Value: f.Arch.Classification},
		{Name: "depth", Value: f.Arch.Depth},
		{Name: "complexity", Value: f.Arch.Complexity},
		{Name: "norm of its gradient", Tag: "grad_norm/alpha", Value: f.ArchNorm},
		{Name: "training loss", Value: f.Train},
		{Name: "norm of its gradient", Tag: "grad_norm/weights", Value: f.Norm},
	}, func(f run.Scalar) bool { return !f.Value.Defined() })
}
