package search

import (
	"errors"
	"fmt"
	"math"
	"strings"

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
			for _, part := range f.Arch.parts() {
				*part.value = s.Return(part.value.Detach())
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

// part is a loss by its name.
type part struct {
	name  string
	value *torch.Tensor
}

// parts are the losses that there are.
func (l *Losses) parts() []part {
	var there []part
	for _, p := range []part{{"architecture's loss", &l.Total}, {"classification", &l.Classification}, {"depth", &l.Depth}, {"complexity", &l.Complexity}} {
		if p.value.Defined() {
			there = append(there, p)
		}
	}
	return there
}

// Finite is an error that names every figure where one of them is no number.
func (f Figures) Finite() error {
	parts := f.Arch.parts()
	if f.ArchNorm.Defined() {
		parts = append(parts, part{"norm of its gradient", &f.ArchNorm})
	}
	parts = append(parts, part{"training loss", &f.Train})
	if f.Norm.Defined() {
		parts = append(parts, part{"norm of its gradient", &f.Norm})
	}
	values := make([]torch.Tensor, len(parts))
	for i, p := range parts {
		values[i] = p.value.To(torch.Float64).Reshape(1)
	}
	var text []string
	bad := false
	for i, v := range torch.Cat(values, 0).Float64s() { // read back at once
		bad = bad || math.IsNaN(v) || math.IsInf(v, 0)
		text = append(text, fmt.Sprintf("%s %v", parts[i].name, v))
	}
	if !bad {
		return nil
	}
	return errors.New(strings.Join(text, ", "))
}
