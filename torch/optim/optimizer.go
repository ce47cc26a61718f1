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
	Params []torch.Tensor // the optimizer's parameters, in its order
	Scaler *Scaler        // loss scaling; nil for none
	Clip   float64        // the gradient norm is clipped to this value; 0 means no clipping
	// Reduce averages the gradients of several processes in place, before clipping. It is nil in a single
	// process.
	Reduce func(grads []torch.Tensor)
	// Stepped is called after each optimizer step, for instance to average weights. It may be nil.
	Stepped func()
}

// Free frees the states of the optimizer and of the Scaler, but not the parameters.
func (l *Learner) Free() {
	l.Optimizer.Free()
	l.Scaler.Free()
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
// gradient norm before clipping, a scalar tensor owned by the innermost scope. With a Scaler, a step whose
// gradient is not finite leaves parameters and state as they are, bit for bit, and the norm is 0. Whether it
// is finite is known on the device alone, so that Stepped is called all the same.
func (l *Learner) Step(rates []float64, grads []torch.Tensor) (norm torch.Tensor) {
	torch.FlattenLike(grads, l.Params)
	if l.Reduce != nil {
		l.Reduce(grads)
	}
	finite := l.Scaler.Unscale(grads)
	if l.Clip > 0 {
		norm = torch.ClipGradNorm(grads, l.Clip)
	} else {
		norm = torch.Norm(grads)
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
	params, before := torch.CloneAll(l.Params), clone(l.Optimizer.State())
	l.Optimizer.Step(rates, grads)
	torch.KeepIf(finite, l.Params, params)
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
