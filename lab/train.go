package lab

import (
	"context"
	"errors"
	"fmt"

	"hdas/configs"
	"hdas/datasets"
	"hdas/metric"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/train"
)

// Train trains the network of a genotype in a folder, from its start or from the newest checkpoint in the
// folder, and returns the record of the last epoch. If ctx is cancelled, it saves a checkpoint and returns
// a *Stopped error.
func Train(ctx context.Context, c configs.Train, g genotype.Genotype, d *run.Dir, w Watch) (train.Epoch, error) {
	m, err := w.remember(d.Path())
	if err != nil {
		return train.Epoch{}, err
	}
	x, err := openBoth(c.Data.Spec, m)
	if err != nil {
		return train.Epoch{}, err
	}
	return w.train(ctx, c, g, x, m, d)
}

// openBoth opens both parts of a data set, with the split that they had when the run began.
func openBoth(s datasets.Spec, m memory) (x data, err error) {
	if s, err = m.spec(s); err != nil {
		return x, err
	}
	learn, err := s.Open(datasets.Train)
	if err != nil {
		return x, err
	}
	test, err := s.Open(datasets.Test)
	if err != nil {
		return x, err
	}
	x = data{s.Dir, "", map[string]datasets.Dataset{datasets.Train: learn, datasets.Test: test}, map[string]datasets.Cut{testCut: s.Cut}}
	return x, checkClasses(test, learn.Info().Classes)
}

// train trains on one part of the data and evaluates on the other. mem is the basis of the run in the folder.
func (w Watch) train(ctx context.Context, c configs.Train, g genotype.Genotype, x data, mem memory, d *run.Dir) (train.Epoch, error) {
	o, autocast, err := w.again(c.Common, mem.was.Last())
	if err != nil {
		return train.Epoch{}, err
	}
	learn, test := x.parts[datasets.Train], x.parts[datasets.Test]
	if _, err := model.Describe(c.Network, learn.Info(), c.Data.Spec).Plan(g); err != nil {
		return train.Epoch{}, err // before anything is written
	}
	c.Form = configs.FormOf(len(g.Stages) > 0)
	resolved, err := c.YAML()
	if err != nil {
		return train.Epoch{}, err
	}
	now, err := x.basis(resolved)
	if err != nil {
		return train.Epoch{}, err
	}
	basis, err := w.hold(d, mem, computed(now, o))
	if err != nil {
		return train.Epoch{}, err
	}
	if err := errors.Join(writeGenotype(d, g), d.WriteConfig(resolved)); err != nil {
		return train.Epoch{}, err
	}
	s := w.trainSetup(c, o, autocast, g, learn, test)
	s.Resolved, s.Basis, s.Note = resolved, basis, w.note
	if err := errors.Join(s.Train.Validate(), s.Test.Validate()); err != nil {
		return train.Epoch{}, err
	}
	p, r, err := s.Probe()
	if err != nil {
		return train.Epoch{}, err
	}
	if err := w.warn(ctx, p, r, machine(s.Options, 0, false)); err != nil {
		return train.Epoch{}, err
	}
	progress, end := w.begin("training of " + g.Name)
	defer end()
	last, err := train.Run(ctx, s, d, progress)
	return last, stopped(err, "train", d)
}

// trainSetup returns the setup of a training on one part of the data that is evaluated on another.
func (w Watch) trainSetup(c configs.Train, o torch.Options, autocast torch.DType, g genotype.Genotype, learn, test datasets.Dataset) train.Setup {
	m := c.Network
	m.Classes = int64(len(learn.Info().Classes))
	return train.Setup{
		Config: c.Train, Macro: m, Genotype: g, Options: o, Autocast: autocast, ChannelsFirst: !c.CUDA.ChannelsLast, Seed: c.Seed, Data: c.Data.Spec,
		Train: w.loader(c.Common, learn, c.Train.Batch, true),
		Test:  w.loader(c.Common, test, 2*c.Train.Batch, false),
	}
}

// EvalOptions says how Evaluate evaluates a trained network.
type EvalOptions struct {
	Device  string // auto, cpu, cuda, cuda:N
	Threads int    // threads of tensor operations on the CPU; 0: libtorch's default
	Batch   int    // images in a batch
	DataDir string // the folder of the data set; empty: that of the training
	Split   string // datasets.Train or datasets.Test
	Skip    bool   // leave out image files that cannot be decoded
}

// Evaluation is the score of a trained network.
type Evaluation struct {
	Genotype string `json:"genotype"`
	Dataset  string `json:"dataset"`
	Split    string `json:"split"`
	metric.Score
	Training Progress `json:"training"` // the epochs of the training so far
}

// Evaluate returns the score of the network of a checkpoint file, or of the newest checkpoint of a run
// folder, on the data set that it was trained on.
func Evaluate(ctx context.Context, path string, t EvalOptions, w Watch) (Evaluation, error) {
	m, meta, free, err := load(path, configs.Common{Device: t.Device, Threads: t.Threads, Precision: "float32"})
	if err != nil {
		return Evaluation{}, err
	}
	defer free()
	spec := m.Spec()
	if t.DataDir != "" {
		spec.Dir = t.DataDir
	}
	basis, err := run.BasisOf(path, meta)
	if err != nil {
		return Evaluation{}, err
	}
	if spec.Cut = datasets.ByPosition(); basis != nil {
		spec.Cut = basis.Cuts[testCut]
	} else if meta.Config != "" { // imported weights have none
		w.note(unrecorded(path))
	}
	data, err := spec.Open(t.Split)
	if err != nil {
		return Evaluation{}, err
	}
	if err := checkClasses(data, m.Classes); err != nil {
		return Evaluation{}, err
	}
	if basis != nil {
		err = w.holdTest(path, basis, t.Split, data)
	} else {
		err = datasets.Usable(data, t.Split)
	}
	if err != nil {
		return Evaluation{}, err
	}
	l := &datasets.Loader{Dataset: data, Batch: t.Batch}
	if t.Skip {
		l.Damaged = w.skipped()
	}
	score, err := metric.Evaluate(ctx, m.Logits, l, m.Weights.Options(), nil)
	return Evaluation{m.Genotype.Name, m.Dataset, t.Split, score, progressOf(meta)}, run.ShortOfMemory(err, fmt.Sprintf("smaller batches (now %d)", t.Batch))
}
