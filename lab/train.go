package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/datasets"
	"hdas/estimate"
	"hdas/metric"
	"hdas/metric/score"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/setting"
	"hdas/torch"
	"hdas/train"
)

// Train trains the network of a genotype in a folder, from its start or from the newest checkpoint in the
// folder, and returns the record of the last epoch. If ctx is cancelled, it saves a checkpoint and returns
// a *Stopped error.
func Train(ctx context.Context, c configs.Train, g genotype.Genotype, d *run.Dir, w Watch) (train.Epoch, error) {
	if err := train.Divides(c.Train, w.Group); err != nil {
		return train.Epoch{}, &ConfigError{err}
	}
	if err := sameGenotype(d, g); err != nil {
		return train.Epoch{}, err
	}
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
		s.Averaged = c.Train.InitEMA
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
	if err := w.sameData(now); err != nil {
		return train.Epoch{}, err
	}
	now = computed(now, o)
	basis, err := w.hold(d, mem, now)
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
	p, r, err := s.Probe()
	if err != nil {
		return train.Epoch{}, err
	}
	runs := train.Run
	var e estimate.Estimate
	if c.Train.Probe {
		runs, r.Steps = train.RunProbe, (s.Train.Dataset.Len()+c.Train.Batch-1)/c.Train.Batch
	} else if e, err = w.warn(ctx, p, r, machine(s.Options, 0, false)); err != nil {
		return train.Epoch{}, err
	}
	kind, _, err := kindOf(resolved)
	if err != nil {
		return train.Epoch{}, err
	}
	begins := w.starting(kind+" of "+g.Name, kind, c.Common, c.Train.Epochs, now.Machine, d)
	begins.Network.Genotype = g.Name
	parts := []part{{"train", x.parts[datasets.Train]}, {"test", x.parts[datasets.Test]}}
	if valid := x.parts[validation]; valid != nil {
		parts = slices.Insert(parts, 1, part{validation, valid})
	}
	begins = sized(begins, r, e, parts...)
	begins.Batch = c.Train.Batch
	progress, end, err := w.begin(d, begins)
	if err != nil {
		return train.Epoch{}, err
	}
	defer end()
	last, err := runs(ctx, s, d, progress)
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
		Group: w.Group,
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
	Batch   int    // images in a batch, of each process
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
// folder, on the data set that it was trained on. With a group, each process evaluates its part of the images, and all get the
// score of all images. A run folder without an evaluation, as of an earlier version, gets
// that of the test images, for its report.
func Evaluate(ctx context.Context, path string, t EvalOptions, w Watch) (Evaluation, error) {
	m, meta, free, err := load(path, t.EMA, configs.Common{Device: w.device(t.Device), Threads: t.Threads, Precision: "float32"})
	if err != nil {
		return Evaluation{}, err
	}
	defer free()
	spec := m.Spec()
	if t.DataDir != "" && spec.Embedded() {
		return Evaluation{}, &ConfigError{fmt.Errorf("--data-dir %q: %s was trained on the %s, which are embedded in the program", t.DataDir, path, spec.Name)}
	}
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
	data, err := openPart(spec, t.Split, path, meta, basis)
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
	if w.Group != nil {
		images, err := partOf(data)
		if err == nil {
			err = w.sameData(run.Basis{Classes: data.Info().Classes, Data: map[string]run.Part{t.Split: images}})
		}
		if err != nil {
			return Evaluation{}, err
		}
	}
	l := &datasets.Loader{Dataset: data, Batch: t.Batch, Rank: w.Group.Rank(), World: w.Group.World()}
	if t.Skip {
		l.Damaged = w.skipped()
	}
	tally := score.NewTally(len(m.Classes))
	total, err := metric.Describe(ctx, m.Logits, l, m.Weights.Options(), nil, tally, w.Group)
	e := Evaluation{m.Genotype.Name, m.Dataset, t.Split, total, tally.Report(m.Classes), progressOf(meta)}
	if err != nil {
		return e, run.ShortOfMemory(err, fmt.Sprintf("smaller batches (now %d)", t.Batch))
	}
	if w.Group.Rank() == 0 && t.Split == datasets.Test && !t.EMA && run.Begun(path) && !has(path, run.EvaluationFile) && meta.Batch == 0 {
		if err := writeEvaluation(path, score.Evaluation{Epoch: meta.Epoch, Score: e.Score, Report: e.Report}); err != nil {
			w.note("the evaluation is not in the folder of the run for a report: " + err.Error())
		}
	}
	return e, nil
}

// openPart opens a part of the data of a training: a split of the data set, or the images that it validated on. Those are
// not among its training images.
func openPart(s datasets.Spec, part, path string, meta run.Meta, basis *run.Basis) (datasets.Dataset, error) {
	var c struct{ Data struct{ Validation float64 } }
	if err := yaml.Unmarshal([]byte(meta.Config), &c); err != nil {
		return nil, err
	}
	share := c.Data.Validation
	if part == datasets.Test || part == datasets.Train && share == 0 {
		return s.Open(part)
	}
	if part == validation && share == 0 {
		return nil, fmt.Errorf("%s has no validation part: it was trained without data.validation", path)
	}
	if part != datasets.Train && part != validation {
		return nil, fmt.Errorf("split %q %s", part, setting.Unknown(part, []string{datasets.Train, validation, datasets.Test}))
	}
	whole, err := s.Open(datasets.Train)
	if err != nil {
		return nil, err
	}
	var at datasets.Cut
	if basis != nil {
		at = basis.Cuts[validCut]
	}
	learn, valid, _ := datasets.ValidationAt(whole, share, s.SplitSeed, at)
	if part == validation {
		return valid, nil
	}
	return learn, nil
}
