package run

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"hdas/estimate"
	"hdas/torch"
)

// Measured is a task of which parts can be measured.
type Measured[B any] interface {
	Batches(ctx context.Context, epoch, from int) iter.Seq2[B, error]
	Step(epoch int, b B) []Scalar
	// Evaluate runs the evaluation of EndEpoch and calls step after each batch.
	Evaluate(ctx context.Context, step func()) error
	Free()
}

// Probe is the estimate.Probe of tasks that Start makes with any batch.
type Probe[B any] struct {
	Device torch.Device
	Epoch  int // the epoch whose steps need most memory
	Start  func(batch int) (Measured[B], error)
}

// Peak implements estimate.Probe.
func (p Probe[B]) Peak(ctx context.Context, batch int) (peak int64, err error) {
	failed := torch.Do(func(*torch.Scope) error {
		peak = torch.PeakMemory(p.Device, func() { err = p.once(ctx, batch) })
		return nil
	})
	return peak, short(errors.Join(err, failed))
}

// once runs two steps, since the optimizers keep tensors from the first one, or, on CUDA, as many as until they are
// recorded and replayed, and a batch of the evaluation.
func (p Probe[B]) once(ctx context.Context, batch int) error {
	t, err := p.Start(batch)
	if err != nil {
		return err
	}
	defer t.Free()
	left := 2
	if p.Device.IsCUDA() {
		left = torch.Warm + 2
	}
	if err := p.steps(ctx, t, p.Epoch, func() bool { left--; return left > 0 }); err != nil {
		return err
	}
	return evaluate(ctx, t, func() bool { return false })
}

// Steps implements estimate.Probe.
func (p Probe[B]) Steps(ctx context.Context, batch, epoch int, lap func(seconds float64) bool) error {
	return p.laps(batch, lap, func(t Measured[B], step func() bool) error { return p.steps(ctx, t, epoch, step) })
}

// Evaluate implements estimate.Probe.
func (p Probe[B]) Evaluate(ctx context.Context, batch int, lap func(seconds float64) bool) error {
	return p.laps(batch, lap, func(t Measured[B], step func() bool) error { return evaluate(ctx, t, step) })
}

// laps calls run with a task and with a function that measures the time since its last call.
func (p Probe[B]) laps(batch int, lap func(seconds float64) bool, run func(t Measured[B], step func() bool) error) error {
	t, err := p.Start(batch)
	if err != nil {
		return short(err)
	}
	defer t.Free()
	last := time.Now()
	return short(run(t, func() bool {
		torch.Do(func(*torch.Scope) error { torch.Synchronize(p.Device); return nil })
		began := last
		last = time.Now()
		return lap(last.Sub(began).Seconds())
	}))
}

// steps runs steps of an epoch, again from its start if it ends, until step returns false.
func (p Probe[B]) steps(ctx context.Context, t Measured[B], epoch int, step func() bool) error {
	for {
		any := false
		for b, err := range t.Batches(ctx, epoch, 0) {
			if err != nil {
				return err
			}
			if err := torch.Do(func(*torch.Scope) error { t.Step(epoch, b); return nil }); err != nil {
				return err
			}
			if any = true; !step() {
				return nil
			}
		}
		if !any {
			return fmt.Errorf("epoch %d has no batches", epoch+1)
		}
	}
}

// evaluate runs evaluations until step, which it calls after each batch, returns false.
func evaluate[B any](ctx context.Context, t Measured[B], step func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := false
	for !done {
		err := t.Evaluate(ctx, func() {
			if !done && !step() {
				done = true
				cancel()
			}
		})
		if err != nil && !done {
			return err
		}
	}
	return nil
}

// short returns err as one of estimate.ErrNoMemory if memory has run out.
func short(err error) error {
	if errors.Is(err, torch.ErrOutOfMemory) {
		return fmt.Errorf("%w: %w", estimate.ErrNoMemory, err)
	}
	return err
}
