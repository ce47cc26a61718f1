// Package parallel is what trainings and searches need to be computed by several processes: each has a copy of the network
// and computes the gradient of its images, and the gradients are added up before each step of an optimizer.
package parallel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"hdas/datasets"
	"hdas/setting"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// Member is this process as one of those that compute a run together. A nil Member is a single process.
//
// A process learns from the loss of its images times its share of the images of all processes. The sum of the gradients
// is then the gradient of the mean loss of all images. Batch norms use the statistics of the images of their process, and
// Reduce averages the running statistics; or those of all images, as Norms says.
type Member struct {
	group  *dist.Group
	shares []float64      // of this process in the batches of the step
	same   []torch.Tensor // what all processes have alike: weights and running statistics
	asked  context.Context
	stop   context.CancelFunc
}

// New returns the member of a group that this process is; nil if the group is nil.
func New(g *dist.Group) *Member {
	if g == nil {
		return nil
	}
	return &Member{group: g}
}

// Divides returns a *setting.Fault if a batch, the setting of that key, cannot be divided among the processes of a group.
func Divides(key string, batch int, g *dist.Group) error {
	if n := g.World(); batch%n != 0 {
		return &setting.Fault{Key: key, Value: batch, Why: fmt.Sprintf("is not a multiple of %d, the number of processes, each of which computes an equal part", n)}
	}
	return nil
}

// Follow returns a context that is cancelled when the processes have agreed to stop: after the step in which the
// context of one of them was cancelled.
func (m *Member) Follow(ctx context.Context) context.Context {
	if m == nil {
		return ctx
	}
	m.asked = ctx
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	return ctx
}

// Join begins a run, or goes on with it, after that epoch and so many steps of the next. All processes get the parameters
// that rank 0 has in the stores, which the caller keeps. If draw is true, ranks other than 0 get random numbers of their own.
func (m *Member) Join(seed uint64, epoch, batch int, draw bool, stores ...*nn.Store) error {
	if m == nil {
		return nil
	}
	here := fmt.Sprintf("after epoch %d and %d steps", epoch, batch)
	for rank, there := range m.group.Gather([]byte(here)) {
		if string(there) != here {
			return fmt.Errorf("rank %d goes on %s, rank %d %s: the processes do not see the same run folder; put it on a file system that all hosts share", m.group.Rank(), here, rank, there)
		}
	}
	for _, s := range stores {
		for p := range s.All() {
			m.same = append(m.same, p.Tensor)
		}
	}
	m.group.Broadcast(m.same)
	if rank := m.group.Rank(); rank > 0 && draw { // other random numbers for other images
		torch.Seed(rand.NewPCG(seed, uint64(epoch)<<40^uint64(batch)<<16^uint64(rank)).Uint64())
	}
	return nil
}

// Agreed yields the items of an epoch, each of which has the batches that a step learns from. Before each the processes tell
// each other how many images they have, and whether they are to stop. An item is left out if one of its batches is blank in
// all processes.
func Agreed[B any](m *Member, epoch iter.Seq2[B, error], batches func(B) []datasets.Batch) iter.Seq2[B, error] {
	if m == nil {
		return epoch
	}
	return func(yield func(B, error) bool) {
		for b, err := range epoch {
			learns := false
			if err == nil {
				learns, err = m.agree(batches(b))
			}
			if err == nil && !learns {
				continue
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// agree sets the shares of this process in the batches of a step. It reports whether each has images in some process.
func (m *Member) agree(batches []datasets.Batch) (learns bool, err error) {
	numbers := make([]float64, len(batches)+1)
	for i, b := range batches {
		if !b.Blank {
			numbers[i] = float64(b.N)
		}
	}
	if m.asked != nil && m.asked.Err() != nil {
		numbers[len(batches)] = 1
	}
	var sums []float64
	if err := torch.Do(func(*torch.Scope) error { sums = m.group.Sum(numbers...); return nil }); err != nil {
		return false, err
	}
	if sums[len(batches)] > 0 {
		m.stop()
	}
	learns, m.shares = true, m.shares[:0]
	for i := range batches {
		learns = learns && sums[i] > 0
		m.shares = append(m.shares, numbers[i]/max(1, sums[i]))
	}
	return learns, nil
}

// Share returns the share of this process in batch i of the step: a number in [0,1].
func (m *Member) Share(i int) float64 {
	if m == nil {
		return 1
	}
	return m.shares[i]
}

// Norms returns the statistics that batch norms use in a pass on a batch of which this process has that share: its own, or
// those of all processes if sync is true.
func (m *Member) Norms(sync bool, share float64) kernel.Norm {
	switch {
	case m == nil || !sync:
		return kernel.BatchStatistics
	case share == 0:
		return kernel.BlankStatistics
	}
	return kernel.SyncStatistics
}

// Least returns the smallest of the numbers of all processes.
func (m *Member) Least(n int) int {
	if m == nil {
		return n
	}
	for _, text := range m.group.Gather(binary.LittleEndian.AppendUint64(nil, uint64(n))) {
		n = min(n, int(binary.LittleEndian.Uint64(text)))
	}
	return n
}

// Sum sets gradients of a batch, of which this process has that share, to their sums over the processes, in place. Undefined
// tensors are left out. Without a share a process adds nothing: its loss is multiplied by 0, but through synchronised norms its
// black images have gradients of the losses of others.
func (m *Member) Sum(grads []torch.Tensor, share float64) {
	if m == nil {
		return
	}
	if share == 0 {
		torch.ScaleAll(grads, 0)
	}
	m.group.AllReduce(grads, 1)
}

// Reduce is Sum, and averages the running statistics that the pass has changed in each process on its own.
func (m *Member) Reduce(grads []torch.Tensor, share float64, statistics []torch.Tensor) {
	if m == nil {
		return
	}
	torch.ScaleAll(statistics, share)
	m.Sum(append(grads[:len(grads):len(grads)], statistics...), share)
}

// Statistics returns the running statistics of a store.
func Statistics(s *nn.Store) (list []nn.Param) {
	for p := range s.All() {
		if !p.Trainable {
			list = append(list, p)
		}
	}
	return list
}

// Gather returns the values of the ranks other than 0, in their order. They are encoded as JSON.
func Gather[V any](m *Member, value V) (others []V, err error) {
	if m == nil {
		return nil, nil
	}
	text, err := json.Marshal(value)
	for _, text := range m.group.Gather(text)[1:] {
		var v V
		err = errors.Join(err, json.Unmarshal(text, &v))
		others = append(others, v)
	}
	return others, err
}

// Same returns an error if the parameters that Join was given are not the same in all processes, bit for bit.
func (m *Member) Same() error {
	if m == nil {
		return nil
	}
	h := sha256.New()
	for _, t := range m.same {
		h.Write(t.Bytes())
	}
	digests := m.group.Gather(h.Sum(nil))
	for rank, d := range digests {
		if !bytes.Equal(d, digests[0]) {
			return fmt.Errorf("the weights of rank %d are not those of rank 0: the processes have not computed the same; do they run the same program on the same data?", rank)
		}
	}
	return nil
}

// Written returns when rank 0 has written the folder of a run that has ended or stopped.
func (m *Member) Written() error {
	if m == nil {
		return nil
	}
	return torch.Do(func(*torch.Scope) error { m.group.Barrier(); return nil })
}
