package search

import (
	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// Arch holds the architecture parameters of a supernet. Every undecided DAG has a matrix alpha (edges,
// operations). Where the distribution of cells is searched, every stage has a vector beta (outputs).
// With edge normalisation, every DAG also has a vector edge (edges).
type Arch struct {
	Store  *nn.Store
	space  space.Space
	config configs.SearchSection
	dags   []space.DAG
	cells  map[string]torch.Tensor // for each stage with betas, the numbers of cells up to its outputs; the store owns them
}

// initialStd is the standard deviation of the initial parameters.
const initialStd = 1e-3

// NewArch returns new architecture parameters for a space, drawn from a normal distribution. It runs
// inside torch.Do; the caller frees Store.
func NewArch(o torch.Options, s space.Space, c configs.SearchSection) *Arch {
	a := &Arch{Store: nn.NewStore(o), space: s, config: c, dags: s.DAGs(), cells: map[string]torch.Tensor{}}
	for _, d := range a.dags {
		a.add("alpha."+d.Name, int64(d.Rows()), int64(len(d.Ops)))
	}
	for _, d := range a.dags {
		if s.MinCells > 0 && d.Stages != nil {
			outputs := s.Pairs(len(d.Nodes))
			a.add("beta."+d.Name, int64(outputs))
			a.cells[d.Name] = counted(s.MinCells, outputs, o)
			a.Store.Own(a.cells[d.Name])
		}
	}
	for _, d := range a.dags {
		if c.EdgeNormalization {
			a.add("edge."+d.Name, int64(d.Rows()))
		}
	}
	return a
}

// counted returns the n numbers from `from` on, in a kept tensor.
func counted(from, n int, o torch.Options) (t torch.Tensor) {
	numbers := make([]float64, n)
	for i := range numbers {
		numbers[i] = float64(from + i)
	}
	torch.Within(func(*torch.Scope) {
		t = torch.FromFloat64(numbers, int64(n)).To(o.DType).ToDevice(o.Device).Clone().Keep()
	})
	return t
}

func (a *Arch) add(name string, shape ...int64) {
	a.Store.Root().Weight(name, nn.Normal(initialStd), shape...)
}

// Mix returns the coefficients of the supernet's mixtures, which belong to the innermost scope: the
// softmax of every architecture parameter (H-DAS eq. 1 and 3). With edge normalisation an alpha is
// multiplied by the coefficient of its edge. If gradients is false, the coefficients are detached from
// the parameters.
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

// softmaxByNode returns the softmax of values (edges), taken over the edges of each node.
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

// parameter returns the parameter of that name, an undefined tensor if there is none.
func (a *Arch) parameter(name string) torch.Tensor {
	p, _ := a.Store.Get(name)
	return p.Tensor
}

// Values returns the numbers from which a genotype is derived: the softmax of all parameters or, in
// the derivation "raw", the alphas themselves and the softmax of the betas. It runs inside torch.Do.
func (a *Arch) Values() space.Parameters {
	p := space.Parameters{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	torch.Within(func(*torch.Scope) {
		mix := a.Mix(false)
		for _, d := range a.dags {
			alpha := mix.Alpha[d.Name]
			if a.config.Derivation == configs.DerivationRaw {
				alpha = a.parameter("alpha." + d.Name)
			}
			p.Alpha[d.Name] = rows(alpha)
		}
		for name, beta := range mix.Beta {
			p.Beta[name] = beta.Float64s()
		}
	})
	return p
}

// rows returns the elements of a matrix, row by row.
func rows(t torch.Tensor) [][]float64 {
	flat, n := t.Float64s(), int(t.Size(1))
	var out [][]float64
	for i := 0; i < len(flat); i += n {
		out = append(out, flat[i:i+n])
	}
	return out
}

// Genotype returns the genotype that the current parameters select. It runs inside torch.Do.
func (a *Arch) Genotype(name string) (genotype.Genotype, error) {
	return a.space.Derive(name, a.Values(), space.Rules{Null: ops.IsNull, Skip: ops.IsSkip, MaxSkips: a.config.MaxSkips})
}
