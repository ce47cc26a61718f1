package search

import (
	"fmt"

	"hdas/models"
	"hdas/models/ops"
	"hdas/torch"
	"hdas/torch/nn"
)

// mixture is the sum of all candidates of an edge, each times the softmax of its alpha.
type mixture struct {
	arch *Arch
	site models.Site
	ops  []candidate
}

type candidate struct {
	nn.Module
	column int64
}

// mixture makes what is on an undecided edge.
func (a *Arch) mixture(p *nn.Path, e models.Edge) (nn.Module, error) {
	m := &mixture{arch: a, site: e.Site}
	share := int64(1)
	if p := int64(a.config.PartialChannels); p > 1 && a.isCell(e.DAG) {
		share = p
	}
	if e.Spec.C%share != 0 {
		return nil, fmt.Errorf("%d channels do not divide by partial_channels %d", e.Spec.C, share)
	}
	e.Spec.C /= share
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
	if share > 1 {
		return &partial{m, share, e.Spec.Stride}, nil
	}
	return m, nil
}

func (a *Arch) isCell(dag string) bool {
	_, ok := a.space.Dense.Cells[dag]
	return ok
}

// Forward maps (N,C,H,W) to (N,C,H/Stride,W/Stride).
func (m *mixture) Forward(c *nn.Ctx, x torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		if y, ok := nn.Sum(c, m, x); ok {
			out = s.Return(y)
			return
		}
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

// Terms are the candidates, each with its element of the alphas as scale.
func (m *mixture) Terms(*nn.Ctx) (terms []torch.Term, ok bool) {
	alpha := m.arch.alpha[m.site.DAG]
	for _, op := range m.ops {
		rounds, ok := nn.Rounds(op.Module)
		if !ok {
			return nil, false
		}
		at := int64(m.site.Row)*alpha.Size(1) + op.column
		terms = append(terms, torch.Term{Rounds: rounds, Scale: alpha, At: at})
	}
	return terms, true
}

// partial sends a share of the channels through the mixture and the others past it, at a stride
// through a max pooling, and shuffles them so that the next mixture gets others (PC-DARTS,
// arXiv:1907.05737).
type partial struct {
	mixture *mixture
	share   int64 // 1/share of the channels is mixed
	stride  int64
}

// Forward maps (N,C,H,W) to (N,C,H/Stride,W/Stride).
func (p *partial) Forward(c *nn.Ctx, x torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		channels := x.Size(1)
		mixed := channels / p.share
		past := x.Narrow(1, mixed, channels-mixed)
		if p.stride > 1 {
			past = torch.MaxPool2d(past, p.stride, p.stride, 0)
		}
		if edge, ok := p.mixture.arch.edge[p.mixture.site.DAG]; ok {
			past = past.Mul(edge.Select(0, int64(p.mixture.site.Row))) // the mixture has it in its weights
		}
		y := torch.Cat([]torch.Tensor{p.mixture.Forward(c, x.Narrow(1, 0, mixed)), past}, 1)
		out = s.Return(shuffle(y, p.share))
	})
	return out
}

// shuffle takes the channels of x (N,C,H,W) from `groups` groups in turn.
func shuffle(x torch.Tensor, groups int64) torch.Tensor {
	n, c, h, w := x.Size(0), x.Size(1), x.Size(2), x.Size(3)
	parts := make([]torch.Tensor, groups)
	for i := range parts {
		parts[i] = x.Narrow(1, int64(i)*(c/groups), c/groups)
	}
	return torch.Stack(parts, 2).Reshape(n, c, h, w)
}
