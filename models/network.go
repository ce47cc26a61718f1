// Package models builds and runs the network that a plan describes: a derived network or a supernet.
package models

import (
	"fmt"
	"slices"

	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
)

// Network is a network built from a plan. The store given to Build owns its parameters and programs.
type Network struct {
	Plan       plan.Network
	store      *nn.Store
	stem       []nn.Module
	stages     []stage
	auxiliary  nn.Module // nil without one
	classifier nn.Module
}

// stage is the network of a plan.Stage.
type stage struct {
	plan  plan.Stage
	entry []compiled
	cells []*cell // followed, as in the plan's states, by the stage's output and the reduction cell, where there are any
	done  [][]int // by cell: states that the stage makes and nothing reads after that cell
}

// Build returns the network of plan p. It adds the parameters to the store s, in the plan's order, with
// random initial values, and compiles the programs of the cells, which refer to these parameters. The
// store owns both: s.Free frees them. Call Build inside torch.Do.
func Build(s *nn.Store, p plan.Network) (*Network, error) {
	b := builder{s, new([]torch.Tensor)}
	b.make(p.Params())
	n := &Network{Plan: p, store: s, classifier: b.module(p.Classifier.Name, p.Classifier.Layer)}
	for _, l := range p.Stem {
		n.stem = append(n.stem, b.module(l.Name, l.Layer))
	}
	for _, planned := range p.Stages {
		m := stage{plan: planned}
		for _, e := range planned.Entry {
			m.entry = append(m.entry, b.entry(e))
		}
		for _, c := range planned.Cells {
			if err := m.add(b.cell(c)); err != nil {
				return nil, err
			}
		}
		if planned.Outputs != nil {
			m.cells = append(m.cells, b.output(planned))
		}
		if planned.Reduce != nil {
			if err := m.add(b.cell(*planned.Reduce)); err != nil {
				return nil, err
			}
		}
		m.finish()
		n.stages = append(n.stages, m)
	}
	if p.Auxiliary != nil {
		var head nn.Sequential
		for _, l := range p.Auxiliary {
			head = append(head, b.module(l.Name, l.Layer))
		}
		n.auxiliary = head
	}
	s.Flatten(*b.adjacent)
	return n, nil
}

// builder makes modules and programs that use the parameters of a store.
type builder struct {
	store    *nn.Store
	adjacent *[]torch.Tensor // the parameters that should be adjacent in memory (torch.Program.Adjacent); nil if nobody asks
}

// make adds parameters with their initial values to the store.
func (b builder) make(params []layer.Param) {
	for _, p := range params {
		make, init := b.store.Root().Weight, nn.Constant(p.Value)
		if p.Buffer {
			make = b.store.Root().Buffer
		}
		if p.FanIn > 0 {
			init = nn.FanIn(p.FanIn)
		}
		make(p.Name, init, p.Shape...)
	}
}

// tensor returns the parameter with the given name. It panics if there is none.
func (b builder) tensor(name string) torch.Tensor {
	p, ok := b.store.Get(name)
	if !ok {
		panic(fmt.Sprintf("models: no parameter %q", name))
	}
	return p.Tensor
}

// module returns the module of layer l, whose parameters have the name prefix at.
func (b builder) module(at string, l layer.Layer) nn.Module {
	param := func(name string) torch.Tensor { return b.tensor(at + "." + name) }
	switch l := l.(type) {
	case layer.Conv:
		return nn.Conv2d{Weight: param("weight"), Options: torch.ConvOptions{Stride: []int64{l.Stride}, Padding: []int64{l.Padding}}}
	case layer.BatchNorm:
		m := nn.BatchNorm2d{Mean: param("running_mean"), Var: param("running_var")}
		if l.Affine {
			m.Weight, m.Bias = param("weight"), param("bias")
		}
		return m
	case layer.Linear:
		return nn.Linear{Weight: param("weight"), Bias: param("bias"), Product: b.entry(plan.Entry{At: at, Rounds: ops.Product(l)}).Program}
	case layer.AvgPool:
		return nn.AvgPool{Kernel: l.Kernel, Stride: l.Stride}
	case layer.ReLU:
		return nn.ReLU
	case layer.Sequence:
		var m nn.Sequential
		for i := 0; i < len(l); {
			if rounds, n := ops.Convolutions(l, i); n > 0 {
				m = append(m, b.entry(plan.Entry{At: at, Rounds: rounds}))
				i += n
				continue
			}
			m = append(m, b.module(fmt.Sprintf("%s.%d", at, i), l[i]))
			i++
		}
		return m
	}
	panic(fmt.Sprintf("models: no module for a %T", l))
}

// Forward returns the logits (N,Classes) of images x (N,C,H,W). aux holds the logits of the auxiliary
// head, of the same shape; it is undefined in evaluation and if the network has no auxiliary head.
// Both have the element type of x, also under autocast, and belong to the innermost scope.
func (n *Network) Forward(c *nn.Ctx, x torch.Tensor) (logits, aux torch.Tensor) {
	if c.Autocast == torch.Float32 {
		return n.forward(c, x)
	}
	torch.Autocast(x.Device(), c.Autocast, func() { logits, aux = n.forward(c, x) })
	if logits = logits.To(x.DType()); aux.Defined() {
		aux = aux.To(x.DType())
	}
	return logits, aux
}

func (n *Network) forward(c *nn.Ctx, x torch.Tensor) (logits, aux torch.Tensor) {
	head := c.Head()
	auxiliary := func(reduced torch.Tensor) {
		if c.Train && n.auxiliary != nil {
			aux = n.auxiliary.Forward(head, reduced)
		}
	}
	var features torch.Tensor
	if c.Frozen {
		var reduced torch.Tensor
		torch.NoGrad(func() { features = n.backbone(c.Backbone(), x, func(r torch.Tensor) { reduced = r }) })
		if reduced.Defined() { // there are several stages
			auxiliary(reduced)
		}
	} else {
		features = n.backbone(c, x, auxiliary)
	}
	return n.classifier.Forward(head, torch.GlobalAvgPool(features)), aux
}

// Features returns the features (N,F) that the classifier reads of images x (N,C,H,W).
func (n *Network) Features(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	pooled := torch.GlobalAvgPool(n.backbone(c.Backbone(), x, func(torch.Tensor) {}))
	return pooled.Reshape(pooled.Size(0), -1)
}

// Classify returns the logits (N,Classes) of features (N,F).
func (n *Network) Classify(features torch.Tensor) torch.Tensor {
	return n.classifier.Forward(&nn.Ctx{}, features)
}

// backbone returns the features of the last stage. It calls auxiliary with those of the last reduction cell, which
// the auxiliary head reads, as soon as they are there: the order of the passes is that in which libtorch adds up
// gradients.
func (n *Network) backbone(c *nn.Ctx, x torch.Tensor, auxiliary func(reduced torch.Tensor)) torch.Tensor {
	in := [2]torch.Tensor{x, x}
	for _, m := range n.stem {
		in = [2]torch.Tensor{in[1], m.Forward(c, in[1])}
	}
	if len(n.stem) == 1 {
		in[0] = in[1]
	}
	for i := range n.stages {
		before := in
		in = n.stages[i].forward(c, in)
		if i == len(n.stages)-2 {
			auxiliary(in[1])
		}
		if i < len(n.stages)-1 { // the auxiliary head of a frozen backbone reads those of the last stage later
			for _, t := range before {
				if !slices.Contains(in[:], t) && t != x {
					t.Free()
				}
			}
		}
	}
	return in[1]
}

func (m *stage) add(c *cell, err error) error {
	m.cells = append(m.cells, c)
	return err
}

// finish finds after which cell nothing reads a state any more.
func (m *stage) finish() {
	last := make([]int, len(m.cells)+2) // by state
	for k, c := range m.cells {
		last[k+2] = k // unless it is read
		for _, state := range c.reads {
			last[state] = k
		}
	}
	m.done = make([][]int, len(m.cells))
	for state, k := range last {
		if (state >= 2 || state < len(m.entry)) && !slices.Contains(m.plan.Next[:], state) {
			m.done[k] = append(m.done[k], state)
		}
	}
}

// forward returns the states that the next stage reads, and frees the others that it makes when they have been read. What
// the gradient needs of them, libtorch keeps.
func (m *stage) forward(c *nn.Ctx, in [2]torch.Tensor) [2]torch.Tensor {
	states := make([]torch.Tensor, 0, len(m.cells)+2)
	states = append(states, in[0], in[1])
	for k, e := range m.entry {
		states[k] = e.run(c, in[1:])
	}
	for k, cell := range m.cells {
		states = append(states, cell.forward(c, states))
		for _, state := range m.done[k] {
			states[state].Free()
		}
	}
	return [2]torch.Tensor{states[m.plan.Next[0]], states[m.plan.Next[1]]}
}
