// Package train trains the network of a genotype.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/setting"
	"iter"
	"slices"

	"hdas/datasets"
	"hdas/metric"
	"hdas/metric/score"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/parallel"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/kernel"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/torch/optim/schedule"
)

// Setup holds the inputs of a training.
type Setup struct {
	Config      configs.TrainSection
	Macro       plan.Macro
	Genotype    genotype.Genotype
	Train, Test *datasets.Loader // a batch of Train is that of a step: Config.Batch*Config.Accumulate images, or the part of it that is this process'
	Valid       *datasets.Loader // of the validation part; nil without one
	Data        datasets.Spec    // the data set of the loaders, stored in the checkpoint
	Options     torch.Options
	Autocast    torch.DType // type of the convolutions while learning; Float32: that of Options
	Seed        uint64
	Path        kernel.Path       // what computes cells while learning
	Graphs      bool              // on CUDA, records the passes of a step as graphs
	Note        func(text string) // called with what a user should know of a resumed run, one sentence; may be nil
	Start       *model.Start      // the checkpoint from whose weights it starts; nil: new weights
	Taken       func(model.Taken) // called with what was taken from Start; may be nil
	Resolved    []byte            // the whole configuration as YAML, stored in the checkpoint
	Basis       *run.Basis        // what the run was begun with, stored in the checkpoint; nil if unknown
	// Group is the processes that train together, each with a loader of its own rank; nil: one process. Config is that of
	// all together, and a batch of Train is this process' part of a step.
	Group *dist.Group
}

// Less names the settings with which the training would need less memory.
func (s Setup) Less() string {
	less := fmt.Sprintf("a smaller train.batch (it is %d; train.accumulate adds up several), ", s.Config.Batch)
	if s.Config.Recompute == "none" {
		less += "train.recompute=edge or cell, "
	}
	if s.Options.Device.IsCUDA() {
		if s.Autocast == torch.Float32 {
			less += "precision=bf16, "
		}
		if s.Graphs { // they have memory of their own
			less += "cuda.graphs=false, "
		}
	}
	return less + "fewer network.channels"
}

// Epoch is the record of one epoch, as it is stored in the run folder. The last one is the result of a training.
type Epoch struct {
	Epoch    int           `json:"epoch"` // from 1
	LR       float64       `json:"lr"`    // in its first step
	DropPath float64       `json:"drop_path"`
	Train    metric.Score  `json:"train"` // while learning; the loss includes that of the auxiliary head
	Test     metric.Score  `json:"test"`
	Valid    *metric.Score `json:"valid,omitempty"` // on the validation part, if there is one
	EMA      *Averaged     `json:"ema,omitempty"`   // of the averaged weights, if there are any
	// Best is the epoch, from 1, with the highest accuracy on the validation part so far, whose weights are kept
	// beside the last ones. With averaged weights it is their accuracy.
	Best int `json:"best_epoch,omitempty"`
}

// Averaged is the score of the averaged weights.
type Averaged struct {
	Test  metric.Score  `json:"test"`
	Valid *metric.Score `json:"valid,omitempty"`
}

// Run runs a training, from its start or from the newest checkpoint in dir, and returns the record of
// the last epoch (not of the best one). If ctx is cancelled, it saves a checkpoint and returns
// run.ErrStopped. Invalid settings are returned as setting.Fault errors before anything is computed.
// observe may be nil.
func Run(ctx context.Context, s Setup, dir *run.Dir, observe func(run.Progress)) (last Epoch, err error) {
	defer func() { err = run.ShortOfMemory(err, s.Less()) }()
	if err := setting.In("train", s.Config.Validate()); err != nil {
		return last, err
	}
	if err := Divides(s.Config, s.Group); err != nil {
		return last, err
	}
	memory := run.MemoryOf(s.Options.Device)
	t, epoch, batch, err := start(s, dir)
	if err != nil {
		return last, err
	}
	t.dir = dir
	ctx = t.member.Follow(ctx)
	defer t.Free()
	span := run.Span{Epochs: s.Config.Epochs, Batches: s.Train.Batches(), Epoch: epoch, Batch: batch, Every: s.Config.CheckpointSteps, Defer: s.Options.Device.IsCUDA(),
		Images: s.Config.Batch * s.Config.Accumulate, Memory: memory,
		Diverged: "the network has diverged; lower train.lr or train.clip"}
	err = run.Loop(ctx, dir, t, span, observe)
	if err == nil || errors.Is(err, run.ErrStopped) {
		err = errors.Join(err, t.member.Written())
	}
	if err != nil {
		return last, err
	}
	err = dir.Records(func(line []byte) error { return json.Unmarshal(line, &last) })
	return last, err
}

// Divides returns a *setting.Fault if the processes of a group, which may be nil, cannot train together with those
// settings.
func Divides(c configs.TrainSection, g *dist.Group) error {
	if g != nil && c.Probe {
		return &setting.Fault{Key: "train.probe", Value: true, Why: "is for one process"}
	}
	return parallel.Divides("train.batch", c.Batch, g)
}

// task is a running training; it implements run.Task.
type task struct {
	Setup
	dir       *run.Dir // nil while it is measured
	model     *model.Model
	step      Stepper
	recompute kernel.Recompute
	rate      schedule.Schedule
	meter     metric.Meter
	average   *optim.Average // of the weights; nil without one
	member    *parallel.Member
	done      int     // steps that were taken, of all epochs
	best      float64 // highest accuracy on the validation part
	bestEpoch int     // its epoch, from 0
}

// start returns a training and the epoch and the batch to begin with: those of the newest checkpoint in dir,
// which may be nil, or 0. The caller calls Free.
func start(s Setup, dir *run.Dir) (t *task, epoch, batch int, err error) {
	d := model.Describe(s.Macro, s.Train.Dataset.Info(), s.Data)
	t = &task{Setup: s, member: parallel.New(s.Group), rate: Rate(s.Config, max(1, s.Train.Batches()))}
	if t.recompute, err = kernel.ParseRecompute(s.Config.Recompute); err != nil {
		return nil, 0, 0, err
	}
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.Seed(s.Seed)
		if t.model, err = model.New(s.Genotype, d, s.Options); err != nil {
			return err
		}
		t.step = NewStepper(t.model.Net, t.model.Weights, s.Config)
		t.step.Member = t.member
		if s.Autocast == torch.Float16 {
			t.step.ScaleLosses()
		}
		if s.Graphs && !t.synchronised() { // a recorded pass cannot wait for other processes
			t.step.Record()
		}
		c, resumed, err := latest(dir)
		if err == nil && dir != nil && !resumed {
			err = take(t.model, s, dir)
		}
		if err != nil {
			return err
		}
		if e := s.Config.EMA; e.Decay > 0 {
			t.average = optim.NewAverage(slices.Collect(t.model.Weights.All()), e.Decay, e.Warmup)
			t.step.Stepped = func() { t.average.Update(t.done + 1) }
		}
		known := false // the random numbers of this process
		if resumed {
			c, known = c.OfRank(s.Group.Rank(), s.Group.World())
			epoch, batch, err = t.restore(c)
		}
		if err == nil {
			err = t.member.Join(s.Seed, epoch, batch, !known, t.model.Weights)
		}
		return err
	})
	if err != nil {
		if t.model != nil {
			t.Free()
		}
		return nil, 0, 0, err
	}
	return t, epoch, batch, nil
}

// Free frees the tensors of the training.
func (t *task) Free() {
	torch.Do(func(*torch.Scope) error {
		t.model.Free()
		if t.step.Learner != nil {
			t.step.Free()
		}
		if t.average != nil {
			t.average.Free()
		}
		t.meter.Reset()
		return nil
	})
}

// Batches yields the batches of the training set.
func (t *task) Batches(ctx context.Context, epoch, from int) iter.Seq2[datasets.Batch, error] {
	if from == 0 {
		torch.Do(func(*torch.Scope) error { t.meter.Reset(); return nil })
	}
	t.done = epoch*t.Train.Batches() + from
	return parallel.Agreed(t.member, t.Train.Epoch(ctx, epoch, from), func(b datasets.Batch) []datasets.Batch { return []datasets.Batch{b} })
}

// Rate returns the learning rate.
func (t *task) Rate(epoch, batch int) float64 { return t.rate(epoch*t.Train.Batches() + batch) }

// Score returns the score of the steps of the epoch so far.
func (t *task) Score() metric.Score { return t.meter.Score() }

// dropPath returns the probability of drop path, which grows linearly from 0 in the first epoch.
func (t *task) dropPath(epoch int) float64 {
	return t.Config.DropPath * float64(epoch) / float64(t.Config.Epochs)
}

// Step updates the weights with one batch, in parts of Config.Batch images, and returns the training loss.
func (t *task) Step(epoch int, b datasets.Batch) []run.Scalar {
	how := &nn.Ctx{Train: true, DropPath: t.dropPath(epoch), Autocast: t.Autocast, Path: t.Path, Recompute: t.recompute,
		Frozen: epoch < t.Config.FreezeEpochs, FrozenNorms: t.Config.FreezeNorm, Statistics: t.member.Norms(t.Config.SyncNorm, t.member.Share(0))}
	parts := partsOf(b, t.Config.Batch/t.Group.World(), b.N)
	if t.synchronised() && t.Config.Accumulate > 1 { // all compute equally many parts
		parts = partsOf(b, t.Config.Batch/t.Group.World(), t.member.Least(len(parts)))
	}
	var labels torch.Tensor
	loss, norm := t.step.Accumulate(how, t.rate(t.done), len(parts), func(i int) Part {
		var images torch.Tensor
		images, labels = metric.Tensors(parts[i], t.Options)
		return Part{append([]torch.Tensor{images, labels}, metric.Mixed(parts[i], t.Options)...), t.loss, float64(parts[i].N) / float64(b.N)}
	}, func(loss, logits torch.Tensor) {
		if !b.Blank {
			t.meter.Add(loss, logits, labels)
		}
	})
	t.done++
	return []run.Scalar{{Name: "loss", Value: loss}, {Name: "norm of its gradient", Tag: "grad_norm/weights", Value: norm}}
}

// loss returns the loss of logits (N,Classes). in are the images, their labels and, where they are mixed, what
// metric.Mixed returns, perhaps followed by the part's share.
func (t *task) loss(in []torch.Tensor, logits torch.Tensor) torch.Tensor {
	var mixed []torch.Tensor
	if len(in) >= 4 {
		mixed = in[2:4]
	}
	return metric.CrossEntropy(logits, in[1], mixed, t.Config.LabelSmoothing)
}

// synchronised reports whether batch norms use the images of several processes.
func (t *task) synchronised() bool { return t.member != nil && t.Config.SyncNorm }

// partsOf divides a batch in parts of n images, most parts at most: the last one has what remains. A single remaining image,
// for which batch norm has no variance, is added to the part before.
func partsOf(b datasets.Batch, n, most int) (parts []datasets.Batch) {
	for from := 0; from < b.N; {
		size := min(n, b.N-from)
		if b.N-from-size == 1 || len(parts)+1 == most {
			size = b.N - from
		}
		parts = append(parts, b.Part(from, size))
		from += size
	}
	return parts
}

// EndEpoch evaluates the network and returns the record of the epoch. If there is a validation part, it keeps
// the best network, and ends the training when that has not become better for Config.Patience epochs.
func (t *task) EndEpoch(ctx context.Context, epoch int) (any, bool, error) {
	r := Epoch{Epoch: epoch + 1, LR: t.rate(epoch * t.Train.Batches()), DropPath: t.dropPath(epoch)}
	tally := score.NewTally(len(t.model.Classes))
	if err := t.evaluate(ctx, &r, nil, tally); err != nil {
		return nil, false, err
	}
	err := torch.Do(func(*torch.Scope) error {
		r.Train = t.meter.Total(t.Group)
		return t.member.Same()
	})
	if err = errors.Join(err, r.Train.Finite(), r.Test.Finite()); err == nil {
		err = writeEvaluation(t.dir, r, tally, t.model.Classes)
	}
	if err != nil || r.Valid == nil {
		return r, false, err
	}
	valid := *r.Valid
	if r.EMA != nil {
		valid = *r.EMA.Valid
	}
	if valid.Top1 > t.best || epoch == 0 {
		t.best, t.bestEpoch = valid.Top1, epoch
		err = torch.Do(func(*torch.Scope) error {
			c, err := t.Checkpoint(epoch+1, 0)
			if err != nil {
				return err
			}
			return t.dir.SaveBest(c)
		})
	}
	r.Best = t.bestEpoch + 1
	return r, t.Config.Patience > 0 && epoch-t.bestEpoch >= t.Config.Patience, err
}

// writeEvaluation writes the score of an epoch on the test images, with the description of the predictions.
func writeEvaluation(d *run.Dir, r Epoch, t *score.Tally, classes []string) error {
	text, err := json.Marshal(score.Evaluation{Epoch: r.Epoch, Score: r.Test, Report: t.Report(classes)})
	if err != nil {
		return err
	}
	return d.WriteFile(run.EvaluationFile, append(text, '\n'))
}

// evaluate puts the scores of the network, and of its averaged weights, into r. step is called after each batch. The
// predictions of the network on the test set are added to a tally, which may be nil.
func (t *task) evaluate(ctx context.Context, r *Epoch, step func(), tally *score.Tally) (err error) {
	if r.Test, r.Valid, err = t.scores(ctx, step, tally); err != nil || t.average == nil {
		return err
	}
	swap := func() error { return torch.Do(func(*torch.Scope) error { t.average.Swap(); return nil }) }
	if err := swap(); err != nil {
		return err
	}
	r.EMA = &Averaged{}
	r.EMA.Test, r.EMA.Valid, err = t.scores(ctx, step, nil)
	return errors.Join(err, swap())
}

// scores returns the scores of the network on the test set and on the validation part; valid is nil without one.
func (t *task) scores(ctx context.Context, step func(), tally *score.Tally) (test metric.Score, valid *metric.Score, err error) {
	if test, err = metric.Describe(ctx, t.model.Logits, t.Test, t.Options, step, tally, t.Group); err != nil || t.Valid == nil {
		return test, nil, err
	}
	s, err := metric.Describe(ctx, t.model.Logits, t.Valid, t.Options, step, nil, t.Group)
	return test, &s, err
}

// Checkpoint returns the whole state of the training: weights, optimizer, random number generators and
// metrics.
func (t *task) Checkpoint(epoch, batch int) (run.Checkpoint, error) {
	c, err := t.model.Checkpoint()
	if err != nil {
		return c, err
	}
	c.Meta.Config, c.Meta.Epoch, c.Meta.Batch = string(t.Resolved), epoch, batch
	c.Meta.Seed, c.Meta.Generators, c.Meta.Basis = t.Seed, run.Generators(t.Options.Device), t.Basis
	if c.Meta.RankGenerators, err = parallel.Gather(t.member, c.Meta.Generators); err != nil {
		return c, err
	}
	c.Meta.Best, c.Meta.BestEpoch = t.best, t.bestEpoch
	c.State[t.optimizer()], c.State["metrics"], c.State["scale"] = t.step.State(), t.meter.TotalState(t.Group), t.step.Scaler.State("loss")
	if t.average != nil {
		c.State[model.AverageSection] = t.average.State()
	}
	return c, nil
}

// optimizer returns the section of a checkpoint with the optimizer's state.
func (t *task) optimizer() string { return string(t.Config.Optimizer) }

// latest returns the newest checkpoint of dir, which may be nil, and whether there is one.
func latest(dir *run.Dir) (c run.Loaded, ok bool, err error) {
	if dir == nil {
		return c, false, nil
	}
	return dir.Latest()
}

// take copies the weights of the checkpoint that a new training starts from, if there is one, and writes which.
func take(m *model.Model, s Setup, dir *run.Dir) error {
	if s.Start == nil {
		return nil
	}
	taken, err := m.Take(*s.Start)
	if err != nil {
		return err
	}
	if s.Taken != nil {
		s.Taken(taken)
	}
	text, err := json.MarshalIndent(taken, "", "  ")
	if err != nil {
		return err
	}
	return dir.WriteFile(run.StartFile, append(text, '\n'))
}

// restore loads a checkpoint and returns the epoch and the batch at which the training continues.
func (t *task) restore(c run.Loaded) (epoch, batch int, err error) {
	if c.Meta.Kind != model.Kind {
		return 0, 0, fmt.Errorf("the run folder holds a %s, not a %s", c.Meta.Kind, model.Kind)
	}
	err = errors.Join(t.model.Restore(c), t.step.Load(c.State[t.optimizer()]), c.SetGenerators(t.Options.Device, t.Note))
	if t.average != nil {
		err = errors.Join(err, t.average.Load(c.State[model.AverageSection]))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("the checkpoint does not fit this training: %w", err)
	}
	t.step.Scaler.Load("loss", c.State["scale"])
	if t.Group.Rank() == 0 { // it has the samples of all
		t.meter.Load(c.State["metrics"], t.Options.Device)
	}
	t.best, t.bestEpoch = c.Meta.Best, c.Meta.BestEpoch
	return c.Meta.Epoch, c.Meta.Batch, nil
}
