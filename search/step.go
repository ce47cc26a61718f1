package search

import (
	"slices"

	"hdas/run"
	"hdas/torch"
	"hdas/torch/optim"
)

// Figures are what a step came to; all but Logits are scalars. A norm is undefined where a scaled
// loss had no finite gradient, and so no step was taken.
type Figures struct {
	Arch     Losses       // undefined where the architecture did not learn
	ArchNorm torch.Tensor // of its gradient
	Train    torch.Tensor // loss of the weights
	Norm     torch.Tensor // of their gradient, before clipping
	Logits   torch.Tensor // (N,Classes) of the training images
}

// Step is one bilevel step: Adam on the architecture along its hypergradient on valid, left out
// where hyper is nil, then SGD with that learning rate on the weights along their clipped gradient
// on train.
func Step(n *Supernet, hyper HyperGrad, adam *optim.Adam, sgd *optim.SGD, lr float64, train, valid Sample) (f Figures) {
	if hyper != nil {
		torch.Within(func(s *torch.Scope) {
			var grads []torch.Tensor
			grads, f.Arch = hyper(n, sgd, lr, train, valid)
			for _, l := range []*torch.Tensor{&f.Arch.Total, &f.Arch.Classification, &f.Arch.Depth, &f.Arch.Complexity} {
				if l.Defined() {
					*l = s.Return(l.Detach())
				}
			}
			if n.ArchScale.Unscale(grads) {
				f.ArchNorm = s.Return(torch.Norm(grads))
				adam.Step(n.config.Alpha.LR, grads)
			}
		})
	}
	torch.Within(func(s *torch.Scope) {
		var grads []torch.Tensor
		f.Train, grads, f.Logits = n.WeightGrad(train)
		if n.WeightScale.Unscale(grads) {
			f.Norm = torch.ClipGradNorm(grads, n.config.Weights.Clip)
			sgd.Step(lr, grads)
		}
		for _, t := range []torch.Tensor{f.Train, f.Norm, f.Logits} {
			s.Return(t)
		}
	})
	return f
}

// All are the scalars that there are, by name.
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
