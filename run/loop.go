package run

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"hdas/internal/proc"
	"hdas/live"
	"hdas/metric/score"
	"hdas/torch"
)

// ErrStopped is the error of a loop whose context was cancelled: it finished the current step and saved
// a checkpoint, from which the run can be resumed.
var ErrStopped = errors.New("stopped; --resume continues")

// Task is a search or a training that Loop runs. B is the type of a batch.
type Task[B any] interface {
	// Batches yields the batches of an epoch, beginning with batch `from`.
	Batches(ctx context.Context, epoch, from int) iter.Seq2[B, error]
	// Step updates the weights with one batch and returns the losses and gradient norms of the step. It
	// runs inside torch.Do.
	Step(epoch int, b B) []Scalar
	// EndEpoch evaluates after the last batch of an epoch and returns the record of the epoch, which
	// encodes to a JSON object. If enough is true, the run ends after this epoch.
	EndEpoch(ctx context.Context, epoch int) (record any, enough bool, err error)
	// Checkpoint returns the state before that batch of that epoch. It runs inside torch.Do; the
	// tensors stay the task's.
	Checkpoint(epoch, batch int) (Checkpoint, error)
	// Rate returns the learning rate of the step with that batch of that epoch.
	Rate(epoch, batch int) float64
	// Score returns the score of the steps of the epoch so far on their batches. It waits for the device and runs
	// inside torch.Do.
	Score() score.Score
}

// Progress is the progress of a loop.
type Progress struct {
	live.State
	Record any // the record of an epoch that has just ended; otherwise nil
}

// Span says where a loop begins and ends, and how often it saves checkpoints.
type Span struct {
	Epochs, Batches int          // total number of epochs, and number of batches in an epoch
	Epoch, Batch    int          // where to begin, counted from 0
	Images          int          // that a step learns from
	Memory          func() int64 // returns the bytes that the process holds: MemoryOf; may be nil
	Every           int          // steps between two checkpoints within an epoch; 0: only at its end
	// Defer postpones the check for NaN to the next checkpoint or the end of the epoch, so that the host
	// does not wait for the device after each step.
	// The score of the steps, too, is then read only there.
	Defer    bool
	Diverged string // advice in the error for a NaN or infinite loss
}

// Loop runs the epochs of a task and writes a record and a checkpoint to dir after each. If ctx is
// cancelled, it finishes the current step or evaluation, saves a checkpoint and returns ErrStopped. If
// a scalar of a step is NaN or infinite, it returns an error that names the step and saves no
// checkpoint of it. observe is called after each step and epoch; it may be nil. Meanwhile the folder has the state of
// the run in a file, for Look.
func Loop[B any](ctx context.Context, dir *Dir, t Task[B], s Span, observe func(Progress)) error {
	dir.addElapsed(s.Epoch, s.Batch)
	if s.Epoch >= s.Epochs {
		return nil
	}
	if observe == nil {
		observe = func(Progress) {}
	}
	w := watched{memory: s.Memory, Pace: live.Pace{Images: s.Images}}
	w.now.Epochs, w.now.Steps = s.Epochs, s.Batches
	w.Begin(time.Now())
	w.at(s.Epoch, s.Batch)
	if !dir.reads {
		w.Publisher = live.Publish(dir.Path(stateFile), w.now)
		defer w.Close()
	}
	var scalars pending
	defer torch.Do(func(*torch.Scope) error { scalars.free(); return nil })
	// check returns an error if a step before that batch computed NaN or an infinite value.
	check := func(epoch, batch int) error {
		return torch.Do(func(*torch.Scope) error {
			first := batch - len(scalars.names)
			if step, fault := scalars.read(); fault != nil {
				return fmt.Errorf("epoch %d, step %d: %w: %s%s", epoch+1, first+step+1, fault, s.Diverged, dir.lastGood())
			}
			if batch > 0 { // otherwise the steps are those of the epoch before
				w.read(batch == s.Batches, epoch, t.Score)
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
			if c.Meta.Done = done; batch > 0 {
				c.Meta.Means = scalars.means
			}
			return dir.Save(c)
		})
	}
	stop := func(epoch, batch int) error {
		if err := save(epoch, batch, false); err != nil {
			return err // no checkpoint was saved, so that the run cannot be resumed from here
		}
		return ErrStopped
	}
	for epoch, batch := s.Epoch, s.Batch; epoch < s.Epochs; epoch, batch = epoch+1, 0 {
		w.Begin(time.Now())
		scalars.reset(dir.means)
		dir.means = nil
		observe(Progress{State: w.at(epoch, batch)})
		for b, err := range t.Batches(context.WithoutCancel(ctx), epoch, batch) {
			if err != nil {
				return err
			}
			if err := torch.Do(func(*torch.Scope) error { scalars.add(t.Step(epoch, b)); return nil }); err != nil {
				return fmt.Errorf("epoch %d, step %d: %w%s", epoch+1, batch+1, err, dir.lastGood())
			}
			batch++
			if !s.Defer {
				if err := check(epoch, batch); err != nil {
					return err
				}
			}
			w.Step(time.Now())
			w.now.LR = t.Rate(epoch, batch-1)
			observe(Progress{State: w.at(epoch, batch)})
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
		// The record is written before the checkpoint: a run resumed from the checkpoint would not write it again.
		more := []Shown{{imagesTag, w.now.ImagesPerSecond}}
		for tag, m := range scalars.means {
			more = append(more, Shown{tag, m.Sum / float64(m.N)})
		}
		if err := dir.Append(record, more...); err != nil {
			return err
		}
		if err := save(epoch+1, 0, enough); err != nil {
			return err
		}
		w.Epoch(time.Now())
		observe(Progress{State: w.at(epoch+1, 0), Record: record})
		switch {
		case enough:
			return nil
		case ctx.Err() != nil:
			return ErrStopped
		}
	}
	return nil
}

// often is the smallest time between two readings of the score or of the memory.
const often = 100 * time.Millisecond

// watched is the state of a loop, for its observer and for other processes.
type watched struct {
	live.Pace
	*live.Publisher
	now    live.State
	memory func() int64
	scored time.Time // when the score was read last
	held   time.Time // when the memory was
}

// at returns the state at that place and publishes it.
func (w *watched) at(epoch, batch int) live.State {
	w.now.Epoch, w.now.Step = epoch, batch
	w.Fill(&w.now)
	if w.memory != nil && w.now.Time.Sub(w.held) > 10*often {
		w.held, w.now.Memory = w.now.Time, w.memory()
	}
	if w.Publisher != nil {
		w.Set(w.now)
	}
	return w.now
}

// read reads the score of the steps of an epoch so far, unless it was just read and need not be.
func (w *watched) read(must bool, epoch int, score func() score.Score) {
	if now := time.Now(); must || now.Sub(w.scored) > often {
		w.scored, w.now.Train, w.now.TrainEpoch = now, score(), epoch+1
	}
}

// MemoryOf returns a function that returns the bytes that this process holds; of a CUDA device, by how much less of it
// is free than now.
func MemoryOf(d torch.Device) func() int64 {
	if !d.IsCUDA() {
		return func() int64 { return proc.Process("VmRSS") }
	}
	free := func() (n int64) {
		torch.Do(func(*torch.Scope) error { n = torch.FreeMemory(d); return nil })
		return n
	}
	before := free()
	return func() int64 { return max(0, before-free()) }
}
