package train

import (
	"math"

	"hdas/configs"
	"hdas/models"
	"hdas/parallel"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Stepper runs the training steps of a network.
type Stepper struct {
	*optim.Learner
	Net             *models.Network
	AuxiliaryWeight float64          // weight of the auxiliary head's loss
	Phase           optim.Phase      // called with the names Phases
	Member          *parallel.Member // this process as one of those that take the steps together, each on its part of the batches

	passes  *torch.Replayer // of the forward and backward pass of a part
	factors []float64       // of the learning rates of the groups
	all     []torch.Tensor  // the parameters, and, of the head alone, those that learn while the backbone is frozen
	head    []torch.Tensor

	statistics, headStatistics []torch.Tensor // running statistics of all batch norms, and of those of the head
}

// Phases are the names of the parts of a step, in order.
var Phases = []string{optim.Forward, optim.Backward, "optimizer"}

// NewStepper returns a Stepper with a new optimizer for the network's weights. It runs inside torch.Do; the
// caller frees the Stepper, which does not own the weights.
func NewStepper(n *models.Network, weights *nn.Store, c configs.TrainSection) Stepper {
	groups, factors, isHead := parameterGroups(n, weights, c)
	params := optim.Params(groups)
	s := Stepper{Net: n, passes: new(torch.Replayer), AuxiliaryWeight: c.AuxiliaryWeight, factors: factors, all: nn.Tensors(params), head: make([]torch.Tensor, len(params))}
	for i, p := range params {
		if isHead(p.Name) {
			s.head[i] = p.Tensor
		}
	}
	for _, p := range parallel.Statistics(weights) {
		s.statistics = append(s.statistics, p.Tensor)
		if isHead(p.Name) {
			s.headStatistics = append(s.headStatistics, p.Tensor)
		}
	}
	s.Learner = &optim.Learner{Optimizer: newOptimizer(groups, c), Params: s.all}
	clip(s.Learner, c)
	return s
}

// Record makes steps record their passes as CUDA graphs and replay them, where the network is on a CUDA device. The
// results of a step are the same.
func (s Stepper) Record() { s.passes.On = true }

// Free frees the recorded passes and the state of the optimizer, not the weights.
func (s Stepper) Free() {
	s.passes.Free()
	s.Learner.Free()
}

// clip sets how a learner clips gradients.
func clip(l *optim.Learner, c configs.TrainSection) {
	switch c.ClipBy {
	case configs.ClipValue:
		l.ClipValue = c.Clip
	case configs.ClipNorm:
		l.Clip = c.Clip
	}
}

func newOptimizer(groups []optim.Group, c configs.TrainSection) optim.Optimizer {
	if c.Optimizer == configs.AdamWOptimizer {
		return optim.NewAdamW(groups, torch.AdamOptions{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps})
	}
	return optim.NewGroupedSGD(groups, torch.SGDOptions{Momentum: c.Momentum, Nesterov: c.Nesterov})
}

// parameterGroups returns the groups of parameters with the same learning rate and weight decay, in the order of
// the network, the factors of their learning rates, and whether a parameter belongs to the head: the classifier
// and the auxiliary head. A cell's factor is LayerDecay to the power of its distance from the head, times that of
// the backbone.
func parameterGroups(n *models.Network, weights *nn.Store, c configs.TrainSection) (groups []optim.Group, factors []float64, isHead func(name string) bool) {
	depths, head := n.Plan.Depths()
	isHead = func(name string) bool { return depths[name] == head }
	type key struct{ factor, decay float64 }
	at := map[key]int{}
	for _, p := range weights.Weights() {
		k := key{1, c.WeightDecay}
		if !isHead(p.Name) {
			k.factor = c.BackboneLR * math.Pow(c.LayerDecay, float64(head-depths[p.Name]))
		}
		if !c.NormDecay && len(p.Tensor.Shape()) == 1 { // scales and shifts of batch norms, and the classifier's bias
			k.decay = 0
		}
		i, known := at[k]
		if !known {
			i = len(groups)
			at[k], groups, factors = i, append(groups, optim.Group{Decay: k.decay}), append(factors, k.factor)
		}
		groups[i].Params = append(groups[i].Params, p)
	}
	return groups, factors, isHead
}

// Part is a part of a step's batch.
type Part struct {
	In []torch.Tensor // the images (N,C,H,W), and what the loss needs, such as labels
	// Loss returns the loss of logits (N,Classes); it is also called for those of the auxiliary head. It depends on
	// nothing else that changes from step to step.
	Loss  func(in []torch.Tensor, logits torch.Tensor) torch.Tensor
	Share float64 // of this part in the batch of this process; the shares of a batch add up to 1
}

// Take runs one step on a batch with that learning rate and returns the loss, with that of the auxiliary head, and
// the logits (N,Classes), both detached.
func (s Stepper) Take(c *nn.Ctx, rate float64, p Part) (total, logits torch.Tensor) {
	total, _ = s.Accumulate(c, rate, 1, func(int) Part { return p }, func(_, of torch.Tensor) { logits = of })
	return total, logits
}

// Accumulate runs one step on a batch in parts, whose gradients are added up, also over processes, and returns the loss of
// the batch of this process and the gradient norm before clipping, both detached. part returns part i; seen is called with
// its loss and its logits, both detached, which are freed after it if there are several parts.
func (s Stepper) Accumulate(c *nn.Ctx, rate float64, parts int, part func(i int) Part, seen func(loss, logits torch.Tensor)) (total, norm torch.Tensor) {
	s.Params = s.all
	if c.Frozen {
		s.Params = s.head
	}
	o := torch.Options{DType: s.all[0].DType(), Device: s.all[0].Device()}
	shared := parts > 1 || s.Member != nil
	if parts > 1 {
		total = torch.Zeros(o)
	}
	grads := s.Sum(parts, func(i int) []torch.Tensor {
		p := part(i)
		in := p.In
		if shared {
			in = append(in, o.Device.FromFloat64([]float64{p.Share * s.Member.Share(0)}).To(o.DType))
		}
		made := s.passes.Call(passKey{c.DropPath, c.Frozen}, in, func(in []torch.Tensor) []torch.Tensor {
			logits, aux := s.Net.Forward(c, in[0])
			loss := s.total(logits, aux, func(logits torch.Tensor) torch.Tensor { return p.Loss(in, logits) })
			share := loss // of the loss of the batch of all processes
			if shared {
				share = loss.Mul(in[len(in)-1])
			}
			s.Phase.End(optim.Forward)
			return append([]torch.Tensor{loss.Detach(), logits.Detach()}, s.Gradient(share)...)
		})
		s.Phase.End(optim.Backward)
		seen(made[0], made[1])
		if parts == 1 {
			total = made[0]
		} else {
			torch.NoGrad(func() { total.Add_(made[0].MulScalar(p.Share)) })
		}
		return made[2:]
	})
	s.Member.Reduce(grads, s.Member.Share(0), s.changed(c))
	rates := make([]float64, len(s.factors))
	for i, factor := range s.factors {
		rates[i] = rate * factor
	}
	norm = s.Step(rates, grads)
	s.Phase.End("optimizer")
	return total, norm
}

// changed returns the running statistics that a pass with that context changes in each process on its own.
func (s Stepper) changed(c *nn.Ctx) []torch.Tensor {
	switch {
	case c.Statistics != kernel.BatchStatistics: // those of all processes
		return nil
	case c.Frozen || c.FrozenNorms:
		return s.headStatistics
	}
	return s.statistics
}

// passKey is what the recorded passes depend on besides their inputs.
type passKey struct {
	dropPath float64
	frozen   bool
}

// total returns the loss of the logits plus the weighted loss of the auxiliary head, if there is one.
func (s Stepper) total(logits, aux torch.Tensor, loss func(torch.Tensor) torch.Tensor) torch.Tensor {
	sum := loss(logits)
	if aux.Defined() {
		sum = sum.Add(loss(aux).MulScalar(s.AuxiliaryWeight))
	}
	return sum
}
