package search

import (
	"errors"
	"testing"

	"hdas/configs"
	"hdas/estimate"
	"hdas/internal/torchtest"
	"hdas/setting"
	"hdas/torch"
)

// The memory of a large batch follows from those of small ones, for every kind of search, both orders and every
// way to recompute; measuring leaves no tensor.
func TestMemoryOfALargeBatch(t *testing.T) {
	live := torch.Live()
	least, most := 1.05, 1.11
	if torchtest.Device().IsCUDA() { // cuDNN's workspaces, and what is recorded, do not grow with the batch
		least, most = 1, 2
	}
	for _, c := range []struct {
		kind      configs.Kind
		order     configs.Order
		recompute string
	}{
		{configs.CellSearch, configs.FirstOrder, "none"}, {configs.DistributionSearch, configs.FirstOrder, "none"},
		{configs.StageSearch, configs.FirstOrder, "none"}, {configs.JointSearch, configs.FirstOrder, "none"},
		{configs.StageSearch, configs.SecondOrder, "none"}, {configs.StageSearch, configs.SecondOrder, "cell"}, {configs.StageSearch, configs.FirstOrder, "edge"},
	} {
		s := setup(t, c.kind)
		s.Config.Order, s.Config.Recompute, s.Config.Batch = c.order, c.recompute, 12
		p, r, err := s.Probe()
		if err != nil {
			t.Fatal(err)
		}
		m := estimate.Memory{Heap: estimate.Storing}
		for _, batch := range []int{4, 6, 12} { // of less than 4, the weights decide at which moment the peak is
			bytes, err := p.Peak(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if batch < 12 {
				m.Points = append(m.Points, estimate.Point{Batch: batch, Bytes: bytes})
			} else if got := m.At(12).Predicted; float64(got) < least*float64(bytes) || float64(got) > most*float64(bytes) {
				t.Errorf("%v: %d bytes were predicted from %v, and %d measured", c, got, m.Points, bytes)
			}
		}
		tk, err := start(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Weights != tk.net.Weights.Count(nil) || r.Arch != tk.net.Arch.Store.Count(nil) {
			t.Errorf("%v: %d weights and %d architecture parameters, not %d and %d", c, r.Weights, r.Arch, tk.net.Weights.Count(nil), tk.net.Arch.Store.Count(nil))
		}
		tk.Free()
		if r.Steps != 3 || r.Images != 12 || r.Phases[0].Epochs != 2 {
			t.Errorf("%v: %+v", c, r)
		}
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}

// The epochs in which only the weights learn and the eigenvalue after each epoch are part of the time.
func TestTimeOfASearch(t *testing.T) {
	live := torch.Live()
	s := setup(t, configs.CellSearch)
	s.Config.Epochs, s.Config.Alpha.Warmup, s.Config.Stop = 5, 2, configs.EarlyStop{Ratio: 0.75, Window: 1}
	p, r, err := s.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Phases) != 2 || r.Phases[0] != (estimate.Phase{Epochs: 2, At: 0}) || r.Phases[1] != (estimate.Phase{Epochs: 3, At: 4}) {
		t.Errorf("%+v", r.Phases)
	}
	for name, run := range map[string]func(lap func(float64) bool) error{
		"steps":      func(lap func(float64) bool) error { return p.Steps(t.Context(), 4, 4, lap) },
		"evaluation": func(lap func(float64) bool) error { return p.Evaluate(t.Context(), 4, lap) },
	} {
		laps := 0
		err := run(func(seconds float64) bool {
			if seconds <= 0 {
				t.Errorf("%s: %v seconds", name, seconds)
			}
			laps++
			return laps < 8 // more than an epoch has
		})
		if err != nil || laps != 8 {
			t.Errorf("%s: %d laps, %v", name, laps, err)
		}
	}
	extra, err := r.Extra(t.Context(), 4)
	if err != nil || extra.Low <= 0 || extra.High != eigenvalueMost/2*extra.Low {
		t.Errorf("%+v, %v", extra, err)
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
	s.Config.Epochs = 0
	var fault *setting.Fault
	if _, _, err := s.Probe(); !errors.As(err, &fault) {
		t.Errorf("an invalid setting is %v", err)
	}
}
