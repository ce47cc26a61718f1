package metric_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"hdas/datasets"
	"hdas/internal/datasetstest"
	"hdas/internal/torchtest"
	"hdas/metric"
	"hdas/torch"
	"hdas/torch/nn"
)

func within(t *testing.T, f func()) {
	t.Helper()
	torchtest.Do(t, func(*torch.Scope) { f() })
}

// Counted by hand: of four samples two have the first guess right and one more is among the first
// five of six classes. Batches of unequal size weigh by their samples.
func TestMeter(t *testing.T) {
	logits := []float64{
		9, 8, 7, 6, 5, 4,
		9, 8, 7, 6, 5, 4,
		9, 8, 7, 6, 5, 4,
		4, 5, 6, 7, 8, 9,
	}
	within(t, func() {
		var m metric.Meter
		all := torchtest.Float64s(logits, 4, 6)
		add := func(loss float64, from, n int64, labels ...int64) {
			m.Add(torchtest.Float64s([]float64{loss}).Reshape(), all.Narrow(0, from, n), torchtest.Int64s(labels, n))
		}
		if s := m.Score(); s != (metric.Score{}) {
			t.Errorf("the empty meter scores %+v", s)
		}
		add(1, 0, 3, 0, 4, 5)
		add(5, 3, 1, 5)
		if got, want := m.Score(), (metric.Score{Loss: 2, Top1: 0.5, Top5: 0.75, Samples: 4}); got != want {
			t.Errorf("score %+v, not %+v", got, want)
		}

		var other metric.Meter
		state := map[string]torch.Tensor{}
		for _, p := range m.State() {
			state[p.Name] = p.Tensor
		}
		other.Load(state, torchtest.Device())
		if other.Score() != m.Score() {
			t.Errorf("the state loads as %+v, not %+v", other.Score(), m.Score())
		}
		other.Reset()
		m.Reset()
		if s := m.State(); s != nil {
			t.Errorf("the state of an empty meter is %v", s)
		}
	})
}

// With fewer than five classes every sample is among the first five.
func TestFewClasses(t *testing.T) {
	within(t, func() {
		var m metric.Meter
		m.Add(torch.Zeros(torchtest.Options(torch.Float32)), torchtest.Float64s([]float64{1, 2}, 1, 2), torchtest.Int64s([]int64{0}, 1))
		if s := m.Score(); s.Top1 != 0 || s.Top5 != 1 {
			t.Errorf("%+v", s)
		}
		m.Reset()
	})
}

// Evaluate scores every sample once, in evaluation mode and without gradients, whatever the size of
// the batches: the same score to the last sample.
func TestEvaluate(t *testing.T) {
	data := datasetstest.Synthetic(25, 8)
	info := data.Info()
	forward := func(c *nn.Ctx, images torch.Tensor) torch.Tensor {
		if c.Train || torch.GradEnabled() {
			t.Error("evaluated in training mode or with gradients")
		}
		return images.Reshape(images.Size(0), -1).Narrow(1, 0, int64(len(info.Classes)))
	}
	var scores []metric.Score
	for _, batch := range []int{25, 7, 1} {
		steps := 0
		l := &datasets.Loader{Dataset: data, Batch: batch}
		s, err := metric.Evaluate(context.Background(), forward, l, torchtest.Options(torch.Float64), func() { steps++ })
		if err != nil {
			t.Fatal(err)
		}
		if steps != l.Batches() || s.Samples != 25 {
			t.Errorf("batches of %d: %d steps, %d samples", batch, steps, s.Samples)
		}
		scores = append(scores, s)
	}
	for _, s := range scores[1:] {
		if s.Top1 != scores[0].Top1 || s.Top5 != scores[0].Top5 || math.Abs(s.Loss-scores[0].Loss) > 1e-12 {
			t.Errorf("%+v and %+v", s, scores[0])
		}
	}
}

// An evaluation that is cancelled or fails has no score and leaves no tensor, whenever that happens.
func TestEvaluateLeavesNoTensor(t *testing.T) {
	data := datasetstest.Synthetic(25, 8)
	for _, after := range []int{0, 1, 3} {
		for _, fails := range []bool{false, true} {
			ctx, cancel := context.WithCancel(context.Background())
			if after == 0 && !fails {
				cancel()
			}
			batches := 0
			forward := func(_ *nn.Ctx, images torch.Tensor) torch.Tensor {
				if batches == after && fails {
					images.Reshape(7, 7, 7) // as libtorch refuses
				}
				return images.Reshape(images.Size(0), -1).Narrow(1, 0, 10)
			}
			before := torch.Live()
			_, err := metric.Evaluate(ctx, forward, &datasets.Loader{Dataset: data, Batch: 5}, torchtest.Options(torch.Float32), func() {
				if batches++; batches == after && !fails {
					cancel()
				}
			})
			cancel()
			if err == nil || batches != after || !fails && !errors.Is(err, context.Canceled) {
				t.Errorf("%d batches of %d: %v", batches, after, err)
			}
			if left := torch.Live() - before; left != 0 {
				t.Errorf("%d tensors are left behind after %d batches and %v", left, batches, err)
			}
		}
	}
}
