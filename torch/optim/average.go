package optim

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// Average is the exponential moving average of parameters and buffers, such as running statistics. It begins
// at their values. The caller calls Free.
type Average struct {
	decay  float64
	warm   bool
	values []nn.Param
	means  []torch.Tensor
}

// NewAverage returns the average of values, which it does not own, with a decay in [0,1). With warm, the decay
// of the first steps is smaller (see Update).
func NewAverage(values []nn.Param, decay float64, warm bool) *Average {
	a := &Average{decay, warm, values, nil}
	torch.Within(func(*torch.Scope) {
		for _, mean := range torch.CloneAll(nn.Tensors(values)) {
			a.means = append(a.means, mean.Keep())
		}
	})
	return a
}

// Update moves the average towards the values after a step, counted from 1:
// average = d*average + (1-d)*value. d is the decay, or with a warm-up min(decay, (1+step)/(10+step)).
func (a *Average) Update(step int) {
	d := a.decay
	if a.warm {
		d = min(d, float64(1+step)/float64(10+step))
	}
	torch.ScaleAll(a.means, d)
	torch.SGDStep(a.means, nn.Tensors(a.values), nil, nil, torch.SGDOptions{LR: d - 1})
}

// Swap exchanges the averages and the values of the parameters and buffers. A second call puts both back, bit for
// bit.
func (a *Average) Swap() {
	torch.Within(func(*torch.Scope) {
		values := nn.Tensors(a.values)
		before := torch.CloneAll(values)
		torch.CopyAll(values, a.means)
		torch.CopyAll(a.means, before)
	})
}

// State returns the averages under the names of their parameters. The Average owns the tensors.
func (a *Average) State() []nn.Param { return named(a.values, a.means, "") }

// Load restores a State of an Average of the same parameters; it copies the tensors. If it returns an error,
// the Average is unchanged.
func (a *Average) Load(state map[string]torch.Tensor) error { return nn.Load(a.State(), state) }

// Free frees the averages, but not the parameters.
func (a *Average) Free() { free(a.means) }
