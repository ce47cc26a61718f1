package optim

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// SGD is stochastic gradient descent with momentum (torch.optim.SGD), of one group of parameters.
type SGD struct {
	options torch.SGDOptions // LR is not used: it comes with the step
	params  []nn.Param
	buffers []torch.Tensor // undefined until the first step of their parameter
}

// NewSGD makes an optimizer of params.
func NewSGD(params []nn.Param, o torch.SGDOptions) *SGD {
	return &SGD{o, params, make([]torch.Tensor, len(params))}
}

// Step changes the parameters by one step with the learning rate rates[0].
func (o *SGD) Step(rates []float64, grads []torch.Tensor) {
	var params, gs, buffers []torch.Tensor
	var fresh []bool
	for i, g := range grads {
		if !g.Defined() {
			continue
		}
		params, gs = append(params, o.params[i].Tensor), append(gs, g)
		if o.options.Momentum != 0 {
			fresh = append(fresh, !o.buffers[i].Defined())
			o.buffers[i] = zerosLike(o.buffers[i], g)
			buffers = append(buffers, o.buffers[i])
		}
	}
	options := o.options
	options.LR = rates[0]
	torch.SGDStep(params, gs, buffers, fresh, options)
}

// State is what has to be saved besides the parameters: momentum's buffers, by the parameters'
// names, of the parameters that have taken a step.
func (o *SGD) State() []nn.Param { return named(o.params, o.buffers, "momentum.") }

// Load puts a State back, into an optimizer of the same parameters. After an error the optimizer
// is as it was.
func (o *SGD) Load(state map[string]torch.Tensor) error {
	buffers := slots(o.params, state, "momentum.")
	if err := nn.Load(named(o.params, buffers, "momentum."), state); err != nil {
		free(buffers)
		return err
	}
	free(o.buffers)
	o.buffers = buffers
	return nil
}

// Free frees the state.
func (o *SGD) Free() { free(o.buffers) }

// Adam is torch.optim.Adam, with weight decay added to the gradient (L2), of one group of parameters.
type Adam struct {
	options          torch.AdamOptions
	params           []nn.Param
	expAvg, expAvgSq []torch.Tensor
	steps            []int64
}

// NewAdam makes an optimizer of params.
func NewAdam(params []nn.Param, o torch.AdamOptions) *Adam {
	n := len(params)
	return &Adam{o, params, make([]torch.Tensor, n), make([]torch.Tensor, n), make([]int64, n)}
}

// Step changes the parameters by one step with the learning rate rates[0].
func (o *Adam) Step(rates []float64, grads []torch.Tensor) {
	var params, gs, m, v []torch.Tensor
	var steps []int64
	for i, g := range grads {
		if !g.Defined() {
			continue
		}
		o.expAvg[i], o.expAvgSq[i] = zerosLike(o.expAvg[i], g), zerosLike(o.expAvgSq[i], g)
		o.steps[i]++
		params, gs = append(params, o.params[i].Tensor), append(gs, g)
		m, v, steps = append(m, o.expAvg[i]), append(v, o.expAvgSq[i]), append(steps, o.steps[i])
	}
	options := o.options
	options.LR = rates[0]
	torch.AdamStep(params, gs, m, v, steps, options)
}

// State is what has to be saved besides the parameters: both moments by the parameters' names,
// and "step", the number of steps that each parameter has taken.
func (o *Adam) State() []nn.Param {
	state := append(named(o.params, o.expAvg, "exp_avg."), named(o.params, o.expAvgSq, "exp_avg_sq.")...)
	return append(state, nn.Param{Name: "step", Tensor: torch.FromInt64(o.steps, int64(len(o.steps)))})
}

// Load puts a State back, into an optimizer of the same parameters. After an error the optimizer
// is as it was.
func (o *Adam) Load(state map[string]torch.Tensor) error {
	n := Adam{params: o.params, steps: make([]int64, len(o.params))}
	// A parameter has both moments or none.
	n.expAvg = slots(o.params, state, "exp_avg.", "exp_avg_sq.")
	n.expAvgSq = slots(o.params, state, "exp_avg.", "exp_avg_sq.")
	if err := nn.Load(n.State(), state); err != nil {
		n.Free()
		return err
	}
	o.Free()
	o.expAvg, o.expAvgSq, o.steps = n.expAvg, n.expAvgSq, state["step"].Int64s()
	return nil
}

// Free frees the state.
func (o *Adam) Free() {
	free(o.expAvg)
	free(o.expAvgSq)
}

// zerosLike is t, or zeros like g, kept, where t is undefined.
func zerosLike(t, g torch.Tensor) torch.Tensor {
	if t.Defined() {
		return t
	}
	return torch.Zeros(torch.Options{DType: g.DType(), Device: g.Device()}, g.Shape()...).Keep()
}

func named(params []nn.Param, ts []torch.Tensor, prefix string) []nn.Param {
	var out []nn.Param
	for i, t := range ts {
		if t.Defined() {
			out = append(out, nn.Param{Name: prefix + params[i].Name, Tensor: t})
		}
	}
	return out
}

// slots makes a tensor for each parameter that state has under one of the prefixes, for nn.Load to
// fill.
func slots(params []nn.Param, state map[string]torch.Tensor, prefixes ...string) []torch.Tensor {
	ts := make([]torch.Tensor, len(params))
	for i, p := range params {
		for _, prefix := range prefixes {
			if _, ok := state[prefix+p.Name]; ok {
				ts[i] = zerosLike(ts[i], p.Tensor)
			}
		}
	}
	return ts
}

func free(ts []torch.Tensor) {
	for i, t := range ts {
		t.Free()
		ts[i] = torch.Tensor{}
	}
}
