// Package optim provides optimizers, and the training step that searches and trainings share (Learner).
// Optimizers compute the same as torch.optim's. Gradients are passed as arguments and not stored in the
// parameters. A parameter whose gradient is undefined is not changed, not even by weight decay or
// momentum, as in PyTorch.
package optim

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// Optimizer updates a list of parameters, which it does not own, from their gradients.
type Optimizer interface {
	// Step changes the parameters in place by one step. rates holds the learning rate of each parameter
	// group. grads holds the gradients of all parameters, in the order of the parameters.
	Step(rates []float64, grads []torch.Tensor)
	// State returns the tensors that a checkpoint must hold besides the parameters. The optimizer owns
	// those that it updates at each step; the innermost scope owns any others. The caller frees none.
	State() []nn.Param
	// Load restores a State of an optimizer of the same parameters; it copies the tensors. If it
	// returns an error, the optimizer is unchanged.
	Load(state map[string]torch.Tensor) error
	// Free frees the state, but not the parameters.
	Free()
}

// LookAhead changes the parameters as o.Step would, but leaves the state of o unchanged (the unrolled
// step of second-order DARTS). The caller must restore the parameters.
func LookAhead(o Optimizer, rates []float64, grads []torch.Tensor) error {
	var err error
	torch.Within(func(*torch.Scope) {
		before := map[string]torch.Tensor{}
		torch.NoGrad(func() {
			for _, p := range o.State() {
				before[p.Name] = p.Tensor.Clone()
			}
		})
		o.Step(rates, grads)
		err = o.Load(before)
	})
	return err
}

// Learner computes gradients and takes optimizer steps: the training step that searches and trainings
// share.
type Learner struct {
	Optimizer
	Params []torch.Tensor // the optimizer's parameters, in its order
	Scaler *Scaler        // loss scaling; nil for none
	Clip   float64        // the gradient norm is clipped to this value; 0 means no clipping
	// Reduce averages the gradients of several processes in place, before clipping. It is nil in a single
	// process.
	Reduce func(grads []torch.Tensor)
	// Stepped is called after each optimizer step, for instance to average weights. It may be nil.
	Stepped func()
}

// Gradient returns the gradient of the mean of several losses (gradient accumulation), multiplied by
// the loss scale, as Step expects it. The innermost scope owns the tensors. forward(i) computes loss i,
// a scalar; its graph is freed before forward is called again. phase, unless nil, is called with
// Forward and Backward after each of these passes.
func (l *Learner) Gradient(losses int, forward func(i int) torch.Tensor, phase func(string)) []torch.Tensor {
	var sum []torch.Tensor
	for i := range losses {
		loss := forward(i)
		mark(phase, Forward)
		if losses > 1 {
			loss = loss.MulScalar(1 / float64(losses))
		}
		grads := l.Scaler.Grad(loss, l.Params)
		mark(phase, Backward)
		if sum == nil {
			sum = grads
		} else {
			torch.NoGrad(func() { addTo(sum, grads) })
		}
	}
	return sum
}

// addTo adds grads to sum in place. A sum that is undefined becomes the gradient.
func addTo(sum, grads []torch.Tensor) {
	for i, g := range grads {
		switch {
		case !g.Defined():
		case sum[i].Defined():
			sum[i].Add_(g)
		default:
			sum[i] = g
		}
	}
}

// The phases of a step that Learner.Gradient reports.
const (
	Forward  = "forward"
	Backward = "backward"
)

func mark(phase func(string), name string) {
	if phase != nil {
		phase(name)
	}
}

// Step reduces, unscales and clips grads in place and takes a step of the optimizer. It returns the
// gradient norm before clipping, a scalar tensor owned by the innermost scope. If there is a Scaler and
// the gradient is not finite, it takes no step and returns the undefined tensor.
func (l *Learner) Step(rates []float64, grads []torch.Tensor) (norm torch.Tensor) {
	if l.Reduce != nil {
		l.Reduce(grads)
	}
	if !l.Scaler.Unscale(grads) {
		return norm
	}
	if l.Clip > 0 {
		norm = torch.ClipGradNorm(grads, l.Clip)
	} else {
		norm = torch.Norm(grads)
	}
	l.Optimizer.Step(rates, grads)
	if l.Stepped != nil {
		l.Stepped()
	}
	return norm
}
