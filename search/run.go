package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"hdas/datasets"
	"hdas/metric"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// Setup is all that a search starts from.
type Setup struct {
	Config       Config
	Macro        models.Macro
	Train, Valid *datasets.Loader // the halves: of the weights, and of the architecture
	Test         *datasets.Loader // the validation half again, in order and unaugmented, for the score of an epoch
	Options      torch.Options
	Seed         uint64
	Name         string // of the genotype found
	Resolved     []byte // the whole configuration, kept in the checkpoint
}

// Result is what a search found.
type Result struct {
	Genotype genotype.Genotype // the last epoch's
	Best     genotype.Genotype // of the epoch whose supernet scored best, for comparison
	Epoch    Epoch             // the last
}

// Epoch is the record of one epoch.
type Epoch struct {
	Epoch      int                  `json:"epoch"` // from 1
	LR         float64              `json:"lr"`
	Train      metric.Score         `json:"train"`                // on the weights' half, while learning
	Valid      metric.Score         `json:"valid"`                // of the supernet, on the architecture's half
	Depth      *float64             `json:"depth,omitempty"`      // the depth loss, eq. 2 or 4
	Complexity *float64             `json:"complexity,omitempty"` // the complexity loss, eq. 5
	Genotype   string               `json:"genotype"`             // YAML, what the parameters say now
	Alpha      map[string][]float64 `json:"alpha"`                // every architecture parameter, row by row, before the softmax
	Best       bool                 `json:"best,omitempty"`       // the best supernet so far
}

// Run searches, from the start or from where dir's checkpoint stands, until the end or until ctx
// is cancelled (run.ErrStopped).
func Run(ctx context.Context, s Setup, dir *run.Dir, observe func(run.Progress)) (Result, error) {
	t, epoch, batch, err := start(s, dir)
	if err != nil {
		return Result{}, err
	}
	defer t.free()
	if err := run.Loop(ctx, dir, t, s.Config.Epochs, t.batches(), epoch, batch, observe); err != nil {
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
	sgd    *optim.SGD
	adam   *optim.Adam
	rate   optim.Schedule
	meter  metric.Meter
	record Epoch   // the last that ended
	best   float64 // the best supernet's top-1
	bestAt int     // its epoch, from 0
}

func start(s Setup, dir *run.Dir) (t *task, epoch, batch int, err error) {
	sp, err := s.Config.Space()
	if err != nil {
		return nil, 0, 0, err
	}
	info := s.Train.Dataset.Info()
	w, a := s.Config.Weights, s.Config.Alpha
	t = &task{Setup: s, dir: dir, best: -1,
		image: layer.Shape{C: int64(info.Channels), H: int64(info.Height), W: int64(info.Width)},
		rate:  optim.Cosine(w.LR, w.MinLR, s.Config.Epochs)}
	failure := torch.Do(func(*torch.Scope) {
		torch.Seed(s.Seed)
		if t.net, err = NewSupernet(sp, s.Config, s.Macro, t.image, s.Options); err != nil {
			return
		}
		t.sgd = optim.NewSGD(t.net.Weights.Weights(), torch.SGDOptions{Momentum: w.Momentum, WeightDecay: w.WeightDecay})
		t.adam = optim.NewAdam(t.net.Arch.Store.Weights(), torch.AdamOptions{Beta1: a.Beta1, Beta2: a.Beta2, Eps: 1e-8, WeightDecay: a.WeightDecay})
		epoch, batch, err = t.restore()
	})
	if err := errors.Join(failure, err); err != nil {
		if t.net != nil {
			t.free()
		}
		return nil, 0, 0, err
	}
	return t, epoch, batch, nil
}

func (t *task) free() {
	torch.Do(func(*torch.Scope) {
		t.net.Free()
		if t.sgd != nil {
			t.sgd.Free()
			t.adam.Free()
		}
		t.meter.Reset()
	})
}

func (t *task) batches() int { return min(t.Train.Batches(), t.Valid.Batches()) }

// pair is what one step learns from.
type pair struct{ train, valid datasets.Batch }

// Batches walks through both halves side by side.
func (t *task) Batches(ctx context.Context, epoch, from int) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		if from == 0 {
			torch.Do(func(*torch.Scope) { t.meter.Reset() })
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

// Step learns the architecture on the validation half, then the weights on the training half,
// both gradients being taken at the current point.
func (t *task) Step(epoch int, p pair) error {
	o := t.Options
	var valid, train Sample
	valid.Images, valid.Labels = metric.Tensors(p.valid, o)
	train.Images, train.Labels = metric.Tensors(p.train, o)
	Step(t.net, FirstOrder, t.adam, t.sgd, t.rate(epoch), train, valid, &t.meter)
	return nil
}

// Step is one bilevel step: Adam on the architecture along its hypergradient on valid, then SGD
// with that learning rate on the weights along their clipped gradient on train, which meter, if
// any, counts. It returns the training loss.
func Step(n *Supernet, hyper HyperGrad, adam *optim.Adam, sgd *optim.SGD, lr float64, train, valid Sample, meter *metric.Meter) (loss torch.Tensor) {
	torch.Within(func(*torch.Scope) {
		grads, _ := hyper(n, train, valid)
		adam.Step(n.config.Alpha.LR, grads)
	})
	torch.Within(func(s *torch.Scope) {
		var grads []torch.Tensor
		var logits torch.Tensor
		loss, grads, logits = n.WeightGrad(train)
		s.Return(loss)
		torch.ClipGradNorm(grads, n.config.Weights.Clip)
		sgd.Step(lr, grads)
		if meter != nil {
			meter.Add(loss, logits, train.Labels)
		}
	})
	return loss
}

// EndEpoch scores the supernet on the architecture's half and keeps what the parameters say.
func (t *task) EndEpoch(ctx context.Context, epoch int) (any, error) {
	r := Epoch{Epoch: epoch + 1, LR: t.rate(epoch), Alpha: map[string][]float64{}}
	valid, err := metric.Evaluate(ctx, func(c *nn.Ctx, images torch.Tensor) torch.Tensor {
		return t.net.Logits(c, images, false)
	}, t.Test, t.Options, nil)
	if err != nil {
		return nil, err
	}
	r.Valid = valid
	var g genotype.Genotype
	failure := torch.Do(func(*torch.Scope) {
		r.Train = t.meter.Score()
		for p := range t.net.Arch.Store.All() {
			r.Alpha[p.Name] = p.Tensor.Float64s()
		}
		t.net.Arch.softmax(false)
		if t.Config.Kind != Cell {
			r.Depth = number(t.net.Arch.depthLoss())
		}
		if t.net.theta != nil {
			r.Complexity = number(t.net.Arch.complexityLoss(t.net.theta))
		}
		g, err = t.net.Arch.Genotype(t.Name)
	})
	if err := errors.Join(failure, err, r.Train.Finite()); err != nil {
		return nil, err
	}
	text, err := encode(g)
	if err != nil {
		return nil, err
	}
	r.Genotype = string(text)
	if r.Best = valid.Top1 > t.best; r.Best {
		t.best, t.bestAt = valid.Top1, epoch
	}
	t.record = r
	return r, t.dir.WriteFile(epochFile(epoch), text)
}

func epochFile(epoch int) string { return fmt.Sprintf("genotypes/epoch-%03d.yaml", epoch+1) }

func number(t torch.Tensor) *float64 {
	v := t.Item()
	return &v
}

func encode(g genotype.Genotype) ([]byte, error) {
	var b bytes.Buffer
	err := g.Encode(&b)
	return b.Bytes(), err
}

// result reads what was found from the records, so that a resumed run, or one that was done
// already, ends as an unbroken one.
func (t *task) result() (r Result, err error) {
	last := t.Config.Epochs
	err = t.dir.Records(func(line []byte) error {
		var e Epoch
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		g, err := genotype.Decode(bytes.NewReader([]byte(e.Genotype)))
		if err != nil {
			return err
		}
		if e.Best {
			r.Best = g
		}
		if e.Epoch == last {
			r.Genotype, r.Epoch = g, e
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	for name, g := range map[string]genotype.Genotype{"genotype.yaml": r.Genotype, "genotype-best-supernet.yaml": r.Best} {
		text, err := encode(g)
		if err != nil {
			return r, err
		}
		if err := t.dir.WriteFile(name, text); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Checkpoint is the whole state: weights, architecture, both optimizers, generators and figures.
func (t *task) Checkpoint(epoch, batch int) (run.Checkpoint, error) {
	g, err := t.net.Arch.Genotype(t.Name)
	if err != nil {
		return run.Checkpoint{}, err
	}
	text, err := encode(g)
	if err != nil {
		return run.Checkpoint{}, err
	}
	c := run.Checkpoint{
		Meta: run.Meta{Kind: "search", Config: string(t.Resolved), Genotype: string(text), Epoch: epoch, Batch: batch, Seed: t.Seed,
			Generators: run.Generators(t.Options.Device), Best: t.best, BestEpoch: t.bestAt},
		State: map[string][]nn.Param{"sgd": t.sgd.State(), "adam": t.adam.State(), "metrics": t.meter.State()},
	}
	for p := range t.net.Weights.All() {
		c.State["weights"] = append(c.State["weights"], p)
	}
	for p := range t.net.Arch.Store.All() {
		c.State["arch"] = append(c.State["arch"], p)
	}
	return c, nil
}

// restore puts the state of dir's checkpoint back, if there is one.
func (t *task) restore() (epoch, batch int, err error) {
	c, ok, err := t.dir.Latest()
	if err != nil || !ok {
		return 0, 0, err
	}
	if c.Meta.Kind != "search" {
		return 0, 0, fmt.Errorf("the run folder holds a %s, not a search", c.Meta.Kind)
	}
	err = errors.Join(
		t.net.Weights.Load(c.State["weights"]), t.net.Arch.Store.Load(c.State["arch"]),
		t.sgd.Load(c.State["sgd"]), t.adam.Load(c.State["adam"]), run.SetGenerators(c.Meta.Generators))
	if err != nil {
		return 0, 0, fmt.Errorf("the checkpoint does not fit this search: %w", err)
	}
	t.meter.Load(c.State["metrics"], t.Options.Device)
	t.best, t.bestAt = c.Meta.Best, c.Meta.BestEpoch
	return c.Meta.Epoch, c.Meta.Batch, nil
}
