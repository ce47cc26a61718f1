package search

import (
	"slices"

	"hdas/configs"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// HyperGrad returns the gradient of the architecture's loss on valid with respect to the architecture
// parameters, in the order of their store, and the loss. rate is the learning rate of the next step of
// the weights, on train. The gradient is that of the loss scaled by b.Arch.Scaler; with several processes, that of the mean
// loss of the images of all, while the loss is that of the images of this one. Weights,
// architecture and the states of the optimizers are the same before and after, bit for bit.
type HyperGrad func(b *Bilevel, rate float64, train, valid Sample) ([]torch.Tensor, Losses)

var orders = map[configs.Order]HyperGrad{configs.FirstOrder: FirstOrder, configs.SecondOrder: Unrolled}

// FirstOrder is the HyperGrad that treats the weights as constants. It computes no gradient of the
// weights. Batch norms update their running statistics with the validation batch.
func FirstOrder(b *Bilevel, _ float64, _, valid Sample) ([]torch.Tensor, Losses) {
	made := b.archs.Call(nil, b.Net.inputs(valid), func(in []torch.Tensor) []torch.Tensor {
		l := b.Net.ArchLoss(Sample{Images: in[0], Labels: in[1], Share: valid.Share})
		mine := part(l.Total, in)
		b.Phase.End("alpha forward")
		return append([]torch.Tensor{l.Total, l.Classification, l.Depth, l.Complexity}, b.Arch.Scaler.Grad(mine, b.Arch.Params)...)
	})
	b.Phase.End("alpha backward")
	b.Net.Member.Reduce(made[4:], valid.Share, b.statistics)
	return made[4:], Losses{made[0], made[1], made[2], made[3]}
}

// Unrolled is the HyperGrad at the weights after their next step on train (DARTS eq. 7), with momentum
// and weight decay, without clipping. The dependence of that step on the architecture is computed by a
// finite difference (eq. 8). The running statistics are left unchanged. Loss scaling is not supported.
func Unrolled(b *Bilevel, rate float64, train, valid Sample) ([]torch.Tensor, Losses) {
	return unrolled(b, rate, train, valid, radius)
}

// radius is the norm of the finite difference's step in the weights, to either side, as in DARTS.
const radius = 0.01

func unrolled(b *Bilevel, rate float64, train, valid Sample, radius float64) (_ []torch.Tensor, losses Losses) {
	n := b.Net
	defer preserve(n.Weights)()
	params, arch := b.Weights.Params, b.Arch.Params
	here := torch.CloneAll(params)
	// grad returns the gradients of the mean loss of the images of all processes. Of what loss makes, only they stay.
	grad := func(of Sample, params []torch.Tensor, loss func(s *torch.Scope) torch.Tensor) (grads []torch.Tensor) {
		torch.Within(func(s *torch.Scope) {
			l := loss(s)
			b.Phase.End("alpha forward")
			grads = torch.Grad(part(l, n.inputs(of)), params)
			n.Member.Sum(grads, of.Share)
			for _, g := range grads {
				s.Return(g)
			}
			b.Phase.End("alpha backward")
		})
		return grads
	}

	// The gradient of L_valid(w') with respect to alpha and w', the weights after the step on train.
	torch.Within(func(*torch.Scope) {
		step := grad(train, params, func(*torch.Scope) torch.Tensor {
			loss, _ := n.WeightLoss(train)
			return loss
		})
		if err := optim.LookAhead(b.Weights.Optimizer, []float64{rate}, step); err != nil {
			panic(err) // its own state fits
		}
	})
	grads := grad(valid, slices.Concat(arch, params), func(s *torch.Scope) torch.Tensor {
		l := n.ArchLoss(valid)
		losses = l.leave(s)
		return l.Total
	})
	hyper, v := grads[:len(arch)], grads[len(arch):]

	// Subtract the learning rate times the mixed second derivative of L_train along v. The norm stays on
	// the device.
	torch.FlattenLike(v, params)
	norm := torch.Norm(v)
	step := norm.AddScalar(1e-30).Reciprocal().MulScalar(radius) // finite if v is 0, too
	slope := func(sign float64) []torch.Tensor {
		torch.CopyAll(params, here)
		torch.AddAll(params, v, step.MulScalar(sign))
		return grad(train, arch, func(*torch.Scope) torch.Tensor {
			return torch.CrossEntropy(n.logits(n.learning(train), train.Images, n.Arch.Mix(true)), train.Labels, 0)
		})
	}
	up, down := slope(1), slope(-1)
	factor := norm.MulScalar(-rate / (2 * radius))
	for i := range hyper {
		if !up[i].Defined() {
			continue // the training loss does not depend on it
		}
		mixed := up[i].Sub(down[i]).Mul(factor)
		if hyper[i].Defined() {
			mixed = hyper[i].Add(mixed)
		}
		hyper[i] = mixed
	}
	return hyper, losses
}

// preserve copies all parameters of a store, running statistics included, and returns a function that
// restores them bit for bit. (Subtracting a step that was added would leave rounding errors.)
func preserve(s *nn.Store) (restore func()) {
	var all []torch.Tensor
	for p := range s.All() {
		all = append(all, p.Tensor)
	}
	copies := torch.CloneAll(all)
	return func() { torch.CopyAll(all, copies) }
}
