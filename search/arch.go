package search

import (
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// Arch holds the architecture parameters: an alpha (edges, operations) for every undecided DAG
// and, where the distribution of cells is searched, a beta (outputs) for every stage. It resolves
// a supernet's undecided edges to mixtures weighed by them (H-DAS eq. 1 and 3).
type Arch struct {
	Store *nn.Store
	space space.Space
	dags  []space.DAG
	// weights are the softmax of every parameter, by its DAG, for the forward pass under way.
	alpha, beta map[string]torch.Tensor
}

// initialStd is the spread of alphas and betas at the start: 1e-3 * randn.
const initialStd = 1e-3

// NewArch makes the parameters of a space. It runs inside torch.Do.
func NewArch(o torch.Options, s space.Space) *Arch {
	a := &Arch{Store: nn.NewStore(o), space: s, dags: s.DAGs()}
	for _, d := range a.dags {
		a.Store.Root().Weight("alpha."+d.Name, nn.Normal(initialStd), int64(d.Rows()), int64(len(d.Ops)))
	}
	if s.MinCells > 0 {
		for i, stage := range s.Dense.Stages {
			a.Store.Root().Weight("beta."+genotype.StageDAG(i), nn.Normal(initialStd), int64(s.Pairs(len(stage.Nodes))))
		}
	}
	return a
}

// softmax prepares the weights of a forward pass in the current scope. Without gradients nothing
// that follows computes one for the parameters.
func (a *Arch) softmax(gradients bool) {
	a.alpha, a.beta = map[string]torch.Tensor{}, map[string]torch.Tensor{}
	prepare := func() {
		for _, d := range a.dags {
			a.alpha[d.Name] = a.parameter("alpha." + d.Name).Softmax(-1)
		}
		if a.space.MinCells > 0 {
			for i := range a.space.Dense.Stages {
				name := genotype.StageDAG(i)
				a.beta[name] = a.parameter("beta." + name).Softmax(-1)
			}
		}
	}
	if gradients {
		prepare()
	} else {
		torch.NoGrad(prepare)
	}
}

func (a *Arch) parameter(name string) torch.Tensor {
	p, _ := a.Store.Get(name)
	return p.Tensor
}

// Weights are the softmax of all parameters as numbers. It runs inside torch.Do.
func (a *Arch) Weights() space.Weights {
	w := space.Weights{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	torch.Within(func(*torch.Scope) {
		a.softmax(false)
		for _, d := range a.dags {
			flat, n := a.alpha[d.Name].Float64s(), len(d.Ops)
			for row := range d.Rows() {
				w.Alpha[d.Name] = append(w.Alpha[d.Name], flat[row*n:(row+1)*n])
			}
		}
		for name, beta := range a.beta {
			w.Beta[name] = beta.Float64s()
		}
	})
	return w
}

// Genotype is what the parameters say now. It runs inside torch.Do.
func (a *Arch) Genotype(name string) (genotype.Genotype, error) {
	return a.space.Derive(name, a.Weights(), ops.IsNull)
}

// Edge is a mixture where the edge is undecided, else its operation.
func (a *Arch) Edge(p *nn.Path, e models.Edge) (nn.Module, error) {
	if len(e.Ops) == 1 {
		return models.Decided{}.Edge(p, e)
	}
	m := &mixture{arch: a, site: e.Site}
	for k, name := range e.Ops {
		if ops.IsNull(name) {
			continue // adds nothing, whatever its weight
		}
		l, err := ops.New(name, e.Spec)
		if err != nil {
			return nil, err
		}
		m.ops = append(m.ops, candidate{l.New(p.In("_ops.%d", k)), int64(k)})
	}
	return m, nil
}

// Outputs are the softmax of beta.
func (a *Arch) Outputs(i, _ int) (func() torch.Tensor, error) {
	name := genotype.StageDAG(i)
	return func() torch.Tensor { return a.beta[name] }, nil
}

// mixture is the sum of all candidates, each times the softmax of its alpha.
type mixture struct {
	arch *Arch
	site models.Site
	ops  []candidate
}

type candidate struct {
	nn.Module
	column int64
}

// Forward maps (N,C,H,W) to (N,C,H/Stride,W/Stride).
func (m *mixture) Forward(c *nn.Ctx, x torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		weights := m.arch.alpha[m.site.DAG].Select(0, int64(m.site.Row))
		for _, op := range m.ops {
			y := op.Forward(c, x).Mul(weights.Select(0, op.column))
			if out.Defined() {
				y = out.Add(y)
			}
			out = y
		}
		s.Return(out)
	})
	return out
}
