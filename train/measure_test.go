package train_test

import (
	"math"
	"testing"

	"hdas/estimate"
	"hdas/torch"
)

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
		} else if got := m.At(16).Predicted; math.Abs(float64(got)-1.08*float64(bytes)) > 0.06*float64(bytes) {
			t.Errorf("%d bytes were predicted from %v, and %d measured", got, m.Points, bytes)
		}
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}
