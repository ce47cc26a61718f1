package models

import (
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
)

// edgewise is a cell with partial channels (PC-DARTS, arXiv:1907.05737): only a part of the channels
// goes through an edge's candidate operations. One program computes the two preprocessed inputs, and
// one program for each edge computes its mixture. libtorch's operations combine the results.
type edgewise struct {
	plan  plan.Cell
	pre   compiled
	nodes [][]partialEdge
}

func partial(e plan.Edge) bool { return e.Partial > 1 }

func (b builder) edgewise(p plan.Cell, pre compiled) (*edgewise, error) {
	c := &edgewise{plan: p, pre: pre}
	for _, node := range p.Nodes {
		var edges []partialEdge
		for _, e := range node {
			mixture, err := b.edge(e)
			if err != nil {
				return nil, err
			}
			edges = append(edges, partialEdge{e, mixture, b.bypass(e)})
		}
		c.nodes = append(c.nodes, edges)
	}
	return c, nil
}

func (c *edgewise) run(how *nn.Ctx, in []torch.Tensor) torch.Tensor {
	both := c.pre.run(how, in)
	states := []torch.Tensor{both.Narrow(1, 0, c.plan.C), both.Narrow(1, c.plan.C, c.plan.C)}
	for _, node := range c.nodes {
		var sum torch.Tensor
		for _, e := range node {
			sum = add(sum, e.run(how, states[e.From]))
		}
		states = append(states, sum)
	}
	return concat(states, c.plan.Out)
}

// partialEdge is an edge with partial channels. It sends 1/Partial of the channels through the mixture;
// the others bypass it, through a max pooling if the stride is larger than 1. Then it shuffles the
// channels, so that the next mixture gets other ones.
type partialEdge struct {
	plan.Edge
	mixture compiled
	bypass  compiled // weighs the other channels
}

// run maps (N,C,H,W) to (N,C,H/Stride,W/Stride).
func (e partialEdge) run(c *nn.Ctx, x torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		channels, stride := x.Size(1), e.Spec.Stride
		mixed := channels / e.Partial
		past := x.Narrow(1, mixed, channels-mixed)
		if stride > 1 {
			past = torch.MaxPool2d(past, stride, stride, 0)
		}
		y := e.mixture.run(c, []torch.Tensor{x.Narrow(1, 0, mixed)})
		if c.Mix.Edge[e.DAG].Defined() {
			past = e.bypass.Forward(c, past) // the alphas of the mixture already contain this factor
		}
		out = s.Return(shuffle(torch.Cat([]torch.Tensor{y, past}, 1), e.Partial))
	})
	return out
}

// shuffle returns x (N,C,H,W) with its channels in another order: it splits them into `groups` groups
// and takes one channel from each group in turn (ShuffleNet's channel shuffle).
func shuffle(x torch.Tensor, groups int64) torch.Tensor {
	n, c, h, w := x.Size(0), x.Size(1), x.Size(2), x.Size(3)
	parts := make([]torch.Tensor, groups)
	for i := range parts {
		parts[i] = x.Narrow(1, int64(i)*(c/groups), c/groups)
	}
	return torch.Stack(parts, 2).Reshape(n, c, h, w)
}

func add(a, b torch.Tensor) torch.Tensor {
	if !a.Defined() {
		return b
	}
	return a.Add(b)
}

func concat(states []torch.Tensor, of []int) torch.Tensor {
	parts := make([]torch.Tensor, len(of))
	for i, s := range of {
		parts[i] = states[s]
	}
	return torch.Cat(parts, 1)
}
