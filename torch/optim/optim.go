package optim

import (
	"slices"

	"hdas/torch"
	"hdas/torch/nn"
)

// Group is a list of parameters that share a learning rate and a weight decay (a param_group of torch.optim).
type Group struct {
	Params []nn.Param
	Decay  float64 // weight decay
}

// Params returns the parameters of all groups, in order: that of the gradients of a step.
func Params(groups []Group) (all []nn.Param) {
	for _, g := range groups {
		all = append(all, g.Params...)
	}
	return all
}

// each calls f with every group, the index of its first parameter, and its gradients.
func each(groups []Group, grads []torch.Tensor, f func(group, first int, grads []torch.Tensor)) {
	first := 0
	for i, g := range groups {
		f(i, first, grads[first:first+len(g.Params)])
		first += len(g.Params)
	}
}

// SGD is stochastic gradient descent with momentum (torch.optim.SGD).
type SGD struct {
	options torch.SGDOptions // LR and WeightDecay are not used: a step takes the rates, and groups have their decay
	groups  []Group
	params  []nn.Param     // of all groups
	buffers []torch.Tensor // momentum buffers; undefined until the first step of their parameter
}

// NewSGD returns an SGD optimizer of one group. o.LR is not used. The caller must call Free.
func NewSGD(params []nn.Param, o torch.SGDOptions) *SGD {
	return NewGroupedSGD([]Group{{params, o.WeightDecay}}, o)
}

// NewGroupedSGD returns an SGD optimizer of several groups. o.LR and o.WeightDecay are not used. The caller
// must call Free.
func NewGroupedSGD(groups []Group, o torch.SGDOptions) *SGD {
	params := Params(groups)
	return &SGD{o, groups, params, make([]torch.Tensor, len(params))}
}

// Step changes the parameters by one step with the learning rates of the groups.
func (o *SGD) Step(rates []float64, grads []torch.Tensor) {
	var had []torch.Tensor
	if o.options.Momentum != 0 {
		had = slices.Clone(o.buffers)
		fill(o.buffers, o.params, func(i int) bool { return grads[i].Defined() })
	}
	each(o.groups, grads, func(group, first int, grads []torch.Tensor) {
		var params, gs, buffers []torch.Tensor
		var fresh []bool
		for k, g := range grads {
			if !g.Defined() {
				continue
			}
			i := first + k
			params, gs = append(params, o.params[i].Tensor), append(gs, g)
			if had != nil {
				buffers, fresh = append(buffers, o.buffers[i]), append(fresh, !had[i].Defined())
			}
		}
		options := o.options
		options.LR, options.WeightDecay = rates[group], o.groups[group].Decay
		torch.SGDStep(params, gs, buffers, fresh, options)
	})
}

// State returns the momentum buffers of the parameters that have taken a step. Their names are
// "momentum." and the name of the parameter. The optimizer owns the tensors.
func (o *SGD) State() []nn.Param { return named(o.params, o.buffers, "momentum.") }

// Load restores a State of an SGD optimizer of the same parameters; it copies the tensors. If it
// returns an error, the optimizer is unchanged.
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

// Free frees the momentum buffers, but not the parameters.
func (o *SGD) Free() { free(o.buffers) }

// Adam is torch.optim.Adam, whose weight decay is added to the gradient (L2), or torch.optim.AdamW, whose
// weight decay is decoupled from the gradient (arXiv:1711.05101).
type Adam struct {
	options          torch.AdamOptions // LR and WeightDecay are not used, as in SGD
	decoupled        bool
	groups           []Group
	params           []nn.Param     // of all groups
	expAvg, expAvgSq []torch.Tensor // first and second moments; undefined until a parameter's first step
	steps            []int64        // numbers of steps that the parameters have taken
	counts           torch.Tensor   // Int64 (parameters): the same on a device, and steps is not used; undefined without CountOn
}

// NewAdam returns an Adam optimizer of one group. o.LR is not used. The caller must call Free.
func NewAdam(params []nn.Param, o torch.AdamOptions) *Adam {
	return newAdam([]Group{{params, o.WeightDecay}}, o, false)
}

// NewAdamW returns an AdamW optimizer of several groups: each step first multiplies the parameters by
// 1 - rate*decay. o.LR and o.WeightDecay are not used. The caller must call Free.
func NewAdamW(groups []Group, o torch.AdamOptions) *Adam { return newAdam(groups, o, true) }

func newAdam(groups []Group, o torch.AdamOptions, decoupled bool) *Adam {
	params := Params(groups)
	n := len(params)
	return &Adam{options: o, decoupled: decoupled, groups: groups, params: params,
		expAvg: make([]torch.Tensor, n), expAvgSq: make([]torch.Tensor, n), steps: make([]int64, n)}
}

// CountOn makes Adam count the steps on device d, so that a step can be taken back there; see Learner.Step.
func (o *Adam) CountOn(d torch.Device) {
	if !o.counts.Defined() {
		torch.Within(func(*torch.Scope) {
			o.counts = torch.FromInt64(o.steps, int64(len(o.steps))).ToDevice(d).Clone().Keep()
		})
	}
}

// Step changes the parameters by one step with the learning rates of the groups.
func (o *Adam) Step(rates []float64, grads []torch.Tensor) {
	taken := func(i int) bool { return grads[i].Defined() }
	fill(o.expAvg, o.params, taken)
	fill(o.expAvgSq, o.params, taken)
	each(o.groups, grads, func(group, first int, grads []torch.Tensor) {
		var params, gs, m, v, counts []torch.Tensor
		var steps []int64
		for k, g := range grads {
			if !g.Defined() {
				continue
			}
			i := first + k
			o.steps[i]++
			if o.counts.Defined() {
				counts = append(counts, o.counts.Select(0, int64(i)).Add_(torch.Ones(torch.Options{DType: torch.Int64, Device: o.counts.Device()})))
			}
			params, gs = append(params, o.params[i].Tensor), append(gs, g)
			m, v, steps = append(m, o.expAvg[i]), append(v, o.expAvgSq[i]), append(steps, o.steps[i])
		}
		options := o.options
		options.LR, options.WeightDecay = rates[group], o.groups[group].Decay
		if o.decoupled {
			if options.WeightDecay != 0 {
				torch.ScaleAll(params, 1-options.LR*options.WeightDecay)
			}
			options.WeightDecay = 0
		}
		torch.AdamStep(params, gs, m, v, steps, counts, options)
	})
}

// State returns the first and second moments of the parameters that have taken a step, named "exp_avg."
// and "exp_avg_sq." and the name of the parameter, and "step", the number of steps of each parameter.
// The optimizer owns the moments; it or the innermost scope owns "step".
func (o *Adam) State() []nn.Param {
	state := append(named(o.params, o.expAvg, "exp_avg."), named(o.params, o.expAvgSq, "exp_avg_sq.")...)
	steps := o.counts
	if !steps.Defined() {
		steps = torch.FromInt64(o.steps, int64(len(o.steps)))
	}
	return append(state, nn.Param{Name: "step", Tensor: steps})
}

// Load restores a State of an Adam optimizer of the same parameters; it copies the tensors. If it
// returns an error, the optimizer is unchanged.
func (o *Adam) Load(state map[string]torch.Tensor) error {
	n := Adam{params: o.params, steps: make([]int64, len(o.params))}
	// Each parameter has both moments or none.
	n.expAvg = slots(o.params, state, "exp_avg.", "exp_avg_sq.")
	n.expAvgSq = slots(o.params, state, "exp_avg.", "exp_avg_sq.")
	if err := nn.Load(n.State(), state); err != nil {
		n.Free()
		return err
	}
	n.steps = state["step"].Int64s() // before Free: they may be its own
	o.Free()
	o.expAvg, o.expAvgSq, o.steps = n.expAvg, n.expAvgSq, n.steps
	return nil
}

// Free frees the state, but not the parameters.
func (o *Adam) Free() {
	free(o.expAvg)
	free(o.expAvgSq)
	o.counts.Free()
	o.counts = torch.Tensor{}
}

// fill sets the undefined tensors of ts for which wanted is true to kept zeros, adjacent in memory where the
// parameters are.
func fill(ts []torch.Tensor, params []nn.Param, wanted func(i int) bool) {
	var of []torch.Tensor
	var at []int
	for i, t := range ts {
		if !t.Defined() && wanted(i) {
			of, at = append(of, params[i].Tensor), append(at, i)
		}
	}
	for k, zeros := range torch.ZerosLike(of) {
		ts[at[k]] = zeros.Keep()
	}
}

// named returns the defined tensors of ts, each with the prefix and the name of its parameter.
func named(params []nn.Param, ts []torch.Tensor, prefix string) []nn.Param {
	var out []nn.Param
	for i, t := range ts {
		if t.Defined() {
			out = append(out, nn.Param{Name: prefix + params[i].Name, Tensor: t})
		}
	}
	return out
}

// slots returns, for each parameter, a kept tensor of zeros if state has a tensor for it under one of
// the prefixes, else the undefined tensor. nn.Load fills them.
func slots(params []nn.Param, state map[string]torch.Tensor, prefixes ...string) []torch.Tensor {
	ts := make([]torch.Tensor, len(params))
	fill(ts, params, func(i int) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { _, ok := state[prefix+params[i].Name]; return ok })
	})
	return ts
}

// free frees all tensors of ts and sets them to the undefined tensor.
func free(ts []torch.Tensor) {
	for i, t := range ts {
		t.Free()
		ts[i] = torch.Tensor{}
	}
}
