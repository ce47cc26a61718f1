package search

import (
	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// Arch holds the architecture parameters: an alpha (edges, operations) for every undecided DAG
// and, where the distribution of cells is searched, a beta (outputs) for every stage; with edge
// normalisation, an edge (edges) for every DAG as well.
type Arch struct {
	Store  *nn.Store
	space  space.Space
	config configs.SearchSection
	dags   []space.DAG
}

// initialStd is the spread of the parameters at the start: 1e-3 * randn.
const initialStd = 1e-3

// NewArch makes the parameters of a space. It runs inside torch.Do.
func NewArch(o torch.Options, s space.Space, c configs.SearchSection) *Arch {
	a := &Arch{Store: nn.NewStore(o), space: s, config: c, dags: s.DAGs()}
	for _, d := range a.dags {
		a.add("alpha."+d.Name, int64(d.Rows()), int64(len(d.Ops)))
	}
	for _, d := range a.dags {
		if s.MinCells > 0 && d.Stages != nil {
			a.add("beta."+d.Name, int64(s.Pairs(len(d.Nodes))))
		}
	}
	for _, d := range a.dags {
		if c.EdgeNormalization {
			a.add("edge."+d.Name, int64(d.Rows()))
		}
	}
	return a
}

func (a *Arch) add(name string, shape ...int64) {
	a.Store.Root().Weight(name, nn.Normal(initialStd), shape...)
}

// Mix returns the weights of the supernet's mixtures: the softmax of every parameter (H-DAS eq. 1 and
// 3), alphas times their edge's. They belong to the innermost scope. Without gradients nothing that
// follows computes one for the parameters.
func (a *Arch) Mix(gradients bool) *nn.Mix {
	m := &nn.Mix{Alpha: map[string]torch.Tensor{}, Edge: map[string]torch.Tensor{}, Beta: map[string]torch.Tensor{}}
	fill := func() {
		for _, d := range a.dags {
			alpha := a.parameter("alpha." + d.Name).Softmax(-1)
			if edge := a.parameter("edge." + d.Name); edge.Defined() {
				m.Edge[d.Name] = softmaxByNode(d, edge)
				alpha = alpha.Mul(m.Edge[d.Name].Reshape(-1, 1))
			}
			m.Alpha[d.Name] = alpha
			if beta := a.parameter("beta." + d.Name); beta.Defined() {
				m.Beta[d.Name] = beta.Softmax(-1)
			}
		}
	}
	if gradients {
		fill()
	} else {
		torch.NoGrad(fill)
	}
	return m
}

// softmaxByNode is the softmax of values (edges) over the edges of each node.
func softmaxByNode(d space.DAG, values torch.Tensor) torch.Tensor {
	var parts []torch.Tensor
	row := int64(0)
	for _, n := range d.Nodes {
		edges := int64(len(n.In))
		parts = append(parts, values.Narrow(0, row, edges).Softmax(0))
		row += edges
	}
	return torch.Cat(parts, 0)
}

// parameter is undefined where there is none of that name.
func (a *Arch) parameter(name string) torch.Tensor {
	p, _ := a.Store.Get(name)
	return p.Tensor
}

// Weights are the softmax of all parameters as numbers, or, in the derivation "raw", the alphas as
// they are. It runs inside torch.Do.
func (a *Arch) Weights() space.Weights {
	w := space.Weights{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	torch.Within(func(*torch.Scope) {
		mix := a.Mix(false)
		for _, d := range a.dags {
			alpha := mix.Alpha[d.Name]
			if a.config.Derivation == configs.DerivationRaw {
				alpha = a.parameter("alpha." + d.Name)
			}
			w.Alpha[d.Name] = rows(alpha)
		}
		for name, beta := range mix.Beta {
			w.Beta[name] = beta.Float64s()
		}
	})
	return w
}

// rows are the numbers of a matrix.
func rows(t torch.Tensor) [][]float64 {
	flat, n := t.Float64s(), int(t.Size(1))
	var out [][]float64
	for i := 0; i < len(flat); i += n {
		out = append(out, flat[i:i+n])
	}
	return out
}

// Genotype is what the parameters say now. It runs inside torch.Do.
func (a *Arch) Genotype(name string) (genotype.Genotype, error) {
	return a.space.Derive(name, a.Weights(), space.Rules{Null: ops.IsNull, Skip: ops.IsSkip, MaxSkips: a.config.MaxSkips})
}
