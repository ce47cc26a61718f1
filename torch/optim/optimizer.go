// Package optim provides optimizers, and the training step that searches and trainings share (Learner).
// Optimizers compute the same as torch.optim's. Gradients are passed as arguments and not stored in the
// parameters. A parameter whose gradient is undefined is not changed, not even by weight decay or
// momentum, as in PyTorch.
package optim

import (
	"slices"

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
		before := clone(o.State())
		o.Step(rates, grads)
		err = o.Load(before)
	})
	return err
}

// clone returns copies of the tensors of params, by name.
func clone(params []nn.Param) map[string]torch.Tensor {
	copies := map[string]torch.Tensor{}
	for i, t := range torch.CloneAll(nn.Tensors(params)) {
		copies[params[i].Name] = t
	}
	return copies
}

// Learner computes gradients and takes optimizer steps: the training step that searches and trainings
// share.
type Learner struct {
	Optimizer
	// Params holds the optimizer's parameters, in its order. One that is the undefined tensor is frozen: it gets
	// no gradient, and steps leave it as it is.
	Params    []torch.Tensor
	Scaler    *Scaler // loss scaling; nil for none
	Clip      float64 // the gradient norm is clipped to this value; 0 means no clipping
	ClipValue float64 // the elements of the gradient are clipped to [-ClipValue, ClipValue]; 0 means no clipping
	// Stepped is called after each optimizer step, for instance to average weights. It may be nil.
	Stepped func()
}

// ScaleLosses makes the learner scale its losses, as learning in float16 needs.
func (l *Learner) ScaleLosses() { l.Scaler = NewScaler() }

// Free frees the states of the optimizer and of the Scaler, but not the parameters.
func (l *Learner) Free() {
	l.Optimizer.Free()
	l.Scaler.Free()
}

// Gradient returns the gradients of a loss, a scalar, multiplied by the loss scale, as Step expects them: undefined
// for frozen parameters and for those that the loss does not depend on. They are adjacent in memory where their
// parameters are. The innermost scope owns them.
func (l *Learner) Gradient(loss torch.Tensor) []torch.Tensor {
	grads := l.grad(loss)
	torch.FlattenLike(grads, l.Params)
	return grads
}

// Sum returns the sum of n gradients (gradient accumulation), which the innermost scope owns. gradient(i) returns
// gradient i; other tensors that it has made are freed before it is called again.
func (l *Learner) Sum(n int, gradient func(i int) []torch.Tensor) []torch.Tensor {
	if n == 1 {
		return gradient(0)
	}
	sum := make([]torch.Tensor, len(l.Params))
	for i := range n {
		torch.Within(func(s *torch.Scope) {
			grads := gradient(i)
			torch.NoGrad(func() { addTo(s, sum, grads) })
		})
	}
	return sum
}

// learned returns the parameters that are not frozen.
func (l *Learner) learned() []torch.Tensor {
	return slices.DeleteFunc(slices.Clone(l.Params), func(p torch.Tensor) bool { return !p.Defined() })
}

// grad returns the gradients of the scaled loss, undefined for frozen parameters.
func (l *Learner) grad(loss torch.Tensor) []torch.Tensor {
	learned := l.learned()
	found := l.Scaler.Grad(loss, learned)
	if len(learned) == len(l.Params) {
		return found
	}
	grads, next := make([]torch.Tensor, len(l.Params)), 0
	for i, p := range l.Params {
		if p.Defined() {
			grads[i] = found[next]
			next++
		}
	}
	return grads
}

// addTo adds grads to sum in place. A sum that is undefined becomes the gradient, which then outlives the scope.
func addTo(s *torch.Scope, sum, grads []torch.Tensor) {
	for i, g := range grads {
		switch {
		case !g.Defined():
		case sum[i].Defined():
			sum[i].Add_(g)
		default:
			sum[i] = s.Return(g)
		}
	}
}

// The names of the parts of a step that compute a gradient.
const (
	Forward  = "forward"
	Backward = "backward"
)

// Phase is called at the end of each part of a step with its name; it may be nil.
type Phase func(name string)

// End calls p, unless the part is being recorded, and not computed.
func (p Phase) End(name string) {
	if p != nil && !torch.Recording() {
		p(name)
	}
}

// Step unscales and clips grads in place and takes a step of the optimizer. It returns the
// gradient norm before clipping, a scalar tensor owned by the innermost scope. With a Scaler, a step whose
// gradient is not finite leaves parameters and state as they are, bit for bit, and the norm is 0. Whether it
// is finite is known on the device alone, so that Stepped is called all the same.
func (l *Learner) Step(rates []float64, grads []torch.Tensor) (norm torch.Tensor) {
	torch.FlattenLike(grads, l.Params)
	finite := l.Scaler.Unscale(grads)
	if l.Clip > 0 {
		norm = torch.ClipGradNorm(grads, l.Clip)
	} else {
		norm = torch.Norm(grads)
	}
	if l.ClipValue > 0 {
		torch.NoGrad(func() { clipValues(grads, l.ClipValue) })
	}
	if finite.Defined() {
		torch.Within(func(*torch.Scope) {
			torch.KeepIf(finite, []torch.Tensor{norm}, torch.ZerosLike([]torch.Tensor{norm}))
			l.stepIf(finite, rates, grads)
		})
	} else {
		l.Optimizer.Step(rates, grads)
	}
	if l.Stepped != nil {
		l.Stepped()
	}
	return norm
}

// stepIf takes a step of the optimizer and takes it back, on the device, unless finite is true.
func (l *Learner) stepIf(finite torch.Tensor, rates []float64, grads []torch.Tensor) {
	if c, ok := l.Optimizer.(interface{ CountOn(torch.Device) }); ok {
		c.CountOn(finite.Device())
	}
	learned := l.learned()
	params, before := torch.CloneAll(learned), clone(l.Optimizer.State())
	l.Optimizer.Step(rates, grads)
	torch.KeepIf(finite, learned, params)
	var now, old, made []torch.Tensor
	for _, p := range l.Optimizer.State() {
		if b, ok := before[p.Name]; ok {
			now, old = append(now, p.Tensor), append(old, b)
		} else {
			made = append(made, p.Tensor) // by this step: it begins with zeros
		}
	}
	torch.KeepIf(finite, now, old)
	torch.KeepIf(finite, made, torch.ZerosLike(made))
}

// clipValues clips every element of the gradients in place (torch.nn.utils.clip_grad_value_).
func clipValues(grads []torch.Tensor, most float64) {
	for _, g := range grads {
		if g.Defined() {
			g.Clamp_(-most, most)
		}
	}
}
