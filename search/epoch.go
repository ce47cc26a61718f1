package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"hdas/metric"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
)

// Epoch is the record of one epoch, as it is stored in the run folder.
type Epoch struct {
	Epoch      int                  `json:"epoch"` // from 1
	LR         float64              `json:"lr"`
	Train      metric.Score         `json:"train"`                // on the half of the data for the weights, while learning
	Valid      metric.Score         `json:"valid"`                // of the supernet, on the half of the data for the architecture
	Depth      *float64             `json:"depth,omitempty"`      // the depth loss, eq. 2 or 4
	Complexity *float64             `json:"complexity,omitempty"` // the complexity loss, eq. 5
	Genotype   string               `json:"genotype"`             // YAML, derived from the current parameters
	Alpha      map[string][]float64 `json:"alpha"`                // every architecture parameter by name, row by row, before the softmax
	Best       bool                 `json:"best,omitempty"`       // the supernet has the highest top-1 so far
	// Entropy is the entropy, in nats, of the softmax over the operations of an edge, averaged over the
	// edges of a DAG. It falls from the logarithm of the number of candidates towards 0 as the search decides.
	Entropy map[string]float64 `json:"entropy"`
	Skips   map[string]int     `json:"skips"` // skip connections in the derived genotype, by DAG
	// Eigenvalue is the dominant eigenvalue of the Hessian of the validation loss with respect to the
	// architecture parameters. It is computed only if search.stop is set. StopAt is the epoch whose
	// genotype is the result, if the search stops early.
	Eigenvalue *float64 `json:"eigenvalue,omitempty"`
	StopAt     int      `json:"stop_at,omitempty"`

	mixtures []run.Mixture
}

// Mixtures returns the softmax of the alphas of every DAG, of an epoch that has just ended.
func (e Epoch) Mixtures() []run.Mixture { return e.mixtures }

// EndEpoch evaluates the supernet on the half of the data for the architecture and returns the record
// of the epoch, and true if the search stops early. It writes the derived genotype to the run folder.
func (t *task) EndEpoch(ctx context.Context, epoch int) (any, bool, error) {
	r := Epoch{Epoch: epoch + 1, LR: t.rate(epoch)}
	var err error
	if r.Valid, err = t.evaluate(ctx, nil); err != nil {
		return nil, false, err
	}
	var g genotype.Genotype
	err = torch.Do(func(*torch.Scope) (err error) {
		r.Train = t.meter.Total(t.Group)
		r.describe(t.net)
		g, err = t.net.Arch.Genotype(t.Name)
		return errors.Join(err, t.member.Same())
	})
	if err := errors.Join(err, r.Train.Finite(), r.Valid.Finite()); err != nil {
		return nil, false, err
	}
	r.Skips = skips(t.net.Arch, g)
	text, err := encode(g)
	if err != nil {
		return nil, false, err
	}
	r.Genotype = string(text)
	if r.Best = r.Valid.Top1 > t.best; r.Best {
		t.best, t.bestAt = r.Valid.Top1, epoch
	}
	if t.Config.Stop.Ratio > 0 {
		if err := t.watch(ctx, &r); err != nil {
			return nil, false, err
		}
	}
	return r, r.StopAt > 0, t.dir.WriteEpoch(epoch, g)
}

// evaluate returns the score of the supernet on the half of the data for the architecture.
func (t *task) evaluate(ctx context.Context, step func()) (metric.Score, error) {
	return metric.Describe(ctx, t.net.Logits, t.Test, t.Options, step, nil, t.Group)
}

// describe fills in the fields that depend on the architecture parameters alone.
func (r *Epoch) describe(n *Supernet) {
	r.Alpha, r.Entropy = map[string][]float64{}, map[string]float64{}
	for p := range n.Arch.Store.All() {
		r.Alpha[p.Name] = p.Tensor.Float64s()
	}
	mix := n.Arch.Mix(false)
	if n.config.Kind.FindsStages() {
		r.Depth = number(n.Arch.depthLoss(mix))
	}
	if n.theta != nil {
		r.Complexity = number(n.Arch.complexityLoss(mix, n.theta))
	}
	for _, d := range n.Arch.dags {
		m := run.Mixture{DAG: d.Name, Operations: d.Ops, Probabilities: rows(n.Arch.parameter("alpha." + d.Name).Softmax(-1))}
		r.mixtures = append(r.mixtures, m)
		r.Entropy[d.Name] = entropy(m.Probabilities)
	}
}

func number(t torch.Tensor) *float64 {
	v := t.Item()
	return &v
}

func encode(g genotype.Genotype) ([]byte, error) {
	var b bytes.Buffer
	err := g.Encode(&b)
	return b.Bytes(), err
}

// result returns the result of the search, read from the records of its epochs. So a resumed run, or
// one that had ended before, returns the same as a run without interruption.
func (t *task) result() (r Result, err error) {
	var found []genotype.Genotype
	err = t.dir.Records(func(line []byte) error {
		r.Epoch = Epoch{}
		if err := json.Unmarshal(line, &r.Epoch); err != nil {
			return err
		}
		g, err := genotype.Decode(bytes.NewReader([]byte(r.Epoch.Genotype)))
		if err != nil {
			return err
		}
		if r.Epoch.Best {
			r.Best = g
		}
		found = append(found, g)
		return nil
	})
	if err != nil {
		return r, err
	}
	at := len(found)
	if r.Epoch.StopAt > 0 {
		at = r.Epoch.StopAt
	}
	if at == 0 || at > len(found) {
		return r, fmt.Errorf("%s: the records of %d epochs lack epoch %d, which the search ended with", t.dir.Path(), len(found), at)
	}
	r.Genotype = found[at-1]
	return r, errors.Join(t.dir.WriteGenotype(r.Genotype), t.dir.WriteBest(r.Best))
}
