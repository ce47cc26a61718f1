package lab

import (
	"context"
	"errors"

	"hdas/configs"
	"hdas/datasets"
	"hdas/metric"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/train"
)

// Train trains the network of a genotype in a folder, from its start or from the newest checkpoint in the
// folder, and returns the record of the last epoch. If ctx is cancelled, it saves a checkpoint and returns
// a *Stopped error.
func Train(ctx context.Context, c configs.Train, g genotype.Genotype, d *run.Dir, w Watch) (train.Epoch, error) {
	learn, err := c.Data.Open(datasets.Train)
	if err != nil {
		return train.Epoch{}, err
	}
	test, err := c.Data.Open(datasets.Test)
	if err != nil {
		return train.Epoch{}, err
	}
	if err := checkClasses(test, learn.Info().Classes); err != nil {
		return train.Epoch{}, err
	}
	return w.train(ctx, c, g, learn, test, d)
}

// train trains on the data set learn and evaluates on the data set test.
func (w Watch) train(ctx context.Context, c configs.Train, g genotype.Genotype, learn, test datasets.Dataset, d *run.Dir) (train.Epoch, error) {
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return train.Epoch{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return train.Epoch{}, err
	}
	if err := errors.Join(writeGenotype(d, g), d.WriteConfig(resolved)); err != nil {
		return train.Epoch{}, err
	}
	m := c.Network
	m.Classes = int64(len(learn.Info().Classes))
	s := train.Setup{
		Config: c.Train, Macro: m, Genotype: g, Options: o, Autocast: autocast, Seed: c.Seed, Resolved: resolved,
		Data:  c.Data.Spec,
		Train: w.loader(c.Common, learn, c.Train.Batch, true),
		Test:  w.loader(c.Common, test, 2*c.Train.Batch, false),
	}
	progress, end := w.begin("training of " + g.Name)
	defer end()
	last, err := train.Run(ctx, s, d, progress)
	return last, stopped(err, "train", d)
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
}

// Evaluate returns the score of the network of a checkpoint file, or of the newest checkpoint of a run
// folder, on the data set that it was trained on.
func Evaluate(ctx context.Context, path string, t EvalOptions, w Watch) (Evaluation, error) {
	m, free, err := Load(path, configs.Common{Device: t.Device, Threads: t.Threads, Precision: "float32"})
	if err != nil {
		return Evaluation{}, err
	}
	defer free()
	spec := m.Spec()
	if t.DataDir != "" {
		spec.Dir = t.DataDir
	}
	data, err := spec.Open(t.Split)
	if err != nil {
		return Evaluation{}, err
	}
	if err := checkClasses(data, m.Classes); err != nil {
		return Evaluation{}, err
	}
	l := &datasets.Loader{Dataset: data, Batch: t.Batch}
	if t.Skip {
		l.Damaged = w.skipped()
	}
	score, err := metric.Evaluate(ctx, m.Logits, l, m.Weights.Options(), nil)
	return Evaluation{m.Genotype.Name, m.Dataset, t.Split, score}, err
}
