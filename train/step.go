package train

import (
	"hdas/configs"
	"hdas/models"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Stepper runs the training steps of a network.
type Stepper struct {
	*optim.Learner
	Net             *models.Network
	AuxiliaryWeight float64 // weight of the auxiliary head's loss
	// Phase is called at the end of each part of a step with its name, one of Phases; it may be nil.
	Phase func(name string)
}

// Phases are the names of the parts of a step, in order.
var Phases = []string{optim.Forward, optim.Backward, "optimizer"}

// NewStepper returns a Stepper with a new SGD optimizer, whose gradients are clipped, for the network's
// weights. It runs inside torch.Do; the caller frees the Stepper, which does not own the weights.
func NewStepper(n *models.Network, weights *nn.Store, c configs.TrainSection) Stepper {
	params := weights.Weights()
	sgd := optim.NewSGD(params, torch.SGDOptions{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: c.Nesterov})
	return Stepper{Learner: &optim.Learner{Optimizer: sgd, Params: nn.Tensors(params), Clip: c.Clip}, Net: n, AuxiliaryWeight: c.AuxiliaryWeight}
}

// Take runs one step on images (N,C,H,W) with that learning rate and returns the loss, with that of the
// auxiliary head, and the logits (N,Classes), both detached. The function loss computes the loss of
// logits (N,Classes); it is also called for those of the auxiliary head.
func (s Stepper) Take(c *nn.Ctx, rate float64, images torch.Tensor, loss func(logits torch.Tensor) torch.Tensor) (total, logits torch.Tensor) {
	grads := s.Gradient(1, func(int) torch.Tensor {
		main, aux := s.Net.Forward(c, images)
		sum := s.total(main, aux, loss)
		total, logits = sum.Detach(), main.Detach()
		return sum
	}, s.Phase)
	s.Learner.Step([]float64{rate}, grads)
	if s.Phase != nil {
		s.Phase("optimizer")
	}
	return total, logits
}

// total returns the loss of the logits plus the weighted loss of the auxiliary head, if there is one.
func (s Stepper) total(logits, aux torch.Tensor, loss func(torch.Tensor) torch.Tensor) torch.Tensor {
	sum := loss(logits)
	if aux.Defined() {
		sum = sum.Add(loss(aux).MulScalar(s.AuxiliaryWeight))
	}
	return sum
}
