package nn

import "hdas/torch"

// Additive is a module whose output is a sum of terms, which can be added to a state of a torch.Dag.
type Additive interface {
	// Terms leaves From and To to the caller. It is false where the module is no such sum.
	Terms(c *Ctx) ([]torch.Term, bool)
}

// Terms are those of any module: an Additive's own, or its rounds as one term.
func Terms(c *Ctx, m Module) ([]torch.Term, bool) {
	if a, ok := m.(Additive); ok {
		return a.Terms(c)
	}
	rounds, ok := Rounds(m)
	return []torch.Term{{Rounds: rounds}}, ok
}

// Sum is the sum of m's terms on x; it is false where m has none or torch.Compute refuses.
func Sum(c *Ctx, m Module, x torch.Tensor) (torch.Tensor, bool) {
	terms, ok := Terms(c, m)
	if !ok {
		return torch.Tensor{}, false
	}
	for i := range terms {
		terms[i].To = 1
	}
	return torch.Compute(torch.Dag{Inputs: []torch.Tensor{x}, States: 2, Terms: terms, Out: []int{1}, Train: c.Train, Recompute: c.Recompute})
}

// Rounder is a module that can say its rounds.
type Rounder interface {
	Rounds() ([]torch.Round, bool)
}

// Rounds are what a module does to its input, as rounds of a torch.Term; it is false where they
// cannot say it.
func Rounds(m Module) ([]torch.Round, bool) {
	if r, ok := m.(Rounder); ok {
		return r.Rounds()
	}
	return nil, false
}

// IsIdentity reports whether m hands on its input.
func IsIdentity(m Module) bool { _, ok := m.(identity); return ok }

// Rounds are none.
func (identity) Rounds() ([]torch.Round, bool) { return nil, true }

// Rounds are the pooling alone.
func (l pool) Rounds() ([]torch.Round, bool) {
	front := torch.AvgPool
	if l.largest {
		front = torch.MaxPool
	}
	r := torch.Round{Front: front, Kernel: l.kernel, Stride: l.stride, Padding: l.padding, Dilation: 1}
	return []torch.Round{r}, l.kernel == 3 && l.padding == 1
}

// Rounds are each ReLU, depthwise convolution or none, 1x1 convolution, batch norm; or a pooling, and
// a batch norm or none.
func (s Sequential) Rounds() (rounds []torch.Round, ok bool) {
	rest := s
	for len(rest) > 0 {
		var r torch.Round
		if p, ok := rest[0].(pool); ok {
			if rs, fits := p.Rounds(); fits && len(rounds) == 0 {
				r, rest = rs[0], rest[1:]
			} else {
				return nil, false
			}
		} else if r, rest, ok = convolutions(rest); !ok {
			return nil, false
		}
		if len(rest) > 0 {
			if norm, ok := rest[0].(*BatchNorm2d); ok {
				norm.Complete(&r)
				rest = rest[1:]
			}
		}
		if rounds = append(rounds, r); (r.Front == torch.MaxPool || r.Front == torch.AvgPool) && len(rest) > 0 {
			return nil, false
		}
	}
	return rounds, len(rounds) > 0
}

// convolutions takes ReLU, a depthwise convolution or none, and a 1x1 convolution off s.
func convolutions(s Sequential) (r torch.Round, rest Sequential, ok bool) {
	if len(s) < 2 || s[0] != Module(ReLU) {
		return r, s, false
	}
	conv, ok := s[1].(*Conv2d)
	if !ok {
		return r, s, false
	}
	r, rest = torch.Round{Kernel: 1, Stride: 1, Dilation: 1}, s[2:]
	if window, square := conv.depthwise(); square {
		if len(rest) == 0 {
			return r, s, false
		}
		r = window
		if conv, ok = rest[0].(*Conv2d); !ok {
			return r, s, false
		}
		rest = rest[1:]
	}
	r.Point = conv.weight
	return r, rest, conv.pointwise()
}

// Complete puts the batch norm behind a round.
func (l *BatchNorm2d) Complete(r *torch.Round) {
	r.Gamma, r.Beta, r.Mean, r.Var = l.weight, l.bias, l.mean, l.variance
}
