package search

import (
	"slices"

	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Figures are the results of a step; all but Logits are scalars. A gradient norm is undefined where a scaled
// loss had no finite gradient, and so no step was taken.
type Figures struct {
	Arch     Losses       // undefined where the architecture did not learn
	ArchNorm torch.Tensor // of its gradient
	Train    torch.Tensor // loss of the weights
	Norm     torch.Tensor // of their gradient, before clipping
	Logits   torch.Tensor // (N,Classes) of the training images
}

// Bilevel is how a supernet learns: its architecture on the validation half, its weights on the
// training half.
type Bilevel struct {
	Net           *Supernet
	Arch, Weights *optim.Learner
	ArchRate      float64   // constant
	Order         HyperGrad // of the architecture's gradient
	// Phase, if any, is called at the end of each part of a step, with one of Phases.
	Phase func(name string)
}

// Phases are the parts of a step of first order, as they come.
var Phases = []string{"alpha forward", "alpha backward", optim.Forward, optim.Backward, "optimizer"}

// NewBilevel makes the optimizers of a supernet as its configuration says: Adam on the architecture,
// SGD with clipped gradients on the weights. It runs inside torch.Do; the caller frees them.
func NewBilevel(n *Supernet) *Bilevel {
	w, a := n.config.Weights, n.config.Alpha
	weights, arch := n.Weights.Weights(), n.Arch.Store.Weights()
	return &Bilevel{Net: n, ArchRate: a.LR, Order: orders[n.config.Order],
		Arch: &optim.Learner{Params: nn.Tensors(arch),
			Optimizer: optim.NewAdam(arch, torch.AdamOptions{Beta1: a.Beta1, Beta2: a.Beta2, Eps: 1e-8, WeightDecay: a.WeightDecay})},
		Weights: &optim.Learner{Params: nn.Tensors(weights), Clip: w.Clip,
			Optimizer: optim.NewSGD(weights, torch.SGDOptions{Momentum: w.Momentum, WeightDecay: w.WeightDecay})},
	}
}

// Free frees the optimizers' states.
func (b *Bilevel) Free() {
	b.Arch.Free()
	b.Weights.Free()
}

// Step is one bilevel step: of the architecture along its hypergradient on valid, unless it is not to
// learn yet, then of the weights, with that learning rate, along their gradient on train.
func (b *Bilevel) Step(rate float64, architecture bool, train, valid Sample) (f Figures) {
	if architecture {
		torch.Within(func(s *torch.Scope) {
			var grads []torch.Tensor
			grads, f.Arch = b.Order(b, rate, train, valid)
			for _, l := range []*torch.Tensor{&f.Arch.Total, &f.Arch.Classification, &f.Arch.Depth, &f.Arch.Complexity} {
				if l.Defined() {
					*l = s.Return(l.Detach())
				}
			}
			f.ArchNorm = s.Return(b.Arch.Step([]float64{b.ArchRate}, grads))
			b.mark("optimizer")
		})
	}
	torch.Within(func(s *torch.Scope) {
		grads := b.Weights.Gradient(1, func(int) torch.Tensor {
			loss, logits := b.Net.WeightLoss(train)
			f.Train, f.Logits = loss.Detach(), logits.Detach()
			return loss
		}, b.Phase)
		f.Norm = b.Weights.Step([]float64{rate}, grads)
		b.mark("optimizer")
		for _, t := range []torch.Tensor{f.Train, f.Norm, f.Logits} {
			s.Return(t)
		}
	})
	return f
}

func (b *Bilevel) mark(phase string) {
	if b.Phase != nil {
		b.Phase(phase)
	}
}

// All returns the scalars that there are, by name.
func (f Figures) All() []run.Figure {
	return slices.DeleteFunc([]run.Figure{
		{Name: "architecture's loss", Value: f.Arch.Total},
		{Name: "classification", Value: f.Arch.Classification},
		{Name: "depth", Value: f.Arch.Depth},
		{Name: "complexity", Value: f.Arch.Complexity},
		{Name: "norm of its gradient", Value: f.ArchNorm},
		{Name: "training loss", Value: f.Train},
		{Name: "norm of its gradient", Value: f.Norm},
	}, func(f run.Figure) bool { return !f.Value.Defined() })
}
