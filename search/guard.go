package search

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"

	"hdas/configs"
	"hdas/datasets"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/parallel"
	"hdas/torch"
	"hdas/torch/nn"
)

// A search collapses when skip connections win because they train faster, not because they are better.
// The measures below show a collapse, and can end the search before it.

// entropy returns the mean entropy, in nats, of probability distributions, one in each row.
func entropy(rows [][]float64) float64 {
	sum := 0.0
	for _, row := range rows {
		for _, p := range row {
			if p > 0 {
				sum -= p * math.Log(p)
			}
		}
	}
	return sum / float64(len(rows))
}

// skips returns the number of skip connections in each searched DAG of g.
func skips(a *Arch, g genotype.Genotype) map[string]int {
	n := map[string]int{}
	for _, d := range a.dags {
		n[d.Name] = 0
		for _, node := range d.Of(g).Nodes {
			for _, e := range node.In {
				if ops.IsSkip(e.Op) {
					n[d.Name]++
				}
			}
		}
	}
	return n
}

// watch computes the eigenvalue of an epoch, on the same images in every epoch, and sets r.StopAt if
// the eigenvalue has grown too fast.
func (t *task) watch(ctx context.Context, r *Epoch) error {
	var value float64
	for b, err := range parallel.Agreed(t.member, t.Test.Epoch(ctx, 0, 0), func(b datasets.Batch) []datasets.Batch { return []datasets.Batch{b} }) {
		if err != nil {
			return err
		}
		err := torch.Do(func(*torch.Scope) error {
			value = t.net.Eigenvalue(t.sample(b, 0))
			return nil
		})
		if err != nil {
			return err
		}
		break
	}
	r.Eigenvalue = &value
	var history []float64
	err := t.dir.Records(func(line []byte) error {
		var e Epoch
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Epoch < r.Epoch && e.Eigenvalue != nil { // a run that was resumed from an older checkpoint may have later records
			history = append(history, *e.Eigenvalue)
		}
		return nil
	})
	if due(t.Config.Stop, append(history, value)) {
		r.StopAt = r.Epoch - t.Config.Stop.Window
	}
	return errors.Join(err, torch.Do(func(*torch.Scope) error {
		r.StopAt = int(t.Group.First(float64(r.StopAt))[0]) // others may read the records late
		return nil
	}))
}

// due reports whether the eigenvalues, one for each epoch so far, have grown too fast (RobustDARTS).
func due(s configs.EarlyStop, values []float64) bool {
	n := len(values)
	if n < 2*s.Window {
		return false
	}
	mean := func(v []float64) (m float64) {
		for _, x := range v {
			m += x / float64(len(v))
		}
		return m
	}
	before, now := mean(values[n-2*s.Window:n-s.Window]), mean(values[n-s.Window:])
	return before > 0 && before/now < s.Ratio && now > before
}

// Eigenvalue returns the dominant eigenvalue of the Hessian of the validation loss (cross-entropy
// alone) with respect to the architecture parameters, by power iteration; with several processes, of the mean loss of the
// images of all. A product with the Hessian
// is a central difference of gradients over a step of 0.01. The step is long enough for float32, and
// kinks of ReLU within it count as curvature. Weights, statistics and parameters are left unchanged.
func (n *Supernet) Eigenvalue(valid Sample) float64 {
	return n.eigenvalue(valid, eigenvalueStep, eigenvalueMost)
}

const (
	eigenvalueStep = 0.01
	eigenvalueMost = 30 // largest number of iterations
)

func (n *Supernet) eigenvalue(valid Sample, step float64, most int) float64 {
	const tolerance = 1e-3 // relative change of the eigenvalue at which the iteration ends
	defer preserve(n.Weights)()
	defer preserve(n.Arch.Store)()
	params := nn.Tensors(n.Arch.Store.Weights())
	here := torch.CloneAll(params)
	// A generator of its own: measuring must not change the random numbers of the search.
	r, v := rand.New(rand.NewPCG(1, 2)), make([]torch.Tensor, len(params))
	o := n.Arch.Store.Options()
	for i, p := range params {
		values := make([]float64, p.Numel())
		for j := range values {
			values[j] = r.NormFloat64()
		}
		v[i] = torch.FromFloat64(values, p.Shape()...).To(o.DType).ToDevice(o.Device)
	}
	value := 0.0
	for done := false; !done; {
		torch.Within(func(s *torch.Scope) {
			norm := torch.Norm(v).Item()
			for i := range v {
				v[i] = v[i].MulScalar(1 / norm)
			}
			product, next := n.curve(valid, params, here, v, step), 0.0
			for i := range v {
				next += v[i].Mul(product[i]).Sum().Item() // v'Hv
				v[i] = s.Return(product[i])
			}
			most--
			done = most == 0 || math.Abs(next-value) <= tolerance*math.Abs(next)
			value = next
		})
	}
	return value
}

// curve returns the Hessian of the cross-entropy at `here` times v, a vector of norm 1. h is the step
// of the central difference.
func (n *Supernet) curve(valid Sample, params, here, v []torch.Tensor, h float64) []torch.Tensor {
	slope := func(h float64) []torch.Tensor {
		torch.CopyAll(params, here)
		torch.AddAll(params, v, torch.Full(n.Arch.Store.Options(), h))
		how := n.learning(valid)
		how.Autocast = torch.Float32
		logits := n.logits(how, valid.Images, n.Arch.Mix(true))
		grads := torch.Grad(part(torch.CrossEntropy(logits, valid.Labels, 0), n.inputs(valid)), params)
		n.Member.Sum(grads, valid.Share)
		return grads
	}
	up, down := slope(h), slope(-h)
	out := make([]torch.Tensor, len(params))
	for i, p := range params {
		if up[i].Defined() {
			out[i] = up[i].Sub(down[i]).MulScalar(1 / (2 * h))
		} else { // the loss does not depend on it
			out[i] = torch.Zeros(n.Arch.Store.Options(), p.Shape()...)
		}
	}
	return out
}
