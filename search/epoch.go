package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"hdas/metric"
	"hdas/models/genotype"
	"hdas/torch"
)

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
	// Entropy is the mean over a DAG's edges of the entropy of their softmax, in nats: it falls from
	// the logarithm of the number of candidates to 0 as the search decides.
	Entropy map[string]float64 `json:"entropy"`
	Skips   map[string]int     `json:"skips"` // skip connections that each DAG would keep
	// Eigenvalue is the dominant one of the validation loss' Hessian in the architecture parameters,
	// where search.stop asks for it; StopAt the epoch that the search goes back to and ends with.
	Eigenvalue *float64 `json:"eigenvalue,omitempty"`
	StopAt     int      `json:"stop_at,omitempty"`
}

// EndEpoch scores the supernet on the architecture's half and keeps what the parameters say.
func (t *task) EndEpoch(ctx context.Context, epoch int) (any, bool, error) {
	r := Epoch{Epoch: epoch + 1, LR: t.rate(epoch)}
	var err error
	r.Valid, err = metric.Evaluate(ctx, t.net.Logits, t.Test, t.Options, nil)
	if err != nil {
		return nil, false, err
	}
	var g genotype.Genotype
	err = torch.Do(func(*torch.Scope) (err error) {
		r.Train = t.meter.Score()
		r.describe(t.net)
		g, err = t.net.Arch.Genotype(t.Name)
		return err
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

// describe notes the architecture parameters and what follows from them alone.
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
		r.Entropy[d.Name] = entropy(rows(n.Arch.parameter("alpha." + d.Name).Softmax(-1)))
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

// result reads what was found from the records, so that a resumed run, or one that was done
// already, ends as an unbroken one.
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
