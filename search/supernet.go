// Package search finds cells and stages by gradient descent on a supernet: the network of a dense
// genotype whose undecided edges are mixtures. Weights learn on one half of the training data,
// architecture parameters on the other (bilevel optimisation).
package search

import (
	"fmt"
	"hdas/configs"

	"hdas/models"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// Supernet is a network over a space, with its weights and its architecture parameters.
type Supernet struct {
	Net     *models.Network
	Weights *nn.Store
	Arch    *Arch
	// Recompute says what a cell computes again for its gradient instead of storing it.
	Recompute kernel.Recompute
	// Path says what code computes a cell while learning.
	Path kernel.Path
	// Autocast is the type that convolutions are computed in while learning; Float32: the weights'.
	Autocast torch.DType
	theta    []float64
	config   configs.SearchSection
}

// NewSupernet makes the supernet of a space for images of that shape. It runs inside torch.Do;
// the caller frees it.
func NewSupernet(s space.Space, c configs.SearchSection, m plan.Macro, image layer.Shape, o torch.Options) (*Supernet, error) {
	m.Auxiliary = false // a supernet has no auxiliary head
	p, err := plan.New(s.Dense, m, image, s.Candidates)
	if err != nil {
		return nil, err
	}
	n := &Supernet{Weights: nn.NewStore(o), Arch: NewArch(o, s, c), config: c}
	if n.Recompute, err = kernel.ParseRecompute(c.Recompute); err != nil {
		return nil, err
	}
	if n.Net, err = models.Build(n.Weights, p); err != nil {
		n.Free()
		return nil, err
	}
	if s.MinCells > 0 {
		if n.theta, err = n.thetas(c.Theta); err != nil {
			n.Free()
			return nil, err
		}
	}
	return n, nil
}

// Free frees all parameters.
func (n *Supernet) Free() {
	n.Weights.Free()
	n.Arch.Store.Free()
}

// Logits returns the logits (N,Classes) for images (N,C,H,W), with the architecture as it is now. Of
// c everything counts but its Mix. No gradient of the architecture's parameters can be asked for.
func (n *Supernet) Logits(c *nn.Ctx, images torch.Tensor) torch.Tensor {
	return n.logits(c, images, n.Arch.Mix(false))
}

func (n *Supernet) logits(c *nn.Ctx, images torch.Tensor, mix *nn.Mix) torch.Tensor {
	with := *c
	with.Mix = mix
	logits, _ := n.Net.Forward(&with, images)
	return logits
}

// Sample is a batch of images (N,C,H,W) and labels (N).
type Sample struct{ Images, Labels torch.Tensor }

// ArchLoss returns the loss of the architecture on a batch of the validation half: one loss of all
// parts (H-DAS eq. 6).
func (n *Supernet) ArchLoss(s Sample) Losses {
	mix := n.Arch.Mix(true)
	logits := n.logits(n.learning(), s.Images, mix)
	return n.archLoss(torch.CrossEntropy(logits, s.Labels, 0), mix)
}

// WeightLoss returns the training loss and the logits. No gradient of the architecture's parameters
// can be asked for.
func (n *Supernet) WeightLoss(s Sample) (loss, logits torch.Tensor) {
	logits = n.Logits(n.learning(), s.Images)
	return torch.CrossEntropy(logits, s.Labels, 0), logits
}

// learning is how a step computes.
func (n *Supernet) learning() *nn.Ctx {
	return &nn.Ctx{Train: true, Recompute: n.Recompute, Path: n.Path, Autocast: n.Autocast}
}

func (n *Supernet) String() string {
	return fmt.Sprintf("%s supernet: %d weights, %d architecture parameters", n.config.Kind, n.Weights.Count(nil), n.Arch.Store.Count(nil))
}
