package search

import (
	"context"
	"errors"
	"hdas/configs"
	"hdas/setting"
	"iter"

	"hdas/datasets"
	"hdas/metric"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/optim"
	"hdas/torch/optim/schedule"
)

// Setup is all that a search starts from.
type Setup struct {
	Config       configs.SearchSection
	Macro        plan.Macro
	Train, Valid *datasets.Loader // the halves: of the weights, and of the architecture
	Test         *datasets.Loader // the validation half again, in order and unaugmented, for the score of an epoch
	Options      torch.Options
	Autocast     torch.DType // that convolutions are computed in while learning; Float32: the options'
	Seed         uint64
	Name         string // of the genotype found
	Resolved     []byte // the whole configuration, kept in the checkpoint
}

// validate returns every fault of the settings, with the keys of the section "search".
func (s Setup) validate() error {
	return setting.In("search", errors.Join(s.Config.Validate(), s.Config.Fits(s.Macro.Channels, s.Autocast != torch.Float32)))
}

// Result is what a search found.
type Result struct {
	Genotype genotype.Genotype // the last epoch's; of a search that stopped early, that of the epoch to which it went back
	Best     genotype.Genotype // of the epoch whose supernet scored best, for comparison
	Epoch    Epoch             // the last
}

// Run searches, from the start or from where dir's checkpoint stands, until the end or until ctx
// is cancelled (run.ErrStopped). observe may be nil. A setting that cannot be is an error, a
// setting.Fault, before anything is computed.
func Run(ctx context.Context, s Setup, dir *run.Dir, observe func(run.Progress)) (Result, error) {
	t, err := start(s)
	if err != nil {
		return Result{}, err
	}
	defer t.free()
	t.dir = dir
	span := run.Span{Epochs: s.Config.Epochs, Batches: t.batches(), Every: s.Config.CheckpointSteps, Defer: s.Options.Device.IsCUDA(),
		Diverged: "the search has diverged; lower search.weights.lr or search.alpha.lr, or clip harder"}
	err = torch.Do(func(*torch.Scope) (err error) {
		span.Epoch, span.Batch, err = t.restore()
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if err := run.Loop(ctx, dir, t, span, observe); err != nil {
		return Result{}, err
	}
	return t.result()
}

// task is a search under way.
type task struct {
	Setup
	dir    *run.Dir
	net    *Supernet
	image  layer.Shape
	learn  *Bilevel
	rate   schedule.Schedule
	meter  metric.Meter
	best   float64 // the best supernet's top-1
	bestAt int     // its epoch, from 0
}

// start makes a search at its start.
func start(s Setup) (t *task, err error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	sp, err := s.Config.Space()
	if err != nil {
		return nil, err
	}
	info := s.Train.Dataset.Info()
	w := s.Config.Weights
	t = &task{Setup: s, best: -1,
		image: layer.Shape{C: int64(info.Channels), H: int64(info.Height), W: int64(info.Width)},
		rate:  schedule.Cosine(w.LR, w.MinLR, s.Config.Epochs)}
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.Seed(s.Seed)
		if t.net, err = NewSupernet(sp, s.Config, s.Macro, t.image, s.Options); err != nil {
			return err
		}
		t.net.Autocast = s.Autocast
		t.learn = NewBilevel(t.net)
		if s.Autocast == torch.Float16 {
			t.learn.Arch.Scaler, t.learn.Weights.Scaler = optim.NewScaler(), optim.NewScaler()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *task) free() {
	torch.Do(func(*torch.Scope) error {
		t.net.Free()
		t.learn.Free()
		t.meter.Reset()
		return nil
	})
}

func (t *task) batches() int { return min(t.Train.Batches(), t.Valid.Batches()) }

// pair is what one step learns from.
type pair struct{ train, valid datasets.Batch }

// Batches walks through both halves side by side.
func (t *task) Batches(ctx context.Context, epoch, from int) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		if from == 0 {
			torch.Do(func(*torch.Scope) error { t.meter.Reset(); return nil })
		}
		next, stop := iter.Pull2(t.Valid.Epoch(ctx, epoch, from))
		defer stop()
		for train, err := range t.Train.Epoch(ctx, epoch, from) {
			valid, verr, ok := next()
			if !ok {
				return
			}
			if !yield(pair{train, valid}, errors.Join(err, verr)) {
				return
			}
		}
	}
}

// Step learns the architecture on the validation half, but for the epochs of warm-up, then the
// weights on the training half.
func (t *task) Step(epoch int, p pair) []run.Figure {
	o := t.Options
	var valid, train Sample
	valid.Images, valid.Labels = metric.Tensors(p.valid, o)
	train.Images, train.Labels = metric.Tensors(p.train, o)
	f := t.learn.Step(t.rate(epoch), epoch >= t.Config.Alpha.Warmup, train, valid)
	t.meter.Add(f.Train, f.Logits, train.Labels)
	return f.All()
}
