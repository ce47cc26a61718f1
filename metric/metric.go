// Package metric evaluates a classifier: mean loss, top-1 and top-5 accuracy. The sums stay on the
// device of the tensors until the score is read.
package metric

import (
	"context"
	"errors"

	"hdas/datasets"
	"hdas/metric/score"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/nn"
)

// Score is the loss and the accuracy over a number of samples.
type Score = score.Score

// Meter accumulates the losses and accuracies of batches. The zero Meter is empty. It owns a tensor,
// which Reset frees.
type Meter struct {
	sums torch.Tensor // Float64 (4): loss, correct top-1, correct top-5, samples
}

// Add adds a batch with that mean loss (a scalar), logits (N,Classes) and labels (N).
func (m *Meter) Add(loss, logits, labels torch.Tensor) {
	torch.Within(func(*torch.Scope) {
		torch.NoGrad(func() {
			n := labels.Size(0)
			guesses := logits.TopK(min(5, logits.Size(1)), 1).Equal(labels.Reshape(n, 1))
			batch := torch.Stack([]torch.Tensor{
				loss.To(torch.Float64).MulScalar(float64(n)),
				guesses.Narrow(1, 0, 1).Sum().To(torch.Float64),
				guesses.Sum().To(torch.Float64),
				torch.Ones(torch.Options{DType: torch.Float64, Device: logits.Device()}).MulScalar(float64(n)),
			}, 0)
			if !m.sums.Defined() {
				m.sums = batch.Keep()
			} else {
				m.sums.Add_(batch)
			}
		})
	})
}

// Score returns the score of all samples added so far. It copies the sums from the device.
func (m *Meter) Score() Score { return m.Total(nil) }

// Total returns the score of the samples of all processes of a group, each of which calls it.
func (m *Meter) Total(g *dist.Group) Score {
	s := make([]float64, 4)
	if m.sums.Defined() {
		s = m.sums.Float64s()
	}
	s = g.Sum(s...)
	return score.Sums{Loss: s[0], First: s[1], Five: s[2], Samples: s[3]}.Score()
}

// Reset empties the meter and frees its tensor.
func (m *Meter) Reset() {
	m.sums.Free()
	m.sums = torch.Tensor{}
}

// State returns the state of the meter for a checkpoint within an epoch, nil if the meter is empty. The
// tensor stays the meter's.
func (m *Meter) State() []nn.Param {
	if !m.sums.Defined() {
		return nil
	}
	return []nn.Param{{Name: "sums", Tensor: m.sums}}
}

// TotalState returns the State of a meter with the samples of all processes of a group, each of which calls it. The
// innermost scope owns the tensor, or the meter, of a single process.
func (m *Meter) TotalState(g *dist.Group) []nn.Param {
	if g == nil {
		return m.State()
	}
	sums := torch.FromFloat64(make([]float64, 4), 4)
	if m.sums.Defined() {
		sums.Copy_(m.sums)
	}
	if g.AllReduce([]torch.Tensor{sums}, 1); sums.Float64s()[3] == 0 {
		return nil
	}
	return []nn.Param{{Name: "sums", Tensor: sums}}
}

// Load restores a State on a device. It copies the tensor.
func (m *Meter) Load(state map[string]torch.Tensor, d torch.Device) {
	m.Reset()
	if sums, ok := state["sums"]; ok {
		m.sums = sums.ToDevice(d).Clone().Keep()
	}
}

// Tensors returns the images (N,C,H,W) of a batch in the type of o and its labels (N), on the device of
// o. They belong to the innermost scope.
func Tensors(b datasets.Batch, o torch.Options) (images, labels torch.Tensor) {
	images = o.Device.FromFloat32(b.Images, int64(b.N), int64(b.C), int64(b.H), int64(b.W))
	return images.To(o.DType), o.Device.FromInt64(b.Labels, int64(b.N))
}

// Mixed returns the other labels (N) of a batch whose images were mixed by mixup or CutMix, and the shares (2) of
// both, on the device of o; nothing for other batches. They belong to the innermost scope.
func Mixed(b datasets.Batch, o torch.Options) []torch.Tensor {
	if len(b.Others) == 0 {
		return nil
	}
	return []torch.Tensor{o.Device.FromInt64(b.Others, int64(b.N)), o.Device.FromFloat64([]float64{b.Share, 1 - b.Share}, 2).To(o.DType)}
}

// CrossEntropy returns the mean cross-entropy, a scalar, of logits (N,Classes) for labels (N). If mixed is what
// Mixed returned, and not empty, it is the mean of the losses for both labels, weighted by their shares.
// smoothing is the label smoothing.
func CrossEntropy(logits, labels torch.Tensor, mixed []torch.Tensor, smoothing float64) torch.Tensor {
	loss := torch.CrossEntropy(logits, labels, smoothing)
	if len(mixed) == 0 {
		return loss
	}
	others, shares := mixed[0], mixed[1]
	return loss.Mul(shares.Select(0, 0)).Add(torch.CrossEntropy(logits, others, smoothing).Mul(shares.Select(0, 1)))
}

// Evaluate runs a classifier on one epoch of a loader, without gradients and in evaluation mode, and
// returns its score; the loss is the cross-entropy. forward returns logits (N,Classes). step is called
// after each batch; it may be nil. Evaluate leaves no tensor, even if it fails or ctx is cancelled.
func Evaluate(ctx context.Context, forward func(c *nn.Ctx, images torch.Tensor) torch.Tensor, l *datasets.Loader, o torch.Options, step func()) (s Score, err error) {
	return Describe(ctx, forward, l, o, step, nil, nil)
}

// Describe is Evaluate that adds the predictions to a tally, unless that is nil. With a group each process evaluates the
// images of its own loader, and all get the score and the tally of all images.
func Describe(ctx context.Context, forward func(c *nn.Ctx, images torch.Tensor) torch.Tensor, l *datasets.Loader, o torch.Options, step func(), tally *score.Tally, g *dist.Group) (s Score, err error) {
	var m Meter
	defer func() {
		err = errors.Join(err, torch.Do(func(*torch.Scope) error { m.Reset(); return nil }))
	}()
	for b, err := range l.Epoch(ctx, 0, 0) {
		if err != nil {
			return s, err
		}
		err = torch.Do(func(*torch.Scope) error {
			if b.Blank {
				return nil
			}
			torch.NoGrad(func() {
				images, labels := Tensors(b, o)
				logits := forward(&nn.Ctx{}, images)
				m.Add(torch.CrossEntropy(logits, labels, 0), logits, labels)
				if tally != nil {
					Tally(tally, logits, b.Labels)
				}
			})
			return nil
		})
		if err != nil {
			return s, err
		}
		if step != nil {
			step()
		}
	}
	err = torch.Do(func(*torch.Scope) error {
		if s = m.Total(g); tally != nil {
			tally.SetNumbers(g.Sum(tally.Numbers()...))
		}
		return nil
	})
	return s, err
}

// Tally adds a batch with those logits (N,Classes) to a tally.
func Tally(t *score.Tally, logits torch.Tensor, labels []int64) {
	classes := int(logits.Size(1))
	p := logits.To(torch.Float64).Softmax(1).Float64s()
	for i, label := range labels {
		t.Add(p[i*classes:(i+1)*classes], int(label))
	}
}
