// Package train trains the network of a genotype with SGD.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/setting"
	"iter"

	"hdas/datasets"
	"hdas/metric"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/torch/optim/schedule"
)

// Setup holds the inputs of a training.
type Setup struct {
	Config        configs.TrainSection
	Macro         plan.Macro
	Genotype      genotype.Genotype
	Train, Test   *datasets.Loader
	Data          datasets.Spec // the data set of both loaders, stored in the checkpoint
	Options       torch.Options
	Autocast      torch.DType // type of the convolutions while learning; Float32: that of Options
	ChannelsFirst bool        // under autocast on CUDA, the channels of features are not innermost
	Seed          uint64
	Resolved      []byte            // the whole configuration as YAML, stored in the checkpoint
	Basis         *run.Basis        // what the run was begun with, stored in the checkpoint; nil if unknown
	Note          func(text string) // called with what a user should know of a resumed run, one sentence; may be nil
}

// Less names the settings with which the training would need less memory.
func (s Setup) Less() string {
	less := fmt.Sprintf("a smaller train.batch (it is %d), ", s.Config.Batch)
	if s.Options.Device.IsCUDA() && s.Autocast == torch.Float32 {
		less += "precision=bf16, "
	}
	return less + "fewer network.channels"
}

// Epoch is the record of one epoch, as it is stored in the run folder. The last one is the result of a training.
type Epoch struct {
	Epoch    int          `json:"epoch"` // from 1
	LR       float64      `json:"lr"`
	DropPath float64      `json:"drop_path"`
	Train    metric.Score `json:"train"` // while learning; the loss includes that of the auxiliary head
	Test     metric.Score `json:"test"`
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
	t, epoch, batch, err := start(s, dir)
	if err != nil {
		return last, err
	}
	defer t.Free()
	span := run.Span{Epochs: s.Config.Epochs, Batches: s.Train.Batches(), Epoch: epoch, Batch: batch, Every: s.Config.CheckpointSteps, Defer: s.Options.Device.IsCUDA(),
		Diverged: "the network has diverged; lower train.lr or train.clip"}
	if err := run.Loop(ctx, dir, t, span, observe); err != nil {
		return last, err
	}
	err = dir.Records(func(line []byte) error { return json.Unmarshal(line, &last) })
	return last, err
}

// task is a running training; it implements run.Task.
type task struct {
	Setup
	model *model.Model
	step  Stepper
	rate  schedule.Schedule
	meter metric.Meter
}

// start returns a training and the epoch and the batch to begin with: those of the newest checkpoint in dir,
// which may be nil, or 0. The caller calls Free.
func start(s Setup, dir *run.Dir) (t *task, epoch, batch int, err error) {
	d := model.Describe(s.Macro, s.Train.Dataset.Info(), s.Data)
	t = &task{Setup: s, rate: Rate(s.Config)}
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.Seed(s.Seed)
		if t.model, err = model.New(s.Genotype, d, s.Options); err != nil {
			return err
		}
		t.step = NewStepper(t.model.Net, t.model.Weights, s.Config)
		if s.Autocast == torch.Float16 {
			t.step.Scaler = optim.NewScaler()
		}
		if dir != nil {
			epoch, batch, err = t.restore(dir)
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
		t.meter.Reset()
		return nil
	})
}

// Batches yields the batches of the training set.
func (t *task) Batches(ctx context.Context, epoch, from int) iter.Seq2[datasets.Batch, error] {
	if from == 0 {
		torch.Do(func(*torch.Scope) error { t.meter.Reset(); return nil })
	}
	return t.Train.Epoch(ctx, epoch, from)
}

// dropPath returns the probability of drop path, which grows linearly from 0 in the first epoch.
func (t *task) dropPath(epoch int) float64 {
	return t.Config.DropPath * float64(epoch) / float64(t.Config.Epochs)
}

// Step updates the weights with one batch and returns the training loss.
func (t *task) Step(epoch int, b datasets.Batch) []run.Scalar {
	images, labels := metric.Tensors(b, t.Options)
	how := &nn.Ctx{Train: true, DropPath: t.dropPath(epoch), Autocast: t.Autocast, ChannelsFirst: t.ChannelsFirst}
	loss, logits := t.step.Take(how, t.rate(epoch), images, func(logits torch.Tensor) torch.Tensor {
		return metric.CrossEntropy(logits, labels, b, t.Config.LabelSmoothing)
	})
	t.meter.Add(loss, logits, labels)
	return []run.Scalar{{Name: "loss", Value: loss}}
}

// EndEpoch evaluates the network on the test set and returns the record of the epoch.
func (t *task) EndEpoch(ctx context.Context, epoch int) (any, bool, error) {
	r := Epoch{Epoch: epoch + 1, LR: t.rate(epoch), DropPath: t.dropPath(epoch)}
	test, err := t.evaluate(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	r.Test = test
	err = torch.Do(func(*torch.Scope) error { r.Train = t.meter.Score(); return nil })
	return r, false, errors.Join(err, r.Train.Finite(), r.Test.Finite())
}

// evaluate returns the score of the network on the test set.
func (t *task) evaluate(ctx context.Context, step func()) (metric.Score, error) {
	return metric.Evaluate(ctx, t.model.Logits, t.Test, t.Options, step)
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
	c.State["sgd"], c.State["metrics"], c.State["scale"] = t.step.State(), t.meter.State(), t.step.Scaler.State("loss")
	return c, nil
}

// restore loads the newest checkpoint of dir, if there is one, and returns the epoch and the batch at
// which the training continues.
func (t *task) restore(dir *run.Dir) (epoch, batch int, err error) {
	c, ok, err := dir.Latest()
	if err != nil || !ok {
		return 0, 0, err
	}
	if c.Meta.Kind != model.Kind {
		return 0, 0, fmt.Errorf("the run folder holds a %s, not a %s", c.Meta.Kind, model.Kind)
	}
	err = errors.Join(t.model.Restore(c), t.step.Load(c.State["sgd"]), c.SetGenerators(t.Options.Device, t.Note))
	if err != nil {
		return 0, 0, fmt.Errorf("the checkpoint does not fit this training: %w", err)
	}
	t.step.Scaler.Load("loss", c.State["scale"])
	t.meter.Load(c.State["metrics"], t.Options.Device)
	return c.Meta.Epoch, c.Meta.Batch, nil
}
