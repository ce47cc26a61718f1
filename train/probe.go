package train

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"

	"hdas/datasets"
	"hdas/metric"
	"hdas/metric/score"
	"hdas/model"
	"hdas/run"
	"hdas/setting"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/torch/optim/schedule"
)

// RunProbe trains the classifier alone (configs.TrainSection.Probe): the features of all images are computed
// once, in evaluation mode and without augmentation, and the classifier learns from them. Everything else is as
// in Run.
func RunProbe(ctx context.Context, s Setup, dir *run.Dir, observe func(run.Progress)) (last Epoch, err error) {
	if err := setting.In("train", s.Config.Validate()); err != nil {
		return last, err
	}
	if err := Divides(s.Config, s.Group); err != nil {
		return last, err
	}
	p := &probe{Setup: s, dir: dir}
	defer p.free()
	memory := run.MemoryOf(s.Options.Device)
	epoch, batch, err := p.start(ctx, dir)
	if err != nil {
		return last, err
	}
	span := run.Span{Epochs: s.Config.Epochs, Batches: p.batches(), Epoch: epoch, Batch: batch, Every: s.Config.CheckpointSteps,
		Images: s.Config.Batch, Memory: memory, Diverged: "the classifier has diverged; lower train.lr"}
	if err := run.Loop(ctx, dir, p, span, observe); err != nil {
		return last, err
	}
	err = dir.Records(func(line []byte) error { return json.Unmarshal(line, &last) })
	return last, err
}

// probe is a running training of a classifier; it implements run.Task. A batch is a list of indices.
type probe struct {
	Setup
	dir         *run.Dir
	model       *model.Model
	learner     *optim.Learner
	rate        schedule.Schedule
	meter       metric.Meter
	train, test features
	done        int // steps that were taken, of all epochs
}

// features holds the features of the images of a data set, width for each, and their labels.
type features struct {
	values []float64
	labels []int64
	width  int
}

// of returns the features (N,F) and the labels (N) of the images with those indices.
func (f features) of(indices []int, o torch.Options) (x, labels torch.Tensor) {
	values, classes := make([]float64, 0, len(indices)*f.width), make([]int64, len(indices))
	for k, i := range indices {
		values, classes[k] = append(values, f.values[i*f.width:(i+1)*f.width]...), f.labels[i]
	}
	n := int64(len(indices))
	return torch.FromFloat64(values, n, int64(f.width)).To(o.DType).ToDevice(o.Device), torch.FromInt64(classes, n).ToDevice(o.Device)
}

// start builds the network, computes the features, and returns where to begin.
func (p *probe) start(ctx context.Context, dir *run.Dir) (epoch, batch int, err error) {
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.Seed(p.Seed)
		if p.model, err = model.New(p.Genotype, model.Describe(p.Macro, p.Setup.Train.Dataset.Info(), p.Data), p.Options); err != nil {
			return err
		}
		p.learner = newProbeLearner(p.model, p.Setup)
		c, resumed, err := latest(dir)
		switch {
		case err != nil:
			return err
		case resumed:
			epoch, batch = c.Meta.Epoch, c.Meta.Batch
			p.meter.Load(c.State["metrics"], p.Options.Device)
			return errors.Join(p.model.Restore(c), p.learner.Load(c.State[string(p.Config.Optimizer)]))
		}
		return take(p.model, p.Setup, dir)
	})
	if err != nil {
		return 0, 0, err
	}
	for _, l := range []struct {
		from *datasets.Loader
		to   *features
	}{{p.Setup.Train, &p.train}, {p.Test, &p.test}} {
		if *l.to, err = p.features(ctx, l.from); err != nil {
			return 0, 0, err
		}
	}
	p.rate = Rate(p.Config, p.batches())
	return epoch, batch, nil
}

// newProbeLearner returns a learner of the classifier.
func newProbeLearner(m *model.Model, s Setup) *optim.Learner {
	var groups []optim.Group
	for _, w := range m.Weights.Weights() {
		if w.Name == "classifier.weight" || w.Name == "classifier.bias" {
			g := optim.Group{Params: []nn.Param{w}, Decay: s.Config.WeightDecay}
			if !s.Config.NormDecay && len(w.Tensor.Shape()) == 1 {
				g.Decay = 0
			}
			groups = append(groups, g)
		}
	}
	l := &optim.Learner{Optimizer: newOptimizer(groups, s.Config), Params: nn.Tensors(optim.Params(groups))}
	clip(l, s.Config)
	return l
}

// features returns the features of all images of a loader's data set.
func (p *probe) features(ctx context.Context, from *datasets.Loader) (f features, err error) {
	l := &datasets.Loader{Dataset: from.Dataset, Batch: 2 * p.Config.Batch, Workers: from.Workers, Damaged: from.Damaged}
	for b, err := range l.Epoch(ctx, 0, 0) {
		if errors.Is(err, context.Canceled) {
			return f, run.ErrStopped // with nothing to save
		}
		if err != nil {
			return f, err
		}
		f.labels = append(f.labels, b.Labels...)
		err = torch.Do(func(*torch.Scope) error {
			torch.NoGrad(func() {
				images, _ := metric.Tensors(b, p.Options)
				of := p.model.Net.Features(&nn.Ctx{}, images)
				f.width = int(of.Size(1))
				f.values = append(f.values, of.To(torch.Float64).Float64s()...)
			})
			return nil
		})
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func (p *probe) free() {
	torch.Do(func(*torch.Scope) error {
		if p.model != nil {
			p.model.Free()
		}
		if p.learner != nil {
			p.learner.Free()
		}
		p.meter.Reset()
		return nil
	})
}

// batches returns the number of steps of an epoch.
func (p *probe) batches() int { return (len(p.train.labels) + p.Config.Batch - 1) / p.Config.Batch }

// Batches yields the indices of the batches of an epoch, in an order that depends on the seed and the epoch.
func (p *probe) Batches(_ context.Context, epoch, from int) iter.Seq2[[]int, error] {
	if from == 0 {
		torch.Do(func(*torch.Scope) error { p.meter.Reset(); return nil })
	}
	p.done = epoch*p.batches() + from
	order := rand.New(rand.NewPCG(p.Seed, uint64(epoch))).Perm(len(p.train.labels))
	return func(yield func([]int, error) bool) {
		for b := from; b < p.batches(); b++ {
			if !yield(order[b*p.Config.Batch:min((b+1)*p.Config.Batch, len(order))], nil) {
				return
			}
		}
	}
}

// Step updates the classifier with one batch and returns the loss.
func (p *probe) Step(_ int, batch []int) []run.Scalar {
	x, labels := p.train.of(batch, p.Options)
	logits := p.model.Net.Classify(x)
	loss := torch.CrossEntropy(logits, labels, p.Config.LabelSmoothing)
	p.meter.Add(loss.Detach(), logits.Detach(), labels)
	rates := []float64{p.rate(p.done), p.rate(p.done)}
	p.learner.Step(rates, p.learner.Gradient(loss))
	p.done++
	return []run.Scalar{{Name: "loss", Value: loss.Detach()}}
}

// Rate returns the learning rate.
func (p *probe) Rate(epoch, batch int) float64 { return p.rate(epoch*p.batches() + batch) }

// Score returns the score of the steps of the epoch so far.
func (p *probe) Score() metric.Score { return p.meter.Score() }

// EndEpoch scores the classifier on the test images and returns the record of the epoch.
func (p *probe) EndEpoch(_ context.Context, epoch int) (any, bool, error) {
	r := Epoch{Epoch: epoch + 1, LR: p.rate(epoch * p.batches())}
	tally := score.NewTally(len(p.model.Classes))
	err := torch.Do(func(*torch.Scope) error {
		r.Train = p.meter.Score()
		var test metric.Meter
		defer test.Reset()
		torch.NoGrad(func() {
			for from := 0; from < len(p.test.labels); from += 1024 {
				var indices []int
				for i := from; i < min(from+1024, len(p.test.labels)); i++ {
					indices = append(indices, i)
				}
				x, labels := p.test.of(indices, p.Options)
				logits := p.model.Net.Classify(x)
				test.Add(torch.CrossEntropy(logits, labels, 0), logits, labels)
				metric.Tally(tally, logits, p.test.labels[from:from+len(indices)])
			}
		})
		r.Test = test.Score()
		return nil
	})
	if err := errors.Join(err, r.Train.Finite(), r.Test.Finite()); err != nil {
		return r, false, err
	}
	return r, false, writeEvaluation(p.dir, r, tally, p.model.Classes)
}

// Checkpoint returns the whole state: the network, and the optimizer of its classifier.
func (p *probe) Checkpoint(epoch, batch int) (run.Checkpoint, error) {
	c, err := p.model.Checkpoint()
	if err != nil {
		return c, err
	}
	c.Meta.Config, c.Meta.Epoch, c.Meta.Batch, c.Meta.Seed, c.Meta.Basis = string(p.Resolved), epoch, batch, p.Seed, p.Basis
	c.State[string(p.Config.Optimizer)], c.State["metrics"] = p.learner.State(), p.meter.State()
	return c, nil
}
