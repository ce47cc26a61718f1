// Package search finds cells and stages by gradient descent on a supernet: a network in which every
// undecided edge computes a weighted sum of all candidate operations. The network's weights learn on one half
// of the training data, the architecture parameters on the other half (bilevel optimisation).
package search

import (
	"fmt"
	"hdas/configs"

	"hdas/models"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/parallel"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// Supernet is the network of a search space, with its weights and its architecture parameters.
type Supernet struct {
	Net     *models.Network
	Weights *nn.Store
	Arch    *Arch
	// Recompute says which intermediate results are recomputed in the backward pass instead of stored.
	Recompute kernel.Recompute
	// Path selects the implementation that computes a cell while learning.
	Path kernel.Path
	// Autocast is the type of the convolutions while learning; Float32: that of the weights.
	Autocast torch.DType
	// Member is this process as one of those that search together, each on its part of the batches.
	Member *parallel.Member
	theta  []float64
	config configs.SearchSection
}

// NewSupernet returns a supernet with new weights and architecture parameters, for images of that
// shape. It runs inside torch.Do; the caller frees the supernet.
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

// Free frees the weights and the architecture parameters.
func (n *Supernet) Free() {
	n.Weights.Free()
	n.Arch.Store.Free()
}

// Logits returns the logits (N,Classes) for images (N,C,H,W) with the current architecture parameters.
// c.Mix is ignored. The logits are not connected to the architecture parameters in the autograd graph.
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
type Sample struct {
	Images, Labels torch.Tensor
	Share          float64 // of this process in the batch of all processes; not used in a single process
}

// inputs returns what a pass on a sample reads: images, labels and, with several processes, its share.
func (n *Supernet) inputs(s Sample) []torch.Tensor {
	in := []torch.Tensor{s.Images, s.Labels}
	if n.Member != nil {
		o := n.Weights.Options()
		in = append(in, o.Device.FromFloat64([]float64{s.Share}).To(o.DType))
	}
	return in
}

// part returns what inputs add to the mean of a loss over the images of all processes.
func part(loss torch.Tensor, inputs []torch.Tensor) torch.Tensor {
	if len(inputs) < 3 {
		return loss
	}
	return loss.Mul(inputs[2])
}

// ArchLoss returns the loss of the architecture, with its parts, on a batch of validation data (H-DAS
// eq. 6).
func (n *Supernet) ArchLoss(s Sample) Losses {
	mix := n.Arch.Mix(true)
	logits := n.logits(n.learning(s), s.Images, mix)
	return n.archLoss(torch.CrossEntropy(logits, s.Labels, 0), mix)
}

// WeightLoss returns the training loss, a scalar, and the logits (N,Classes). Neither is connected to
// the architecture parameters in the autograd graph.
func (n *Supernet) WeightLoss(s Sample) (loss, logits torch.Tensor) {
	logits = n.Logits(n.learning(s), s.Images)
	return torch.CrossEntropy(logits, s.Labels, 0), logits
}

// learning returns the context of a forward pass on a sample in training mode.
func (n *Supernet) learning(s Sample) *nn.Ctx {
	return &nn.Ctx{Train: true, Recompute: n.Recompute, Path: n.Path, Autocast: n.Autocast, Statistics: n.Member.Norms(n.config.SyncNorm, s.Share)}
}

func (n *Supernet) String() string {
	return fmt.Sprintf("%s supernet: %d weights, %d architecture parameters", n.config.Kind, n.Weights.Count(nil), n.Arch.Store.Count(nil))
}
