package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"

	"hdas/configs"
	"hdas/datasets"
	"hdas/setting"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/nn"
)

// shared is what a training needs to be one of several processes. In each step every process computes the gradient of
// its own images; Learner.Reduce then makes it the gradient of the mean loss of all. Batch norms use the statistics of the
// images of their process, and the running statistics of all processes are averaged after each step.
type shared struct {
	weight  float64        // of this process in the step: its share of the images
	buffers []torch.Tensor // running statistics
	asked   context.Context
	stop    context.CancelFunc
}

// Divides returns a *setting.Fault if the processes of a group, which may be nil, cannot train together with those
// settings.
func Divides(c configs.TrainSection, g *dist.Group) error {
	if g != nil && c.Probe {
		return &setting.Fault{Key: "train.probe", Value: true, Why: "is for one process"}
	}
	if n := g.World(); c.Batch%n != 0 {
		return &setting.Fault{Key: "train.batch", Value: c.Batch, Why: fmt.Sprintf("is not a multiple of %d, the number of processes, each of which computes an equal part", n)}
	}
	return nil
}

// follow returns a context that is cancelled when the processes have agreed to stop: after the step in which the
// context of one of them was cancelled.
func (t *task) follow(ctx context.Context) context.Context {
	if t.Group == nil {
		return ctx
	}
	t.shared.asked = ctx
	ctx, t.shared.stop = context.WithCancel(context.WithoutCancel(ctx))
	return ctx
}

// join makes a training that begins or goes on there one of several processes.
func (t *task) join(epoch, batch int) error {
	here := fmt.Sprintf("after epoch %d and %d steps", epoch, batch)
	for rank, there := range t.Group.Gather([]byte(here)) {
		if string(there) != here {
			return fmt.Errorf("rank %d goes on %s, rank %d %s: the processes do not see the same run folder; put it on a file system that all hosts share", t.Group.Rank(), here, rank, there)
		}
	}
	for p := range t.model.Weights.All() {
		if !p.Trainable {
			t.shared.buffers = append(t.shared.buffers, p.Tensor)
		}
	}
	t.Group.Broadcast(append(nn.Tensors(t.model.Weights.Weights()), t.shared.buffers...))
	t.step.Reduce = t.reduce
	if rank := t.Group.Rank(); rank > 0 { // other random numbers for other images
		torch.Seed(rand.NewPCG(t.Seed, uint64(epoch)<<40^uint64(batch)<<16^uint64(rank)).Uint64())
	}
	return nil
}

// reduce averages gradients over the images of all processes, and the running statistics over the processes.
func (t *task) reduce(grads []torch.Tensor) {
	all := grads
	if !t.Config.FreezeNorm {
		all = append(grads[:len(grads):len(grads)], t.shared.buffers...)
	}
	t.Group.AllReduce(all, t.shared.weight)
}

// agreed yields the batches of an epoch. Before each the processes tell each other how many images they have, and
// whether they are to stop. A batch that is blank in all of them is left out.
func (t *task) agreed(epoch iter.Seq2[datasets.Batch, error]) iter.Seq2[datasets.Batch, error] {
	if t.Group == nil {
		return epoch
	}
	return func(yield func(datasets.Batch, error) bool) {
		for b, err := range epoch {
			var all float64
			if err == nil {
				all, err = t.agree(b)
			}
			if err == nil && all == 0 {
				continue
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// agree returns the number of images in the step of all processes and sets the weight of this one.
func (t *task) agree(b datasets.Batch) (all float64, err error) {
	images, stop := float64(b.N), 0.
	if b.Blank {
		images = 0
	}
	if t.shared.asked != nil && t.shared.asked.Err() != nil {
		stop = 1
	}
	err = torch.Do(func(*torch.Scope) error {
		sums := t.Group.Sum(images, stop)
		all, stop = sums[0], sums[1]
		return nil
	})
	if err == nil && stop > 0 {
		t.shared.stop()
	}
	t.shared.weight = images / max(1, all)
	return all, err
}

// sameWeights returns an error if the weights of the processes are not the same, bit for bit.
func (t *task) sameWeights() error {
	if t.Group == nil {
		return nil
	}
	h := sha256.New()
	for p := range t.model.Weights.All() {
		h.Write(p.Tensor.Bytes())
	}
	digests := t.Group.Gather(h.Sum(nil))
	for rank, d := range digests {
		if !bytes.Equal(d, digests[0]) {
			return fmt.Errorf("the weights of rank %d are not those of rank 0: the processes have not computed the same; do they run the same program on the same data?", rank)
		}
	}
	return nil
}

// written returns when rank 0 has written the folder of a run that has ended or stopped.
func (t *task) written() error {
	return torch.Do(func(*torch.Scope) error { t.Group.Barrier(); return nil })
}
