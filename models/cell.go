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

// cell is the network of a plan.Cell, or a stage's output. It is one program, or, with partial channels, several
// (edgewise).
type cell struct {
	whole *compiled // the program of the whole cell; nil with partial channels
	reads []int     // the states of the stage that the cell reads, the inputs of its program
	edges *edgewise
	store bool // nothing of it is recomputed
}

// Standalone is a single cell without the stage's edges that lead to it.
type Standalone struct{ *cell }

// Standalone returns cell k of stage i as a module with one input, which serves as both inputs of the
// cell. It shares the network's parameters. The network's store owns its program.
func (n *Network) Standalone(i, k int) (Standalone, error) {
	planned := n.Plan.Stages[i].Cells[k]
	from := plan.Edge{Ops: []string{"skip_connect"}, Spec: ops.Spec{Stride: 1}, Partial: 1}
	planned.Read = [2][]plan.Edge{{from}, nil}
	c, err := builder{store: n.store}.cell(planned)
	return Standalone{c}, err
}

// Forward returns the cell's output for x, whose shape must be N and the cell's plan.Cell.In.
func (s Standalone) Forward(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	return s.forward(c, []torch.Tensor{x})
}

func (b builder) cell(p plan.Cell) (*cell, error) {
	g := graph{builder: b}
	g.Graph.Inputs = len(read(p))
	g.States = g.Graph.Inputs
	states, err := g.preprocess(p)
	if err != nil {
		return nil, err
	}
	c := &cell{reads: read(p)}
	if slices.ContainsFunc(p.Nodes, func(n []plan.Edge) bool { return slices.ContainsFunc(n, partial) }) {
		g.Out = states // the concatenation of both states, which edgewise.run splits again
		c.edges, err = b.edgewise(p, g.compile())
		return c, err
	}
	for _, node := range p.Nodes {
		s, err := g.sum(node, func(e plan.Edge) int { return states[e.From] })
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	for _, s := range p.Out {
		g.Out = append(g.Out, states[s])
	}
	whole := g.compile()
	c.whole = &whole
	return c, nil
}

// output returns the program of a stage's output. If there are several candidate outputs, it is their sum weighed by
// the softmax of beta (H-DAS eq. 3).
func (b builder) output(s plan.Stage) *cell {
	g, out := graph{builder: b}, &cell{store: true}
	for _, state := range slices.Concat(s.Outputs...) {
		if !slices.Contains(out.reads, state) {
			out.reads = append(out.reads, state)
		}
	}
	g.Graph.Inputs = len(out.reads)
	g.States = g.Graph.Inputs
	for k, state := range s.Outputs[0] {
		if len(s.Outputs) == 1 {
			g.Out = append(g.Out, slices.Index(out.reads, state))
			continue
		}
		for j, candidate := range s.Outputs {
			g.weigh(slices.Index(out.reads, candidate[k]), mixture{s.Name, beta}, j)
		}
		g.Out = append(g.Out, g.States)
		g.States++
	}
	whole := g.compile()
	out.whole = &whole
	return out
}

// read returns the states of the stage that a cell reads, each once.
func read(p plan.Cell) []int {
	var states []int
	for _, edges := range p.Read {
		for _, e := range edges {
			if !slices.Contains(states, e.From) {
				states = append(states, e.From)
			}
		}
	}
	return states
}

// forward returns the cell's output for the states of its stage, owned by the innermost scope. It frees
// intermediate tensors, except those that libtorch keeps for the gradient.
func (c *cell) forward(how *nn.Ctx, states []torch.Tensor) (out torch.Tensor) {
	if c.store {
		how = how.Storing()
	}
	torch.Within(func(s *torch.Scope) {
		in := make([]torch.Tensor, len(c.reads))
		for i, from := range c.reads {
			in[i] = states[from]
		}
		if c.whole != nil {
			out = s.Return(c.whole.run(how, in))
		} else {
			out = s.Return(c.edges.run(how, in))
		}
	})
	return out
}

// compiled is a program together with the values that it needs from the context of a pass.
type compiled struct {
	*torch.Program
	scales []mixture // the program's Scales, in order
	masks  int       // the number of drop path masks
}

// mixture names architecture weights of a DAG.
type mixture struct {
	dag string
	of  kind
}

// kind selects a field of nn.Mix.
type kind int

const (
	alpha kind = iota
	edge
	beta
)

// weights returns the architecture weights of that name from c.Mix. It panics if there are none.
func (m mixture) weights(c *nn.Ctx) torch.Tensor {
	if c.Mix != nil {
		of := []map[string]torch.Tensor{alpha: c.Mix.Alpha, edge: c.Mix.Edge, beta: c.Mix.Beta}[m.of]
		if t := of[m.dag]; t.Defined() {
			return t
		}
	}
	panic(&torch.Error{Op: "mixture", Err: fmt.Errorf("the pass has no architecture weights for %s; run a supernet with search.Supernet.Logits, or with a Mix in its context", m.dag)})
}

func (p compiled) run(c *nn.Ctx, in []torch.Tensor) torch.Tensor {
	how := torch.Pass{Norm: c.Norm(), Recompute: c.Recompute, Path: c.Path}
	for _, m := range p.scales {
		how.Scales = append(how.Scales, m.weights(c))
	}
	x := in[0]
	how.Masks = nn.DropPathMasks(c, p.masks, x.Size(0), torch.Options{DType: x.DType(), Device: x.Device()})
	return p.Run(in, how)
}

// Forward implements nn.Module, for a program with one input that is not part of a cell: nothing in it is recomputed.
func (p compiled) Forward(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	return p.run(c.Storing(), []torch.Tensor{x})
}

// entry returns the program of a single operation.
func (b builder) entry(e plan.Entry) compiled {
	g := graph{builder: b, Graph: torch.Graph{Inputs: 1, States: 1}}
	g.Out = []int{g.apply(e, 0)}
	return g.compile()
}

// bypass returns the program of what bypasses an edge with partial channels: x times the weight of the edge.
func (b builder) bypass(e plan.Edge) compiled {
	g := graph{builder: b, Graph: torch.Graph{Inputs: 1, States: 1, Out: []int{1}}}
	g.weigh(0, mixture{e.DAG, edge}, e.Row)
	g.States++
	return g.compile()
}

// edge returns the program of a single edge.
func (b builder) edge(e plan.Edge) (compiled, error) {
	g := graph{builder: b, Graph: torch.Graph{Inputs: 1, States: 1}}
	out, err := g.sum([]plan.Edge{e}, func(plan.Edge) int { return 0 })
	if err != nil {
		return compiled{}, err
	}
	g.Out = []int{out}
	return g.compile(), nil
}

// graph is a torch.Graph under construction.
type graph struct {
	builder
	torch.Graph
	scales []mixture
	masks  int
}

// compile returns the program of the graph; the store owns it.
func (g *graph) compile() compiled {
	p := torch.Compile(g.Graph)
	g.store.Own(p)
	if g.adjacent != nil {
		*g.adjacent = append(*g.adjacent, p.Adjacent()...)
	}
	return compiled{p, g.scales, g.masks}
}

// preprocess adds the cell's two inputs to the graph: each is the sum of the stage's edges that it
// reads, followed by the cell's preprocessing. It returns their two states.
func (g *graph) preprocess(p plan.Cell) (states []int, err error) {
	inputs, from := read(p), 0
	for k, edges := range p.Read {
		if edges != nil {
			input := func(e plan.Edge) int { return slices.Index(inputs, e.From) }
			if from = input(edges[0]); len(edges) > 1 || len(edges[0].Ops) > 1 || !handsOn(edges[0]) {
				if from, err = g.sum(edges, input); err != nil {
					return nil, err
				}
			}
		}
		states = append(states, g.apply(p.Pre[k], from))
	}
	return states, nil
}

// handsOn reports whether an edge with a single operation is the identity.
func handsOn(e plan.Edge) bool {
	candidates, err := e.Candidates()
	return err == nil && len(candidates[0].Rounds) == 0
}

// apply adds a state to the graph, the operation e applied to state from, and returns its index.
func (g *graph) apply(e plan.Entry, from int) int {
	g.Terms = append(g.Terms, torch.Term{From: from, To: g.States, Rounds: g.bind(e)})
	g.States++
	return g.States - 1
}

// sum adds a state to the graph, the sum of the given edges, and returns its index. from returns the
// state that an edge reads. An edge with several candidate operations becomes one term for each.
func (g *graph) sum(edges []plan.Edge, from func(plan.Edge) int) (int, error) {
	for _, e := range edges {
		candidates, err := e.Candidates()
		if err != nil {
			return 0, err
		}
		for _, c := range candidates {
			t := torch.Term{From: from(e), To: g.States, Rounds: g.bind(c.Entry), Masked: c.Drop}
			if c.Column >= 0 {
				t.Scale = g.scale(mixture{e.DAG, alpha}, e.Row*len(e.Ops)+c.Column)
			}
			if c.Drop {
				g.masks++
			}
			g.Terms = append(g.Terms, t)
		}
	}
	g.States++
	return g.States - 1, nil
}

// weigh adds a term to the next state: state from, times an architecture weight.
func (g *graph) weigh(from int, by mixture, element int) {
	g.Terms = append(g.Terms, torch.Term{From: from, To: g.States, Scale: g.scale(by, element)})
}

// scale returns an element of architecture weights as the factor of a term.
func (g *graph) scale(of mixture, element int) *torch.Scale {
	i := slices.Index(g.scales, of)
	if i < 0 {
		i, g.scales = len(g.scales), append(g.scales, of)
	}
	return &torch.Scale{Tensor: i, Element: int64(element)}
}

// bind returns the rounds of an operation with the tensors of their parameters.
func (b builder) bind(e plan.Entry) []torch.Round {
	rounds := make([]torch.Round, len(e.Rounds))
	for i, r := range e.Rounds {
		bound := torch.Round{Round: r.Round}
		param := func(at, name string) torch.Tensor { return b.tensor(layer.Join(e.At, layer.Join(at, name))) }
		if r.WindowShape() != nil {
			bound.Window = param(r.WindowAt, "weight")
		}
		if r.PointShape() != nil {
			bound.Point = param(r.PointAt, "weight")
		}
		if r.ShiftedShape() != nil {
			bound.Shifted = param(r.ShiftedAt, "weight")
		}
		if r.Norm {
			bound.Mean, bound.Var = param(r.NormAt, "running_mean"), param(r.NormAt, "running_var")
		}
		if r.Affine {
			bound.Gamma, bound.Beta = param(r.NormAt, "weight"), param(r.NormAt, "bias")
		}
		rounds[i] = bound
	}
	return rounds
}
