package run_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"hdas/internal/torchtest"
	"hdas/metric/score"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

const epochs, batches = 3, 4

// sum is a task whose state is one tensor: it adds up the numbers of its batches and random noise.
type sum struct {
	w        torch.Tensor
	step     func(epoch, batch int) error // called after a step, if any
	diverges func(epoch, batch int) bool  // at which steps a scalar is infinite
	endEpoch func(epoch int) error        // called at the end of EndEpoch, if any
	enough   int                          // the epoch to end with, from 1; 0: the last
	every    int                          // steps between checkpoints
	wait     bool                         // scalars are checked late
}

func (s *sum) Batches(_ context.Context, epoch, from int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for b := from; b < batches && yield(b, nil); b++ {
		}
	}
}

func (s *sum) Step(epoch, batch int) []run.Scalar {
	s.w.AddScalar_(float64(epoch*batches + batch)).Add_(torch.Randn(torchtest.Options(torch.Float64)))
	if s.step != nil {
		if err := s.step(epoch, batch); err != nil {
			panic(&torch.Error{Op: "step", Err: err})
		}
	}
	one := torch.Ones(torchtest.Options(torch.Float32))
	if s.diverges != nil && s.diverges(epoch, batch) {
		return []run.Scalar{{Name: "one", Value: one}, {Name: "sum", Value: one.MulScalar(math.Inf(1))}}
	}
	return []run.Scalar{{Name: "sum", Value: s.w}}
}

func (s *sum) EndEpoch(_ context.Context, epoch int) (r any, enough bool, err error) {
	torch.Do(func(*torch.Scope) error { r = map[string]any{"epoch": epoch + 1, "w": s.w.Item()}; return nil })
	if s.endEpoch != nil {
		err = s.endEpoch(epoch)
	}
	return r, s.enough != 0 && epoch+1 == s.enough, err
}

func (s *sum) Rate(epoch, batch int) float64 { return float64(epoch*batches + batch) }

func (s *sum) Score() score.Score { return score.Score{Loss: s.w.Item(), Samples: 1} }

func (s *sum) Checkpoint(epoch, batch int) (run.Checkpoint, error) {
	return run.Checkpoint{
		Meta:  run.Meta{Kind: "training", Epoch: epoch, Batch: batch, Generators: run.Generators(torchtest.Device())},
		State: map[string][]nn.Param{"weights": {{Name: "w", Tensor: s.w}}},
	}, nil
}

// loop runs s from the newest checkpoint of d.
func loop(t *testing.T, ctx context.Context, d *run.Dir, s *sum) error {
	t.Helper()
	return looped(t, ctx, d, s, nil)
}

func observed(t *testing.T, d *run.Dir, s *sum, observe func(run.Progress)) error {
	t.Helper()
	return looped(t, context.Background(), d, s, observe)
}

func looped(t *testing.T, ctx context.Context, d *run.Dir, s *sum, observe func(run.Progress)) error {
	t.Helper()
	epoch, batch := 0, 0
	err := torch.Do(func(*torch.Scope) error {
		torch.Seed(1)
		s.w = torch.Zeros(torchtest.Options(torch.Float64)).Keep()
		c, ok, err := d.Latest()
		if err == nil && ok {
			s.w.Copy_(c.State["weights"]["w"])
			epoch, batch = c.Meta.Epoch, c.Meta.Batch
			err = c.SetGenerators(torchtest.Device(), nil)
		}
		return err
	})
	check(t, err)
	defer func() { torch.Do(func(*torch.Scope) error { s.w.Free(); return nil }) }()
	return run.Loop(ctx, d, s, run.Span{Epochs: epochs, Batches: batches, Epoch: epoch, Batch: batch, Every: s.every, Defer: s.wait, Diverged: "add less"}, observe)
}

// whole returns everything that a run wrote, for comparisons.
func whole(t *testing.T, d *run.Dir) string {
	t.Helper()
	checkpoint, err := os.ReadFile(d.Path(newest))
	check(t, err)
	return recordsOf(t, d) + string(checkpoint)
}

func TestAResumedLoopEqualsAnUnbrokenOne(t *testing.T) {
	d := create(t)
	check(t, loop(t, context.Background(), d, &sum{}))
	want := whole(t, d)
	do(t, func() error {
		c, _, err := d.Latest()
		if !c.Meta.Done || c.Meta.Epoch != epochs || c.Meta.Batch != 0 {
			t.Errorf("ended at %+v", c.Meta)
		}
		return err
	})
	check(t, loop(t, context.Background(), d, &sum{})) // done already

	for at := range epochs * (batches + 2) {
		t.Run(fmt.Sprintf("epoch %d, point %d", at/(batches+2), at%(batches+2)), func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			stop := func(epoch, point int) error {
				if at == epoch*(batches+2)+point {
					cancel()
				}
				return nil
			}
			d := create(t)
			err := loop(t, ctx, d, &sum{step: stop, endEpoch: func(epoch int) error {
				stop(epoch, batches)
				if err := ctx.Err(); err != nil {
					return fmt.Errorf("evaluation: %w", err)
				}
				return stop(epoch, batches+1) // too late to stop this
			}})
			if last := at == epochs*(batches+2)-1; last && err != nil || !last && err != run.ErrStopped {
				t.Fatal(err)
			}
			d = reopen(t, d)
			check(t, loop(t, context.Background(), d, &sum{}))
			if whole(t, d) != want {
				t.Error("resumed, it ends elsewhere")
			}
		})
	}
}

// A loop that ended early has ended: resuming it does nothing.
func TestALoopThatHasEnough(t *testing.T) {
	d := create(t)
	check(t, loop(t, context.Background(), d, &sum{enough: 2}))
	do(t, func() error {
		c, _, err := d.Latest()
		if !c.Meta.Done || c.Meta.Epoch != 2 {
			t.Errorf("ended at %+v", c.Meta)
		}
		return err
	})
}

// A loop with checkpoints within an epoch resumes from the last of them after a failure, and ends like an
// uninterrupted loop without them.
func TestCheckpointsWithinAnEpoch(t *testing.T) {
	d := create(t)
	check(t, loop(t, context.Background(), d, &sum{}))
	want := whole(t, d)
	for _, every := range []int{1, 2, 3, batches} {
		d := create(t)
		broken := errors.New("broken off")
		err := loop(t, context.Background(), d, &sum{every: every, step: func(epoch, batch int) error {
			if epoch == 1 && batch == 3 {
				return broken
			}
			return nil
		}})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		do(t, func() error {
			c, _, err := d.Latest()
			if c.Meta.Epoch != 1 || c.Meta.Batch != 3/every*every {
				t.Errorf("every %d steps: a checkpoint of epoch %d, batch %d", every, c.Meta.Epoch, c.Meta.Batch)
			}
			return err
		})
		d = reopen(t, d)
		check(t, loop(t, context.Background(), d, &sum{every: every}))
		if whole(t, d) != want {
			t.Errorf("every %d steps: it ends elsewhere", every)
		}
	}
}

// The time of an epoch in which a run is stopped, twice, is that of all its parts.
func TestSecondsOfAnInterruptedEpoch(t *testing.T) {
	const part = 300 * time.Millisecond
	d := create(t)
	check(t, d.WriteConfig([]byte("seed: 1\n")))
	for stopAt := range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		err := loop(t, ctx, d, &sum{step: func(_, batch int) error {
			if batch == stopAt {
				time.Sleep(part)
				cancel()
			}
			return nil
		}})
		if !errors.Is(err, run.ErrStopped) {
			t.Fatal(err)
		}
		d = reopen(t, d)
	}
	check(t, loop(t, context.Background(), d, &sum{}))
	seen, err := run.Look(d.Path())
	if err == nil && seen.Seconds < 2*part.Seconds() {
		t.Errorf("the epochs have taken %v s", seen.Seconds)
	}
	gone := func() {
		if _, left := os.Stat(d.Path("elapsed.json")); err != nil || left == nil {
			t.Errorf("%v; a run that is done keeps the time of an epoch: %v", err, left == nil)
		}
	}
	gone()
	check(t, os.WriteFile(d.Path("elapsed.json"), []byte("{}"), 0o644)) // of a process that was killed before it removed the file
	d = reopen(t, d)
	check(t, loop(t, context.Background(), d, &sum{}))
	gone()
}

func TestFaultsOfALoop(t *testing.T) {
	diverged := errors.New("diverged")
	t.Run("step", func(t *testing.T) {
		d := create(t)
		err := loop(t, context.Background(), d, &sum{step: func(epoch, batch int) error {
			if epoch == 1 && batch == 2 {
				return diverged
			}
			return nil
		}})
		fails(t, err, "epoch 2, step 3", "diverged", "last good checkpoint", d.Path(newest))
		reached(t, d, 1)
	})
	t.Run("libtorch", func(t *testing.T) {
		d := create(t)
		err := loop(t, context.Background(), d, &sum{step: func(epoch, batch int) error {
			torch.Zeros(torchtest.Options(torch.Float32), 2).Add(torch.Zeros(torchtest.Options(torch.Float32), 3))
			return nil
		}})
		var e *torch.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
	})
	t.Run("epoch, while it is stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		d := create(t)
		err := loop(t, ctx, d, &sum{endEpoch: func(epoch int) error {
			if epoch == 1 {
				cancel()
				return diverged
			}
			return nil
		}})
		if !errors.Is(err, diverged) || errors.Is(err, run.ErrStopped) {
			t.Fatal(err)
		}
		reached(t, d, 1) // the last good one
	})
	t.Run("record", func(t *testing.T) {
		d := create(t)
		check(t, os.Mkdir(d.Path(records), 0o700))
		fails(t, loop(t, context.Background(), d, &sum{}), d.Path(records))
		if _, err := run.Find(d.Path()); err == nil {
			t.Error("a checkpoint behind a record that could not be written")
		}
	})
	t.Run("save", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		d := create(t)
		err := loop(t, ctx, d, &sum{step: func(int, int) error {
			cancel()
			return os.MkdirAll(d.Path(newest, "x"), 0o700)
		}})
		if err == nil || errors.Is(err, run.ErrStopped) {
			t.Fatalf("stopped with no checkpoint to resume from: %v", err)
		}
	})
}

// A scalar that is infinite ends the loop, at once or where the scalars are checked late. The error
// names the first such step, and no checkpoint is saved after it.
// If memory runs out in a step or in the evaluation, the loop ends with an error that says what needs less and
// which checkpoint is left, and the run can be resumed from that.
func TestALoopOutOfMemory(t *testing.T) {
	unbroken := create(t)
	check(t, loop(t, context.Background(), unbroken, &sum{}))
	huge := func() error {
		return torch.Do(func(*torch.Scope) error { torch.Zeros(torchtest.Options(torch.Float32), 1<<20, 1<<30); return nil })
	}
	for name, s := range map[string]*sum{
		"epoch 2, step 3": {step: func(epoch, batch int) error {
			if epoch == 1 && batch == 2 {
				return huge()
			}
			return nil
		}},
		"epoch 2": {endEpoch: func(epoch int) error {
			if epoch == 1 {
				return huge()
			}
			return nil
		}},
	} {
		d := create(t)
		err := run.ShortOfMemory(loop(t, context.Background(), d, s), "fewer numbers")
		if !errors.Is(err, torch.ErrOutOfMemory) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, words := range []string{name + ":", torchtest.OutOfMemory(), d.Path(newest), "needs less: fewer numbers"} {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%q is not in %q", words, err)
			}
		}
		d = reopen(t, d)
		check(t, loop(t, context.Background(), d, &sum{}))
		if whole(t, d) != whole(t, unbroken) {
			t.Errorf("%s: resumed, it ends elsewhere", name)
		}
	}
	if other := errors.New("other"); run.ShortOfMemory(other, "less") != other || run.ShortOfMemory(nil, "less") != nil {
		t.Error("other errors are changed")
	}
}

func TestADivergedLoop(t *testing.T) {
	live := torch.Live()
	for _, every := range []int{0, 1, 2, 3} {
		for at := range epochs * batches {
			for _, wait := range []bool{false, true} {
				taken := 0
				ctx, cancel := context.WithCancel(context.Background())
				d := create(t)
				err := loop(t, ctx, d, &sum{every: every, wait: wait, diverges: func(epoch, batch int) bool {
					taken = epoch*batches + batch
					if taken == at+1 {
						cancel() // stopping must not save it either
					}
					return taken >= at
				}})
				cancel()
				epoch, batch := at/batches, at%batches
				words := []string{fmt.Sprintf("epoch %d, step %d: one 1, sum +Inf: add less; ", epoch+1, batch+1), "last good checkpoint"}
				last := batch
				if every == 0 {
					last = 0
				} else {
					last -= batch % every
				}
				if epoch == 0 && last == 0 {
					words[1] = "there is no checkpoint yet"
				}
				fails(t, err, words...)
				if errors.Is(err, run.ErrStopped) {
					t.Error("stopped, with nothing to resume from")
				}
				do(t, func() error {
					c, ok, err := d.Latest()
					if ok != (epoch > 0 || last > 0) || ok && (c.Meta.Epoch != epoch || c.Meta.Batch != last) {
						t.Errorf("every %d, diverged at epoch %d, batch %d: a checkpoint of %d, %d", every, epoch, batch, c.Meta.Epoch, c.Meta.Batch)
					}
					return err
				})
				if !wait && taken != at {
					t.Errorf("went on to step %d after step %d", taken, at)
				}
			}
		}
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}

// reached fails unless the newest checkpoint of d is that of the start of the epoch.
func reached(t *testing.T, d *run.Dir, epoch int) {
	t.Helper()
	do(t, func() error {
		c, ok, err := d.Latest()
		if !ok || c.Meta.Epoch != epoch || c.Meta.Batch != 0 || c.Meta.Done {
			t.Errorf("checkpoint %v at epoch %d, batch %d", ok, c.Meta.Epoch, c.Meta.Batch)
		}
		return err
	})
}

// While a loop runs, others see where it is; at its end, however that comes, nothing is left. The score is that of the
// steps, read after each one, or late if scalars are.
func TestLoopTellsWhereItIs(t *testing.T) {
	for _, wait := range []bool{false, true} {
		d := create(t)
		s := &sum{wait: wait}
		s.step = func(epoch, batch int) error {
			seen := run.Glance(d.Path())
			if !seen.Running || seen.Live == nil || seen.Live.Epochs != epochs || seen.Live.Steps != batches || seen.Live.Epoch > epoch {
				return fmt.Errorf("seen %+v", seen)
			}
			return nil
		}
		var all []run.Progress
		check(t, observed(t, d, s, func(p run.Progress) { all = append(all, p) }))
		if len(all) != epochs*(batches+2) {
			t.Fatalf("told %d times", len(all))
		}
		for i, p := range all {
			epoch, at := i/(batches+2), i%(batches+2)
			end := at == batches+1
			if end != (p.Record != nil) || !end && (p.Epoch != epoch || p.Step != at) || end && (p.Epoch != epoch+1 || p.Step != 0) {
				t.Errorf("%d is told as %+v", i, p)
			}
			if at > 0 && !end && p.LR != float64(epoch*batches+at-1) {
				t.Errorf("step %d of epoch %d has the rate %v", at, epoch, p.LR)
			}
			if end && (p.Train.Samples == 0 || p.TrainEpoch != p.Epoch) || p.Learned() && (at == 0 || wait) {
				t.Errorf("%d has the score %+v, scalars late: %t", i, p.Train, wait)
			}
		}
		if seen := run.Glance(d.Path()); seen.Live != nil {
			t.Errorf("left: %+v", seen.Live)
		}
	}
}
