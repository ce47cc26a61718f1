// Package search finds cells and stages by gradient descent on a supernet: the network of a dense
// genotype whose undecided edges are mixtures. Weights learn on one half of the training data,
// architecture parameters on the other (bilevel optimisation).
package search

import (
	"fmt"

	"hdas/configs"
	"hdas/models"
	"hdas/models/layer"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Supernet is a network over a space, with its weights and its architecture parameters.
type Supernet struct {
	Net     *models.Network
	Weights *nn.Store
	Arch    *Arch
	// Recompute says what a cell computes again for its gradient instead of storing it.
	Recompute torch.Recompute
	// Autocast is the type that convolutions are computed in while learning; Float32: the weights'.
	Autocast torch.DType
	// Scales are those of the losses of the architecture and of the weights; nil for none.
	ArchScale, WeightScale *optim.Scaler
	theta                  []float64
	config                 configs.SearchSection
}

// NewSupernet makes the supernet of a space for images of that shape. It runs inside torch.Do;
// the caller frees it.
func NewSupernet(s space.Space, c configs.SearchSection, m models.Macro, image layer.Shape, o torch.Options) (*Supernet, error) {
	m.Auxiliary = false // a supernet has no auxiliary head
	plan, err := models.NewPlan(s.Dense, m, image, undecided(s))
	if err != nil {
		return nil, err
	}
	n := &Supernet{Weights: nn.NewStore(o), Arch: NewArch(o, s, c), config: c}
	if n.Recompute, err = torch.ParseRecompute(c.Recompute); err != nil {
		return nil, err
	}
	if n.Net, err = models.Build(n.Weights.Root(), plan, n.Arch); err != nil {
		n.Free()
		return nil, err
	}
	if s.MinCells > 0 {
		n.theta = n.thetas(c.Theta)
	}
	return n, nil
}

// Free frees all parameters.
func (n *Supernet) Free() {
	n.Weights.Free()
	n.Arch.Store.Free()
}

// Logits are the classes' (N,Classes) for images (N,C,H,W). Only with gradients can those of the
// architecture parameters be asked for.
func (n *Supernet) Logits(c *nn.Ctx, images torch.Tensor, gradients bool) torch.Tensor {
	n.Arch.softmax(gradients)
	logits, _ := n.Net.Forward(c, images)
	return logits
}

// Sample is a batch of images (N,C,H,W) and labels (N).
type Sample struct{ Images, Labels torch.Tensor }

// ArchLoss is the loss of the architecture on a batch of the validation half: one loss of all
// parts (H-DAS eq. 6).
func (n *Supernet) ArchLoss(s Sample) (Losses, torch.Tensor) {
	logits := n.Logits(n.learning(), s.Images, true)
	l := n.archLoss(torch.CrossEntropy(logits, s.Labels, 0))
	return l, logits
}

// WeightGrad returns the training loss, its gradient in the weights, in the order of their store,
// and the logits. It computes no gradient of the architecture's. The gradient is to be unscaled by
// WeightScale.
func (n *Supernet) WeightGrad(train Sample) (loss torch.Tensor, grads []torch.Tensor, logits torch.Tensor) {
	logits = n.Logits(n.learning(), train.Images, false)
	loss = torch.CrossEntropy(logits, train.Labels, 0)
	return loss.Detach(), n.WeightScale.Grad(loss, nn.Tensors(n.Weights.Weights())), logits.Detach()
}

// learning is how a step computes.
func (n *Supernet) learning() *nn.Ctx {
	return &nn.Ctx{Train: true, Recompute: n.Recompute, Autocast: n.Autocast}
}

func (n *Supernet) String() string {
	return fmt.Sprintf("%s supernet: %d weights, %d architecture parameters", n.config.Kind, n.Weights.Count(nil), n.Arch.Store.Count(nil))
}
