package train

import (
	"hdas/configs"
	"hdas/models"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Stepper takes training steps of a network.
type Stepper struct {
	*optim.Learner
	Net             *models.Network
	AuxiliaryWeight float64 // of the auxiliary head's loss
	// Phase, if any, is called at the end of each part of a step, with one of Phases.
	Phase func(name string)
}

// Phases are the parts of a step, as they come.
var Phases = []string{optim.Forward, optim.Backward, "optimizer"}

// NewStepper makes the optimizer of a network's weights: SGD with clipped gradients. It runs inside
// torch.Do; the caller frees it.
func NewStepper(n *models.Network, weights *nn.Store, c configs.TrainSection) Stepper {
	params := weights.Weights()
	sgd := optim.NewSGD(params, torch.SGDOptions{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: c.Nesterov})
	return Stepper{Learner: &optim.Learner{Optimizer: sgd, Params: nn.Tensors(params), Clip: c.Clip}, Net: n, AuxiliaryWeight: c.AuxiliaryWeight}
}

// Take is one step with that learning rate on images (N,C,H,W). loss computes the loss of logits
// (N,Classes), those of the auxiliary head too. It returns the loss, the auxiliary head's included,
// and the logits of the images, both outside the graph.
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

// total adds the auxiliary head's loss, where there is one.
func (s Stepper) total(logits, aux torch.Tensor, loss func(torch.Tensor) torch.Tensor) torch.Tensor {
	sum := loss(logits)
	if aux.Defined() {
		sum = sum.Add(loss(aux).MulScalar(s.AuxiliaryWeight))
	}
	return sum
}
