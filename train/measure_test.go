package train_test

import (
	"testing"

	"hdas/estimate"
	"hdas/internal/torchtest"
	"hdas/torch"
)

// most returns how many times larger than the memory of a batch its prediction may be. cuDNN's workspaces, and what is
// recorded of steps, do not grow with the batch.
func most() float64 {
	if torchtest.Device().IsCUDA() {
		return 2
	}
	return 1.14
}

// The memory of a large batch follows from those of small ones, and measuring leaves no tensor.
func TestMemoryOfALargeBatch(t *testing.T) {
	live := torch.Live()
	s := setup(t)
	s.Config.Batch = 16
	p, r, err := s.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 3 || r.Images != 24 || r.Evaluations != 2 || r.Weights < 1000 || len(r.Phases) != 1 || r.Phases[0].Epochs != s.Config.Epochs {
		t.Errorf("%+v", r)
	}
	m := estimate.Memory{Heap: estimate.Storing}
	for _, batch := range []int{4, 8, 16} {
		bytes, err := p.Peak(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		if batch < 16 {
			m.Points = append(m.Points, estimate.Point{Batch: batch, Bytes: bytes})
		} else if got, most := m.At(16).Predicted, most(); float64(got) < 1.02*float64(bytes) || float64(got) > most*float64(bytes) {
			t.Errorf("%d bytes were predicted from %v, and %d measured", got, m.Points, bytes)
		}
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}
