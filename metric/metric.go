// Package metric measures a classifier: the mean loss and the share of samples whose class is
// among the first guesses, summed where the tensors are and read back once.
package metric

import (
	"context"
	"errors"

	"hdas/datasets"
	"hdas/metric/score"
	"hdas/torch"
	"hdas/torch/nn"
)

// Score is the result over all samples seen.
type Score = score.Score

// Meter sums up batches. The zero Meter is empty; its tensor is kept until Free.
type Meter struct {
	sums torch.Tensor // Float64 (4): loss, first guesses, first five, samples
}

// Add counts a batch with that mean loss, logits (N,K) and labels (N).
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

// Score reads the sums back.
func (m *Meter) Score() Score {
	if !m.sums.Defined() {
		return Score{}
	}
	s := m.sums.Float64s()
	return score.Sums{Loss: s[0], First: s[1], Five: s[2], Samples: s[3]}.Score()
}

// Reset empties the meter.
func (m *Meter) Reset() {
	m.sums.Free()
	m.sums = torch.Tensor{}
}

// State is the meter's, to be saved in the middle of an epoch; empty at its start.
func (m *Meter) State() []nn.Param {
	if !m.sums.Defined() {
		return nil
	}
	return []nn.Param{{Name: "sums", Tensor: m.sums}}
}

// Load puts a State back, onto a device.
func (m *Meter) Load(state map[string]torch.Tensor, d torch.Device) {
	m.Reset()
	if sums, ok := state["sums"]; ok {
		m.sums = sums.ToDevice(d).Clone().Keep()
	}
}

// Tensors are a batch as images (N,C,H,W) of that type and labels (N), on that device.
func Tensors(b datasets.Batch, o torch.Options) (images, labels torch.Tensor) {
	images = torch.FromFloat32(b.Images, int64(b.N), int64(b.C), int64(b.H), int64(b.W))
	return images.Upload(o.Device).To(o.DType), torch.FromInt64(b.Labels, int64(b.N)).Upload(o.Device)
}

// CrossEntropy is a batch's mean loss for logits (N,K) and the labels (N) of its Tensors: of mixed
// images the mean of both labels', weighed by their shares. smoothing is the label smoothing.
func CrossEntropy(logits, labels torch.Tensor, b datasets.Batch, smoothing float64) torch.Tensor {
	loss := torch.CrossEntropy(logits, labels, smoothing)
	if len(b.Others) == 0 {
		return loss
	}
	others := torch.FromInt64(b.Others, int64(b.N)).Upload(logits.Device())
	return loss.MulScalar(b.Share).Add(torch.CrossEntropy(logits, others, smoothing).MulScalar(1 - b.Share))
}

// Evaluate runs a classifier over one pass of a loader, without gradients and in evaluation mode,
// and returns its score with the cross-entropy as loss. step, if any, is called after each batch.
// No tensor is left, also where it fails or ctx ends.
func Evaluate(ctx context.Context, forward func(c *nn.Ctx, images torch.Tensor) torch.Tensor, l *datasets.Loader, o torch.Options, step func()) (s Score, err error) {
	var m Meter
	defer func() {
		err = errors.Join(err, torch.Do(func(*torch.Scope) error { m.Reset(); return nil }))
	}()
	for b, err := range l.Epoch(ctx, 0, 0) {
		if err != nil {
			return s, err
		}
		err = torch.Do(func(*torch.Scope) error {
			torch.NoGrad(func() {
				images, labels := Tensors(b, o)
				logits := forward(&nn.Ctx{}, images)
				m.Add(torch.CrossEntropy(logits, labels, 0), logits, labels)
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
	err = torch.Do(func(*torch.Scope) error { s = m.Score(); return nil })
	return s, err
}
