// Package search finds cells and stages by gradient descent on a supernet: the network of a dense
// genotype whose undecided edges are mixtures. Weights learn on one half of the training data,
// architecture parameters on the other (bilevel optimisation).
package search

import (
	"fmt"

	"hdas/models"
	"hdas/models/layer"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// Supernet is a network over a space, with its weights and its architecture parameters.
type Supernet struct {
	Net     *models.Network
	Weights *nn.Store
	Arch    *Arch
	theta   []float64
	config  Config
}

// NewSupernet makes the supernet of a space for images of that shape. It runs inside torch.Do;
// the caller frees it.
func NewSupernet(s space.Space, c Config, m models.Macro, image layer.Shape, o torch.Options) (*Supernet, error) {
	m.Auxiliary = false // a supernet has no auxiliary head
	plan, err := models.NewPlan(s.Dense, m, image, undecided(s))
	if err != nil {
		return nil, err
	}
	n := &Supernet{Weights: nn.NewStore(o), Arch: NewArch(o, s), config: c}
	if n.Net, err = models.Build(n.Weights.Root(), plan, n.Arch); err != nil {
		n.Free()
		return nil, err
	}
	if s.MinCells > 0 {
		n.theta = thetas(c.Theta, plan)
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

// Losses are the parts of the architecture's loss, scalars.
type Losses struct {
	Total, Classification torch.Tensor
	Depth, Complexity     torch.Tensor // undefined where the search has none
}

// ArchLoss is the loss of the architecture on a batch of the validation half: one loss of all
// parts (H-DAS eq. 6).
func (n *Supernet) ArchLoss(s Sample) (Losses, torch.Tensor) {
	logits := n.Logits(&nn.Ctx{Train: true}, s.Images, true)
	l := Losses{Classification: torch.CrossEntropy(logits, s.Labels, 0)}
	l.Total = l.Classification
	if n.config.Kind != Cell {
		l.Depth = n.Arch.depthLoss()
		l.Total = l.Total.Add(l.Depth.MulScalar(n.config.Delta))
	}
	if n.theta != nil {
		l.Complexity = n.Arch.complexityLoss(n.theta)
		l.Total = l.Total.Add(l.Complexity.MulScalar(n.config.Gamma))
	}
	return l, logits
}

// HyperGrad returns d(architecture's loss)/d(architecture parameters), in the order of their
// store, at the current weights and parameters, and leaves both as they are.
type HyperGrad func(n *Supernet, train, valid Sample) ([]torch.Tensor, Losses)

// FirstOrder takes the weights as they are, as if they did not depend on the architecture. It
// computes no gradient of theirs.
func FirstOrder(n *Supernet, _, valid Sample) ([]torch.Tensor, Losses) {
	losses, _ := n.ArchLoss(valid)
	return torch.Grad(losses.Total, nn.Tensors(n.Arch.Store.Weights())), losses
}

// WeightGrad returns the training loss, its gradient in the weights, in the order of their store,
// and the logits. It computes no gradient of the architecture's.
func (n *Supernet) WeightGrad(train Sample) (loss torch.Tensor, grads []torch.Tensor, logits torch.Tensor) {
	logits = n.Logits(&nn.Ctx{Train: true}, train.Images, false)
	loss = torch.CrossEntropy(logits, train.Labels, 0)
	return loss.Detach(), torch.Grad(loss, nn.Tensors(n.Weights.Weights())), logits.Detach()
}

func (n *Supernet) String() string {
	return fmt.Sprintf("%s supernet: %d weights, %d architecture parameters", n.config.Kind, n.Weights.Count(nil), n.Arch.Store.Count(nil))
}
