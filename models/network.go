package models

import (
	"fmt"

	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/nn"
)

// Resolver makes what a supernet and a derived network differ in: what is on an edge, and what a
// stage puts out.
type Resolver interface {
	// Edge makes the module on one edge.
	Edge(p *nn.Path, e Edge) (nn.Module, error)
	// Outputs returns what gives, in every forward pass, the weights (n) of stage i's n candidate
	// outputs.
	Outputs(i, n int) (func() torch.Tensor, error)
}

// Decided resolves the edges of a derived network: each is the one operation that it names.
type Decided struct{}

// Edge is the edge's operation, under drop path where it is no identity.
func (Decided) Edge(p *nn.Path, e Edge) (nn.Module, error) {
	l, err := e.Layer()
	if err != nil {
		return nil, err
	}
	if _, same := l.(layer.Identity); same {
		return l.New(p), nil
	}
	return dropped{l.New(p)}, nil
}

// Outputs is an error: a derived stage has one output.
func (Decided) Outputs(i, n int) (func() torch.Tensor, error) {
	return nil, fmt.Errorf("stage %d has %d candidate outputs: a search is needed to build it", i+1, n)
}

type dropped struct{ nn.Module }

func (d dropped) Forward(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	return nn.DropPath(c, d.Module.Forward(c, x))
}

// Network is a plan's modules. Its parameters belong to the store that it was built in.
type Network struct {
	Plan       Plan
	stem       []nn.Module
	stages     []stageModule
	auxiliary  nn.Module // nil without one
	classifier nn.Module
}

type stageModule struct {
	plan   Stage
	entry  []nn.Module
	cells  []*cellModule
	weigh  func() torch.Tensor // of the outputs; nil for one
	reduce *cellModule         // nil in the last stage
}

type cellModule struct {
	plan  Cell
	read  [2][]nn.Module
	pre   [2]nn.Module
	nodes [][]nn.Module
}

// Build makes the network of a plan, with its parameters at p. It runs inside torch.Do.
func Build(p *nn.Path, plan Plan, r Resolver) (*Network, error) {
	n := &Network{Plan: plan}
	for _, l := range plan.Stem {
		n.stem = append(n.stem, l.New(p))
	}
	for i, s := range plan.Stages {
		m, err := buildStage(p, i, s, r)
		if err != nil {
			return nil, err
		}
		n.stages = append(n.stages, m)
	}
	if plan.Auxiliary != nil {
		var head nn.Sequential
		for _, l := range plan.Auxiliary {
			head = append(head, l.New(p))
		}
		n.auxiliary = head
	}
	n.classifier = plan.Classifier.New(p)
	return n, nil
}

func buildStage(p *nn.Path, i int, s Stage, r Resolver) (stageModule, error) {
	m, own := stageModule{plan: s}, p.In("stages.%d", i)
	for _, l := range s.Entry {
		m.entry = append(m.entry, l.New(own))
	}
	for _, c := range s.Cells {
		cell, err := buildCell(p, own, c, r)
		if err != nil {
			return m, err
		}
		m.cells = append(m.cells, cell)
	}
	var err error
	if len(s.Outputs) > 1 {
		if m.weigh, err = r.Outputs(i, len(s.Outputs)); err != nil {
			return m, err
		}
	}
	if s.Reduce != nil {
		m.reduce, err = buildCell(p, own, *s.Reduce, r)
	}
	return m, err
}

// buildCell makes a cell, and the edges of its stage that it reads.
func buildCell(p, stage *nn.Path, c Cell, r Resolver) (*cellModule, error) {
	m, own := &cellModule{plan: c}, p.In("cells.%d", c.Index)
	edges := func(at *nn.Path, es []Edge) ([]nn.Module, error) {
		var ms []nn.Module
		for _, e := range es {
			module, err := r.Edge(at.In("_ops.%d", e.Row), e)
			if err != nil {
				return nil, fmt.Errorf("cell %d: %w", c.Index, err)
			}
			ms = append(ms, module)
		}
		return ms, nil
	}
	var err error
	for k := range c.Read {
		if m.read[k], err = edges(stage, c.Read[k]); err != nil {
			return nil, err
		}
		m.pre[k] = c.Pre[k].New(own.In("preprocess%d", k))
	}
	for _, node := range c.Nodes {
		ms, err := edges(own, node)
		if err != nil {
			return nil, err
		}
		m.nodes = append(m.nodes, ms)
	}
	return m, nil
}

// Forward maps images (N,C,H,W) to logits (N,Classes). aux, of the same shape, is undefined
// unless c.Train and the network has an auxiliary head. Both are of the images' type, whatever
// c.Autocast is.
func (n *Network) Forward(c *nn.Ctx, x torch.Tensor) (logits, aux torch.Tensor) {
	if c.Autocast == torch.Float32 {
		return n.forward(c, x)
	}
	if x.Device().IsCUDA() {
		x = x.ChannelsLast() // as tensor cores read it, and all that follows
	}
	torch.Autocast(x.Device(), c.Autocast, func() { logits, aux = n.forward(c, x) })
	if logits = logits.To(x.DType()); aux.Defined() {
		aux = aux.To(x.DType())
	}
	return logits, aux
}

func (n *Network) forward(c *nn.Ctx, x torch.Tensor) (logits, aux torch.Tensor) {
	in := [2]torch.Tensor{x, x}
	for _, m := range n.stem {
		in = [2]torch.Tensor{in[1], m.Forward(c, in[1])}
	}
	if len(n.stem) == 1 {
		in[0] = in[1]
	}
	for i := range n.stages {
		in = n.stages[i].forward(c, in)
		if i == len(n.stages)-2 && c.Train && n.auxiliary != nil {
			aux = n.auxiliary.Forward(c, in[1])
		}
	}
	return n.classifier.Forward(c, torch.GlobalAvgPool(in[1])), aux
}

func (m *stageModule) forward(c *nn.Ctx, in [2]torch.Tensor) [2]torch.Tensor {
	states := make([]torch.Tensor, 0, len(m.cells)+4)
	states = append(states, in[0], in[1])
	for k, e := range m.entry {
		states[k] = e.Forward(c, in[1])
	}
	for _, cell := range m.cells {
		states = append(states, cell.forward(c, states))
	}
	if m.plan.Outputs != nil {
		states = append(states, m.output(states))
	}
	if m.reduce != nil {
		states = append(states, m.reduce.forward(c, states))
	}
	return [2]torch.Tensor{states[m.plan.Next[0]], states[m.plan.Next[1]]}
}

// output is the stage's output: H-DAS eq. 3 where there are several candidates.
func (m *stageModule) output(states []torch.Tensor) torch.Tensor {
	if m.weigh == nil {
		return concat(states, m.plan.Outputs[0])
	}
	weights := m.weigh()
	var sum torch.Tensor
	for j, out := range m.plan.Outputs {
		sum = add(sum, concat(states, out).Mul(weights.Select(0, int64(j))))
	}
	return sum
}

// Cell runs cell k of stage i alone, on x (N,C,H,W) as both of its inputs, without its stage's
// edges. x has the shape of the cell's In; both inputs must have the same.
func (n *Network) Cell(i, k int, c *nn.Ctx, x torch.Tensor) torch.Tensor {
	return n.stages[i].cells[k].run(c, x, x)
}

// forward reads the stage's states. What it makes on the way is freed, as far as no gradient
// needs it.
func (m *cellModule) forward(c *nn.Ctx, from []torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		if dag, ok := m.dag(c, from); ok {
			if y, ok := torch.Compute(dag); ok {
				out = s.Return(y)
				return
			}
		}
		in := [2]torch.Tensor{sum(c, m.read[0], m.plan.Read[0], from)}
		if in[1] = in[0]; m.read[1] != nil {
			in[1] = sum(c, m.read[1], m.plan.Read[1], from)
		}
		out = s.Return(m.run(c, in[0], in[1]))
	})
	return out
}

// run works on what both inputs read.
func (m *cellModule) run(c *nn.Ctx, in ...torch.Tensor) (out torch.Tensor) {
	torch.Within(func(s *torch.Scope) {
		states := make([]torch.Tensor, 0, len(m.nodes)+len(m.pre))
		for k, pre := range m.pre {
			states = append(states, pre.Forward(c, in[k]))
		}
		for n, edges := range m.nodes {
			states = append(states, sum(c, edges, m.plan.Nodes[n], states))
		}
		out = s.Return(concat(states, m.plan.Out))
	})
	return out
}

// sum adds what the edges make of the states that they come from.
func sum(c *nn.Ctx, edges []nn.Module, plan []Edge, states []torch.Tensor) torch.Tensor {
	var total torch.Tensor
	for i, e := range edges {
		total = add(total, e.Forward(c, states[plan[i].From]))
	}
	return total
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
