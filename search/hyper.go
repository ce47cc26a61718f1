package search

import (
	"slices"

	"hdas/configs"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// HyperGrad returns d(architecture's loss)/d(architecture parameters), in the order of their
// store, and leaves weights, architecture and the optimizer's state as they are, bit for bit. sgd
// and lr say how the weights will step on train. The gradient is to be unscaled by n.ArchScale.
type HyperGrad func(n *Supernet, sgd *optim.SGD, lr float64, train, valid Sample) ([]torch.Tensor, Losses)

var orders = map[configs.Order]HyperGrad{configs.FirstOrder: FirstOrder, configs.SecondOrder: Unrolled}

// FirstOrder takes the weights as they are, as if they did not depend on the architecture. It
// computes no gradient of theirs. The running statistics follow the validation batch.
func FirstOrder(n *Supernet, _ *optim.SGD, _ float64, _, valid Sample) ([]torch.Tensor, Losses) {
	losses, _ := n.ArchLoss(valid)
	return n.ArchScale.Grad(losses.Total, nn.Tensors(n.Arch.Store.Weights())), losses
}

// Unrolled takes the weights where their next step on the training half would lead (DARTS eq. 7),
// momentum and weight decay included and clipping not, and follows how that step depends on the
// architecture by a finite difference (eq. 8). The running statistics stay as they are. It is for
// losses without a scale.
func Unrolled(n *Supernet, sgd *optim.SGD, lr float64, train, valid Sample) ([]torch.Tensor, Losses) {
	return unrolled(n, sgd, lr, train, valid, radius)
}

// radius is how far the finite difference moves the weights to either side, as DARTS does.
const radius = 0.01

func unrolled(n *Supernet, sgd *optim.SGD, lr float64, train, valid Sample, radius float64) (_ []torch.Tensor, losses Losses) {
	defer preserve(n.Weights)()
	params, arch := nn.Tensors(n.Weights.Weights()), nn.Tensors(n.Arch.Store.Weights())
	here := clones(params)

	// d L_valid(w') / d(alpha, w'), w' being the weights after the step on train.
	torch.Within(func(*torch.Scope) {
		_, grads, _ := n.WeightGrad(train)
		sgd.LookAhead(lr, grads)
	})
	losses, _ = n.ArchLoss(valid)
	grads := torch.Grad(losses.Total, slices.Concat(arch, params))
	hyper, v := grads[:len(arch)], grads[len(arch):]

	// Minus lr times the mixed second derivative of L_train along v. The norm stays on the device.
	norm := torch.Norm(v)
	step := norm.AddScalar(1e-30).Reciprocal().MulScalar(radius) // where v is 0, finite
	slope := func(sign float64) []torch.Tensor {
		torch.NoGrad(func() {
			for i, p := range params {
				p.Copy_(here[i])
				if v[i].Defined() {
					p.Add_(v[i].Mul(step).MulScalar(sign))
				}
			}
		})
		loss := torch.CrossEntropy(n.Logits(n.learning(), train.Images, true), train.Labels, 0)
		return torch.Grad(loss, arch)
	}
	up, down := slope(1), slope(-1)
	factor := norm.MulScalar(-lr / (2 * radius))
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

// preserve copies all parameters of a store, running statistics included, and returns what puts
// them back, bit for bit: adding and taking off again what was added would not.
func preserve(s *nn.Store) (restore func()) {
	var all []torch.Tensor
	for p := range s.All() {
		all = append(all, p.Tensor)
	}
	copies := clones(all)
	return func() {
		torch.NoGrad(func() {
			for i, t := range all {
				t.Copy_(copies[i])
			}
		})
	}
}

func clones(ts []torch.Tensor) []torch.Tensor {
	out := make([]torch.Tensor, len(ts))
	torch.NoGrad(func() {
		for i, t := range ts {
			out[i] = t.Clone()
		}
	})
	return out
}
