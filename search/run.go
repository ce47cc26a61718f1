package search

import (
	"context"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/setting"
	"iter"
	"strings"

	"hdas/datasets"
	"hdas/metric"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/parallel"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/kernel"
	"hdas/torch/optim/schedule"
)

// Setup holds the inputs of a search.
type Setup struct {
	Config       configs.SearchSection
	Macro        plan.Macro
	Train, Valid *datasets.Loader // the halves of the training data for the weights and for the architecture
	Test         *datasets.Loader // the images of Valid, in order and not augmented, for the evaluation after an epoch
	Options      torch.Options
	Autocast     torch.DType // type of the convolutions while learning; Float32: that of Options
	Path         kernel.Path // what computes cells while learning
	Graphs       bool        // on CUDA, records the passes of a step as graphs
	Seed         uint64
	Name         string            // of the resulting genotype
	Resolved     []byte            // the whole configuration as YAML, stored in the checkpoint
	Basis        *run.Basis        // what the run was begun with, stored in the checkpoint; nil if unknown
	Note         func(text string) // called with what a user should know of a resumed run, one sentence; may be nil
	// Group is the processes that search together, each with loaders of its own rank; nil: one process. Config is that of all
	// together, and the batches of Train and Valid are this process' parts of those of a step.
	Group *dist.Group
}

// Divides returns a *setting.Fault if the processes of a group, which may be nil, cannot search together with those settings.
func Divides(c configs.SearchSection, g *dist.Group) error {
	return parallel.Divides("search.batch", c.Batch, g)
}

// validate returns all faults of the settings, with keys of the section "search".
func (s Setup) validate() error {
	return errors.Join(setting.In("search", errors.Join(s.Config.Validate(), s.Config.Fits(s.Macro.Channels, s.Autocast != torch.Float32))),
		Divides(s.Config, s.Group))
}

// Less names the settings with which the search would need less memory.
func (s Setup) Less() string {
	list := []string{fmt.Sprintf("a smaller search.batch (it is %d)", s.Config.Batch)}
	if s.Config.Recompute == "none" {
		list = append(list, "search.recompute=edge or cell")
	}
	if s.Config.Kind.FindsCells() && s.Config.PartialChannels == 1 {
		list = append(list, "search.partial_channels=4")
	}
	if s.Config.Order == configs.SecondOrder {
		list = append(list, "search.order=first")
	}
	if s.Options.Device.IsCUDA() {
		if s.Autocast == torch.Float32 {
			list = append(list, "precision=bf16")
		}
		if s.Graphs { // they have memory of their own
			list = append(list, "cuda.graphs=false")
		}
	}
	return strings.Join(append(list, "fewer network.channels"), ", ")
}

// Result is the result of a search.
type Result struct {
	Genotype genotype.Genotype // of the last epoch; if the search stopped early, of the epoch StopAt
	Best     genotype.Genotype // of the epoch whose supernet had the highest validation accuracy, for comparison
	Epoch    Epoch             // record of the last epoch
}

// Run runs a search, from its start or from the newest checkpoint in dir, and returns its result. If
// ctx is cancelled, it saves a checkpoint and returns run.ErrStopped. Invalid settings are returned as
// setting.Fault errors before anything is computed. observe may be nil.
func Run(ctx context.Context, s Setup, dir *run.Dir, observe func(run.Progress)) (r Result, err error) {
	defer func() { err = run.ShortOfMemory(err, s.Less()) }()
	memory := run.MemoryOf(s.Options.Device)
	t, err := start(s)
	if err != nil {
		return Result{}, err
	}
	defer t.Free()
	t.dir = dir
	span := run.Span{Epochs: s.Config.Epochs, Batches: t.batches(), Every: s.Config.CheckpointSteps, Defer: s.Options.Device.IsCUDA(),
		Images: s.Config.Batch, Memory: memory,
		Diverged: "the search has diverged; lower search.weights.lr, search.alpha.lr or search.weights.clip"}
	err = torch.Do(func(*torch.Scope) (err error) {
		span.Epoch, span.Batch, err = t.join()
		return err
	})
	if err != nil {
		return Result{}, err
	}
	err = run.Loop(t.member.Follow(ctx), dir, t, span, observe)
	if err == nil || errors.Is(err, run.ErrStopped) {
		err = errors.Join(err, t.member.Written())
	}
	if err != nil {
		return Result{}, err
	}
	return t.result()
}

// Rate returns the learning rate of the weights.
func (t *task) Rate(epoch, _ int) float64 { return t.rate(epoch) }

// Score returns the score of the weights' steps of the epoch so far.
func (t *task) Score() metric.Score { return t.meter.Score() }

// image returns the shape of the images.
func (s Setup) image() layer.Shape {
	info := s.Train.Dataset.Info()
	return layer.Shape{C: int64(info.Channels), H: int64(info.Height), W: int64(info.Width)}
}

// task is a running search; it implements run.Task.
type task struct {
	Setup
	dir    *run.Dir
	member *parallel.Member
	net    *Supernet
	image  layer.Shape
	learn  *Bilevel
	rate   schedule.Schedule
	meter  metric.Meter
	best   float64 // highest top-1 of the supernet so far
	bestAt int     // epoch of best, from 0
}

// start returns a search before its first step. The caller calls Free.
func start(s Setup) (t *task, err error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	sp, err := s.Config.Space()
	if err != nil {
		return nil, err
	}
	w := s.Config.Weights
	t = &task{Setup: s, member: parallel.New(s.Group), best: -1, image: s.image(),
		rate: schedule.Cosine(w.LR, w.MinLR, s.Config.Epochs)}
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.Seed(s.Seed)
		c := s.Config
		c.Batch /= s.Group.World()
		if s.Group.Rank() > 0 && c.Theta == configs.ThetaLatency {
			c.Theta = configs.ThetaOne // rank 0 measures
		}
		if t.net, err = NewSupernet(sp, c, s.Macro, t.image, s.Options); err != nil {
			return err
		}
		t.net.Path, t.net.Autocast, t.net.Member = s.Path, s.Autocast, t.member
		t.learn = NewBilevel(t.net)
		if s.Autocast == torch.Float16 {
			t.learn.Arch.ScaleLosses()
			t.learn.Weights.ScaleLosses()
		}
		if s.Graphs && (s.Group == nil || !s.Config.SyncNorm) { // a recorded pass cannot wait for other processes
			t.learn.Record()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Free frees the tensors of the search.
func (t *task) Free() {
	torch.Do(func(*torch.Scope) error {
		t.net.Free()
		t.learn.Free()
		t.meter.Reset()
		return nil
	})
}

func (t *task) batches() int { return min(t.Train.Batches(), t.Valid.Batches()) }

// pair holds the two batches of a step.
type pair struct{ train, valid datasets.Batch }

// Batches yields pairs of batches, one from each half of the data.
func (t *task) Batches(ctx context.Context, epoch, from int) iter.Seq2[pair, error] {
	return parallel.Agreed(t.member, t.pairs(ctx, epoch, from), func(p pair) []datasets.Batch { return []datasets.Batch{p.train, p.valid} })
}

func (t *task) pairs(ctx context.Context, epoch, from int) iter.Seq2[pair, error] {
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

// Step updates the architecture on the validation batch, except in the warm-up epochs, and then the
// weights on the training batch. It returns the losses and gradient norms.
func (t *task) Step(epoch int, p pair) []run.Scalar {
	train, valid := t.sample(p.train, 0), t.sample(p.valid, 1)
	f := t.learn.Step(t.rate(epoch), epoch >= t.Config.Alpha.Warmup, train, valid)
	if !p.train.Blank {
		t.meter.Add(f.Train, f.Logits, train.Labels)
	}
	return f.Scalars()
}

// sample returns the tensors of batch i of the step.
func (t *task) sample(b datasets.Batch, i int) (s Sample) {
	s.Images, s.Labels = metric.Tensors(b, t.Options)
	s.Share = t.member.Share(i)
	return s
}
