package run

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"hdas/torch"
)

// ErrStopped is the end of a loop whose context was cancelled: after the step under way, with a
// checkpoint from which it goes on.
var ErrStopped = errors.New("stopped; --resume goes on")

// Task is what a loop drives: a search or a training.
type Task[B any] interface {
	// Batches yields the batches of an epoch, from that one on.
	Batches(ctx context.Context, epoch, from int) iter.Seq2[B, error]
	// Step learns from one batch and returns what it came to. It runs inside torch.Do.
	Step(epoch int, b B) []Figure
	// EndEpoch evaluates after the last batch and returns the epoch's record, one JSON object, and
	// whether the run is to end with it, though epochs are left.
	EndEpoch(ctx context.Context, epoch int) (record any, enough bool, err error)
	// Checkpoint is the state before that batch of that epoch. It runs inside torch.Do.
	Checkpoint(epoch, batch int) (Checkpoint, error)
}

// Progress tells how far a loop is.
type Progress struct {
	Epoch, Epochs  int // epochs done, and in all
	Batch, Batches int // of the epoch under way
	Record         any // of the epoch that just ended, else nil
}

// Span is what a loop has to do.
type Span struct {
	Epochs, Batches int // in all, and of an epoch
	Epoch, Batch    int // where to begin, from 0
	Every           int // steps between two checkpoints of an epoch; 0: none but at its end
	// Defer leaves the figures of steps where they were computed until the next checkpoint or the end
	// of the epoch, so that the device need not wait after each step.
	Defer    bool
	Diverged string // what to do where a figure is no number
}

// Loop runs epochs of a task, with a checkpoint and a record in dir after each. Where ctx is
// cancelled before the end, it stops after the step or the epoch under way, with ErrStopped. A
// figure that is no number ends it, with an error that names its step, before any checkpoint. observe
// may be nil.
func Loop[B any](ctx context.Context, dir *Dir, t Task[B], s Span, observe func(Progress)) error {
	if observe == nil {
		observe = func(Progress) {}
	}
	var figures unread
	defer torch.Do(func(*torch.Scope) error { figures.free(); return nil })
	// check is an error where one of the steps before that batch came to no number.
	check := func(epoch, batch int) error {
		return torch.Do(func(*torch.Scope) error {
			first := batch - len(figures.names)
			if step, fault := figures.read(); fault != nil {
				return fmt.Errorf("epoch %d, step %d: %w: %s%s", epoch+1, first+step+1, fault, s.Diverged, dir.lastGood())
			}
			return nil
		})
	}
	save := func(epoch, batch int, done bool) error {
		if err := check(epoch, batch); err != nil {
			return err
		}
		return torch.Do(func(*torch.Scope) error {
			c, err := t.Checkpoint(epoch, batch)
			if err != nil {
				return err
			}
			c.Meta.Done = done
			return dir.Save(c)
		})
	}
	stop := func(epoch, batch int) error {
		if err := save(epoch, batch, false); err != nil {
			return err // nothing that --resume could go on from
		}
		return ErrStopped
	}
	for epoch, batch := s.Epoch, s.Batch; epoch < s.Epochs; epoch, batch = epoch+1, 0 {
		observe(Progress{Epoch: epoch, Epochs: s.Epochs, Batch: batch, Batches: s.Batches})
		for b, err := range t.Batches(context.WithoutCancel(ctx), epoch, batch) {
			if err != nil {
				return err
			}
			if err := torch.Do(func(*torch.Scope) error { figures.add(t.Step(epoch, b)); return nil }); err != nil {
				return fmt.Errorf("epoch %d, step %d: %w%s", epoch+1, batch+1, err, dir.lastGood())
			}
			batch++
			if !s.Defer {
				if err := check(epoch, batch); err != nil {
					return err
				}
			}
			observe(Progress{Epoch: epoch, Epochs: s.Epochs, Batch: batch, Batches: s.Batches})
			if ctx.Err() != nil {
				return stop(epoch, batch)
			}
			if s.Every > 0 && batch%s.Every == 0 && batch < s.Batches {
				if err := save(epoch, batch, false); err != nil {
					return err
				}
			}
		}
		if err := check(epoch, batch); err != nil {
			return err
		}
		record, enough, err := t.EndEpoch(ctx, epoch)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return stop(epoch, batch)
		}
		if err != nil {
			return fmt.Errorf("epoch %d: %w%s", epoch+1, err, dir.lastGood())
		}
		enough = enough || epoch+1 == s.Epochs
		// The record first: a checkpoint behind it would leave it out for good.
		if err := dir.Append(record); err != nil {
			return err
		}
		if err := save(epoch+1, 0, enough); err != nil {
			return err
		}
		observe(Progress{Epoch: epoch + 1, Epochs: s.Epochs, Batches: s.Batches, Record: record})
		switch {
		case enough:
			return nil
		case ctx.Err() != nil:
			return ErrStopped
		}
	}
	return nil
}
