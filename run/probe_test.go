package run_test

import (
	"context"
	"errors"
	"testing"

	"hdas/estimate"
	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
)

// measured is sum as a task whose parts are measured. A step makes a tensor of size elements and keeps one of 1000.
type measured struct {
	sum
	size int64
	kept torch.Tensor
}

func (m *measured) Step(epoch, batch int) []run.Scalar {
	if !m.kept.Defined() {
		m.kept = torch.Zeros(torchtest.Options(torch.Float32), 1000).Keep()
	}
	torch.Zeros(torchtest.Options(torch.Float32), m.size)
	return nil
}

func (m *measured) Evaluate(ctx context.Context, step func()) error {
	for range 3 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		step()
	}
	return nil
}

func (m *measured) Free() {
	torch.Do(func(*torch.Scope) error { m.kept.Free(); return nil })
}

// The peak has what the first step leaves, steps and evaluations are repeated as often as asked, and too little
// memory is an error of its own.
func TestProbe(t *testing.T) {
	live := torch.Live()
	p := run.Probe[int]{Device: torchtest.Device(), Start: func(batch int) (run.Measured[int], error) {
		return &measured{size: 1 << 20 * int64(batch)}, nil
	}}
	for _, batch := range []int{1, 3} {
		if peak, err := p.Peak(t.Context(), batch); err != nil || peak < int64(batch)<<22+4000 || peak > int64(batch)<<22+8192 {
			t.Errorf("batch %d: %d bytes, %v", batch, peak, err)
		}
	}
	for name, run := range map[string]func(lap func(float64) bool) error{
		"steps":      func(lap func(float64) bool) error { return p.Steps(t.Context(), 1, 0, lap) },
		"evaluation": func(lap func(float64) bool) error { return p.Evaluate(t.Context(), 1, lap) },
	} {
		laps := 0
		if err := run(func(float64) bool { laps++; return laps < 10 }); err != nil || laps != 10 {
			t.Errorf("%s: %d laps, %v", name, laps, err)
		}
	}
	if _, err := p.Peak(t.Context(), 1<<35); !errors.Is(err, estimate.ErrNoMemory) || !errors.Is(err, torch.ErrOutOfMemory) {
		t.Errorf("error %v", err)
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}
