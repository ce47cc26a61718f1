package models

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// dag is the cell with all that it reads as one operation. It is false where an edge is no sum of
// terms; then the cell runs module by module.
func (m *cellModule) dag(c *nn.Ctx, from []torch.Tensor) (torch.Dag, bool) {
	b := dagBuilder{c: c, ok: true, Dag: torch.Dag{Train: c.Train, Recompute: c.Recompute}}
	inputs := map[int]int{} // by state of the stage
	for _, edges := range m.plan.Read {
		for _, e := range edges {
			if _, known := inputs[e.From]; !known {
				inputs[e.From] = len(b.Inputs)
				b.Inputs = append(b.Inputs, from[e.From])
			}
		}
	}
	b.States = len(b.Inputs)
	states := make([]int, 0, len(m.nodes)+len(m.pre))
	read := 0
	for k, pre := range m.pre {
		if edges := m.read[k]; edges != nil {
			if read = inputs[m.plan.Read[k][0].From]; len(edges) > 1 || !nn.IsIdentity(edges[0]) {
				read = b.sum(edges, func(i int) int { return inputs[m.plan.Read[k][i].From] })
			}
		}
		states = append(states, b.sum([]nn.Module{pre}, func(int) int { return read }))
	}
	for n, edges := range m.nodes {
		states = append(states, b.sum(edges, func(i int) int { return states[m.plan.Nodes[n][i].From] }))
	}
	for _, s := range m.plan.Out {
		b.Out = append(b.Out, states[s])
	}
	return b.Dag, b.ok
}

type dagBuilder struct {
	torch.Dag
	c  *nn.Ctx
	ok bool
}

// sum adds a state, the sum of what the edges make of the states that they come from.
func (b *dagBuilder) sum(edges []nn.Module, from func(i int) int) int {
	for i, e := range edges {
		if !b.ok {
			break
		}
		var terms []torch.Term
		keep := torch.Tensor{}
		if d, under := e.(dropped); under {
			e = d.Module
			x := b.Inputs[0]
			keep = nn.KeepPath(b.c, x.Size(0), torch.Options{DType: x.DType(), Device: x.Device()})
		}
		terms, b.ok = nn.Terms(b.c, e)
		for _, t := range terms {
			t.From, t.To, t.Keep = from(i), b.States, keep
			b.Terms = append(b.Terms, t)
		}
	}
	b.States++
	return b.States - 1
}
