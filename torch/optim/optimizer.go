// Package optim has the optimizers, equal to torch.optim's to the last bits, and the step that all
// learning takes. Gradients come as arguments: nothing is stored in the parameters. An undefined
// gradient leaves its parameter alone, weight decay and momentum included, as in PyTorch.
package optim

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// Optimizer changes parameters along gradients.
type Optimizer interface {
	// Step changes the parameters by one step. rates has the learning rate of each group of parameters,
	// grads the gradients of all parameters in their order.
	Step(rates []float64, grads []torch.Tensor)
	// State returns what has to be saved besides the parameters. It belongs to the optimizer, and what
	// is made for it to the innermost scope.
	State() []nn.Param
	// Load puts a State back into an optimizer of the same parameters. After an error the optimizer is
	// as it was.
	Load(state map[string]torch.Tensor) error
	// Free frees the state.
	Free()
}

// LookAhead moves the parameters as Step would and leaves the optimizer's state as it is. Putting the
// parameters back is the caller's.
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

// Learner takes the steps of an optimizer: what searches and trainings do with a gradient.
type Learner struct {
	Optimizer
	Params []torch.Tensor // in the optimizer's order
	Scaler *Scaler        // of the loss; nil for none
	Clip   float64        // largest norm of the gradient; 0: any
	// Reduce joins the gradients of several processes in place, before they are clipped; nil for one process.
	Reduce func(grads []torch.Tensor)
	// Stepped is called after each step, for averages of the weights; it may be nil.
	Stepped func()
}

// Gradient returns the gradient of the mean of several losses, as Step takes it: still scaled. forward
// computes one loss at a time, whose graph is freed before the next. phase, if any, is called after
// each forward and each backward pass.
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

// addTo adds a gradient to another in place.
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

// The phases of a step.
const (
	Forward  = "forward"
	Backward = "backward"
)

func mark(phase func(string), name string) {
	if phase != nil {
		phase(name)
	}
}

// Step unscales, reduces and clips a gradient in place and takes the optimizer's step. It returns the
// norm of the gradient before clipping, a scalar; undefined where a scaled loss had no finite
// gradient, and so no step was taken.
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
