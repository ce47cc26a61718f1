package lab

import (
	"context"
	"errors"
	"fmt"

	"hdas/configs"
	"hdas/datasets"
	"hdas/metric"
	"hdas/metric/score"
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
	x, err := openBoth(c, m)
	if err != nil {
		return train.Epoch{}, err
	}
	return w.train(ctx, c, g, x, m, d)
}

// openBoth opens both parts of a data set, with the split that they had when the run began, and divides the
// training images if there is a validation part.
func openBoth(c configs.Train, m memory) (x data, err error) {
	s, err := m.spec(c.Data.Spec)
	if err != nil {
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
	x.validate(c, m.cut(validCut))
	return x, checkClasses(test, learn.Info().Classes)
}

// validation is the part of the training images that a training validates on.
const validation = "validation"

// validate divides the training images if the training has a validation part, at a recorded cut if there is one.
func (x data) validate(c configs.Train, at datasets.Cut) {
	if c.Data.Validation > 0 {
		x.parts[datasets.Train], x.parts[validation], x.cuts[validCut] = datasets.ValidationAt(x.parts[datasets.Train], c.Data.Validation, c.Data.SplitSeed, at)
	}
}

// train trains on one part of the data and evaluates on the other. mem is the basis of the run in the folder.
func (w Watch) train(ctx context.Context, c configs.Train, g genotype.Genotype, x data, mem memory, d *run.Dir) (train.Epoch, error) {
	o, autocast, err := w.again(c.Common, mem.was.Last())
	if err != nil {
		return train.Epoch{}, err
	}
	describes := model.Describe(c.Network, x.parts[datasets.Train].Info(), c.Data.Spec)
	if _, err := describes.Plan(g); err != nil {
		return train.Epoch{}, err // before anything is written
	}
	var start *model.Start
	if _, begun := run.Find(d.Path()); c.Train.Init != "" && begun != nil { // later it starts from its own checkpoint
		s, err := model.ReadStart(c.Train.Init)
		if err == nil {
			err = s.Fits(g, describes)
		}
		if err != nil {
			return train.Epoch{}, fmt.Errorf("train.init: %w", err)
		}
		start = &s
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
	if start != nil {
		now.Start = start.Digest
	}
	basis, err := w.hold(d, mem, computed(now, o))
	if err != nil {
		return train.Epoch{}, err
	}
	if err := errors.Join(writeGenotype(d, g), d.WriteConfig(resolved)); err != nil {
		return train.Epoch{}, err
	}
	s, err := w.trainSetup(c, o, autocast, g, x.parts)
	if err != nil {
		return train.Epoch{}, err
	}
	s.Resolved, s.Basis, s.Start, s.Note = resolved, basis, start, w.note
	s.Taken = func(t model.Taken) { w.note(t.String()) }
	if c.Train.Probe {
		progress, end := w.begin("linear probe of " + g.Name)
		defer end()
		last, err := train.RunProbe(ctx, s, d, progress)
		return last, stopped(err, "train", d)
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

// trainSetup returns the setup of a training on the parts of a data set.
func (w Watch) trainSetup(c configs.Train, o torch.Options, autocast torch.DType, g genotype.Genotype, parts map[string]datasets.Dataset) (s train.Setup, err error) {
	learn := parts[datasets.Train]
	m := c.Network
	m.Classes = int64(len(learn.Info().Classes))
	s = train.Setup{
		Config: c.Train, Macro: m, Genotype: g, Options: o, Autocast: autocast, Path: pathOf(c.Common, o), Graphs: c.CUDA.Graphs, Seed: c.Seed, Data: c.Data.Spec,
		Train: w.loader(c.Common, learn, c.Train.Batch*c.Train.Accumulate, true),
		Test:  w.loader(c.Common, parts[datasets.Test], 2*c.Train.Batch, false),
	}
	if valid := parts[validation]; valid != nil {
		s.Valid = w.loader(c.Common, valid, 2*c.Train.Batch, false)
		err = s.Valid.Validate()
	}
	if c.Data.Balanced {
		var labelled error
		s.Train.Balance, labelled = datasets.Labels(learn)
		err = errors.Join(err, labelled)
	}
	return s, errors.Join(err, s.Train.Validate(), s.Test.Validate())
}

// EvalOptions says how Evaluate evaluates a trained network.
type EvalOptions struct {
	Device  string // auto, cpu, cuda, cuda:N
	Threads int    // threads of tensor operations on the CPU; 0: libtorch's default
	Batch   int    // images in a batch
	DataDir string // the folder of the data set; empty: that of the training
	Split   string // datasets.Train or datasets.Test
	Skip    bool   // leave out image files that cannot be decoded
	EMA     bool   // evaluate the averaged weights (train.ema)
}

// Evaluation is the score of a trained network.
type Evaluation struct {
	Genotype string `json:"genotype"`
	Dataset  string `json:"dataset"`
	Split    string `json:"split"`
	metric.Score
	score.Report
	Training Progress `json:"training"` // the epochs of the training so far
}

// Evaluate returns the score of the network of a checkpoint file, or of the newest checkpoint of a run
// folder, on the data set that it was trained on. A run folder without an evaluation, as of an earlier version, gets
// that of the test images, for its report.
func Evaluate(ctx context.Context, path string, t EvalOptions, w Watch) (Evaluation, error) {
	m, meta, free, err := load(path, t.EMA, configs.Common{Device: t.Device, Threads: t.Threads, Precision: "float32"})
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
	tally := score.NewTally(len(m.Classes))
	total, err := metric.Describe(ctx, m.Logits, l, m.Weights.Options(), nil, tally)
	e := Evaluation{m.Genotype.Name, m.Dataset, t.Split, total, tally.Report(m.Classes), progressOf(meta)}
	if err != nil {
		return e, run.ShortOfMemory(err, fmt.Sprintf("smaller batches (now %d)", t.Batch))
	}
	if t.Split == datasets.Test && !t.EMA && run.Begun(path) && !has(path, run.EvaluationFile) && meta.Batch == 0 {
		if err := writeEvaluation(path, score.Evaluation{Epoch: meta.Epoch, Score: e.Score, Report: e.Report}); err != nil {
			w.note("the evaluation is not in the folder of the run for a report: " + err.Error())
		}
	}
	return e, nil
}
