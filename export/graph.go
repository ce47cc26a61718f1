// Package export writes the network of a plan for other programs: as an ONNX model, and as the source of a
// PyTorch module. It needs no libtorch; the weights are read through a function.
package export

import (
	"fmt"

	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch/kernel"
)

// Weights returns the values of the parameter with that name, in row-major order.
type Weights func(name string) []float64

// Graph is a network in evaluation as a list of ONNX' standard operations, each after those that it reads.
type Graph struct {
	Nodes      []Node
	Parameters []Parameter
}

// Node is one operation. Its single output has the node's name.
type Node struct {
	Name, Op   string
	Inputs     []string // outputs of earlier nodes, parameters, or Input
	Attributes []Attribute
}

// Attribute is an integer, a list of integers or, as a float64, a real number.
type Attribute struct {
	Name  string
	Value any
}

// Parameter is a constant tensor of the network's weights or, if Integers is not nil, of integers.
type Parameter struct {
	Name     string
	Shape    []int64
	Values   func(Weights) []float64
	Integers []int64
}

// The names of a graph's input, the normalised images (N,C,H,W), and of its output, the logits (N,classes).
const (
	Input  = "images"
	Output = "logits"
)

// normEps is what a batch norm adds to the variance.
const normEps = 1e-5

// NewGraph returns the graph of a derived network. With fold, the batch norms after convolutions are
// multiplied into their weights; those after poolings stay. It returns an error for a supernet.
func NewGraph(p plan.Network, fold bool) (Graph, error) {
	for c := range p.AllCells() {
		for _, e := range edges(c) {
			if len(e.Ops) != 1 {
				return Graph{}, fmt.Errorf("cell %d has edges with several operations: a supernet cannot be exported", c.Index)
			}
		}
	}
	b := builder{fold: fold, relus: map[string]state{}, names: map[string]bool{}}
	b.network(p)
	return b.Graph, nil
}

// edges returns all edges that a cell reads or has.
func edges(c plan.Cell) []plan.Edge {
	all := append(append([]plan.Edge{}, c.Read[0]...), c.Read[1]...)
	for _, n := range c.Nodes {
		all = append(all, n...)
	}
	return all
}

// builder adds the operations of a network to a graph.
type builder struct {
	Graph
	fold  bool
	relus map[string]state // the ReLU of each state that has one
	names map[string]bool  // of parameters
}

// state is the output of a node, with its shape for one image.
type state struct {
	name string
	layer.Shape
}

func (b *builder) network(p plan.Network) {
	x := state{Input, p.Image}
	in := [2]state{x, x}
	for _, l := range p.Stem {
		in = [2]state{in[1], b.layer(l.Name, l.Layer, in[1])}
	}
	if len(p.Stem) == 1 {
		in[0] = in[1]
	}
	for i, s := range p.Stages {
		in = b.stage(fmt.Sprintf("stages.%d", i), s, in)
	}
	features := b.add("features", "Flatten", []string{b.add("mean", "GlobalAveragePool", []string{in[1].name})})
	linear := p.Classifier.Params()
	b.add(Output, "Gemm", []string{features, b.parameter(linear[0]), b.parameter(linear[1])}, Attribute{"transB", int64(1)})
}

func (b *builder) stage(at string, s plan.Stage, in [2]state) [2]state {
	states := []state{in[0], in[1]}
	for k, e := range s.Entry {
		states[k] = b.rounds(e, in[1])
	}
	for _, c := range s.Cells {
		states = append(states, b.cell(c, states))
	}
	if s.Outputs != nil {
		states = append(states, b.concat(at, states, s.Outputs[0]))
	}
	if s.Reduce != nil {
		states = append(states, b.cell(*s.Reduce, states))
	}
	return [2]state{states[s.Next[0]], states[s.Next[1]]}
}

func (b *builder) cell(c plan.Cell, from []state) state {
	at := fmt.Sprintf("cells.%d", c.Index)
	var states []state
	var in state
	for k, read := range c.Read {
		if read != nil {
			in = b.sum(fmt.Sprintf("%s.input%d", at, k), read, from)
		}
		states = append(states, b.rounds(c.Pre[k], in))
	}
	for i, node := range c.Nodes {
		states = append(states, b.sum(fmt.Sprintf("%s.node%d", at, i), node, states))
	}
	return b.concat(at, states, c.Out)
}

// sum returns the sum of the edges, each of which reads a state of from.
func (b *builder) sum(at string, edges []plan.Edge, from []state) (sum state) {
	for i, e := range edges {
		candidates, _ := e.Candidates() // plan.New has checked them
		term := b.rounds(candidates[0].Entry, from[e.From])
		if i == 0 {
			sum = term
			continue
		}
		name := at
		if i < len(edges)-1 {
			name = fmt.Sprintf("%s.sum%d", at, i)
		}
		sum.name = b.add(name, "Add", []string{sum.name, term.name})
	}
	return sum
}

func (b *builder) concat(at string, states []state, of []int) state {
	out := states[of[0]]
	if len(of) == 1 {
		return out
	}
	names := []string{out.name}
	for _, i := range of[1:] {
		names, out.C = append(names, states[i].name), out.C+states[i].C
	}
	out.name = b.add(at, "Concat", names, Attribute{"axis", int64(1)})
	return out
}

// layer returns the output of a layer outside the cells, whose parameters have the prefix at.
func (b *builder) layer(at string, l layer.Layer, x state) state {
	switch l := l.(type) {
	case layer.Sequence:
		for i := 0; i < len(l); i++ {
			name := fmt.Sprintf("%s.%d", at, i)
			conv, ok := l[i].(layer.Conv)
			if !ok {
				x = b.layer(name, l[i], x)
				continue
			}
			var n *norm
			if i+1 < len(l) {
				if bn, ok := l[i+1].(layer.BatchNorm); ok { // which may be folded into the convolution
					n, i = &norm{at: fmt.Sprintf("%s.%d", at, i+1), BatchNorm: bn}, i+1
				}
			}
			size, _ := conv.Cost(x.Shape)
			x = b.conv(name, conv.Params()[0].Shape, window{1, both(conv.Stride), both(conv.Padding), both(1)}, n, x, size)
		}
		return x
	case layer.ReLU:
		return b.relu(x)
	}
	panic(fmt.Sprintf("export: no operation for a %T", l))
}

// rounds returns the output of an operation.
func (b *builder) rounds(e plan.Entry, x state) state {
	for _, r := range e.Rounds {
		x = b.round(e.At, r, x)
	}
	return x
}

func (b *builder) round(at string, r ops.Round, x state) state {
	if r.ReLU {
		x = b.relu(x)
	}
	out := layer.Shape{C: r.Out}
	out.H, out.W, _ = r.Size(x.H, x.W) // plan.New has checked it
	var n *norm
	if r.Norm {
		n = &norm{at: layer.Join(at, r.NormAt), BatchNorm: layer.BatchNorm{C: r.Out, Affine: r.Affine}}
	}
	place := func(name string) string { return layer.Join(at, name) }
	whole := window{1, r.Stride, r.Padding, r.Dilation}
	switch r.Window {
	case kernel.Point:
		return b.conv(place(r.PointAt), r.PointShape(), whole, n, x, out)
	case kernel.Dense:
		return b.conv(place(r.WindowAt), r.WindowShape(), whole, n, x, out)
	case kernel.Depthwise:
		whole.groups = r.In
		x = b.conv(place(r.WindowAt), r.WindowShape(), whole, nil, x, layer.Shape{C: r.In, H: out.H, W: out.W})
		return b.conv(place(r.PointAt), r.PointShape(), window{1, both(1), both(0), both(1)}, n, x, out)
	case kernel.Halve:
		return b.halve(at, r, whole, n, x, out)
	case kernel.MaxPool:
		return b.pool(at+".pool", "MaxPool", r, n, x, out)
	case kernel.AvgPool:
		return b.pool(at+".pool", "AveragePool", r, n, x, out, Attribute{"count_include_pad", int64(0)})
	case kernel.Zero:
		return b.zero(at, out)
	}
	panic(fmt.Sprintf("export: no operation for a %v", r.Window))
}

// relu returns the ReLU of a state; there is one for all that read it.
func (b *builder) relu(x state) state {
	if _, there := b.relus[x.name]; !there {
		b.relus[x.name] = state{b.add(x.name+".relu", "Relu", []string{x.name}), x.Shape}
	}
	return b.relus[x.name]
}

func (b *builder) pool(at, op string, r ops.Round, n *norm, x state, out layer.Shape, more ...Attribute) state {
	attributes := append([]Attribute{{"kernel_shape", r.Kernel[:]}, {"strides", r.Stride[:]}, {"pads", pads(r.Padding)}}, more...)
	return b.norm(n, state{b.add(at, op, []string{x.name}, attributes...), out})
}

// halve adds both convolutions of kernel.Halve. Each gets its part of the batch norm if that is folded.
func (b *builder) halve(at string, r ops.Round, w window, n *norm, x state, out layer.Shape) state {
	half := func(name string, shape []int64, from int64, x state) string {
		var part *norm
		if b.fold && n != nil {
			part = &norm{n.at, n.BatchNorm, from}
		}
		return b.conv(layer.Join(at, name), shape, w, part, x, out).name
	}
	shifted := state{b.add(at+".shifted", "Slice", []string{x.name, b.integers("shift.starts", 1, 1), b.integers("shift.ends", 1<<31-1, 1<<31-1), b.integers("shift.axes", 2, 3)}), x.Shape}
	parts := []string{half(r.PointAt, r.PointShape(), 0, x), half(r.ShiftedAt, r.ShiftedShape(), r.PointShape()[0], shifted)}
	halved := state{b.add(at+".halved", "Concat", parts, Attribute{"axis", int64(1)}), out}
	if b.fold {
		return halved
	}
	return b.norm(n, halved)
}

// zero returns zeros of that shape for each image.
func (b *builder) zero(at string, out layer.Shape) state {
	n := b.add(at+".batch", "Shape", []string{Input}, Attribute{"start", int64(0)}, Attribute{"end", int64(1)})
	size := b.integers(fmt.Sprintf("size.%v", out), out.C, out.H, out.W)
	shape := b.add(at+".shape", "Concat", []string{n, size}, Attribute{"axis", int64(0)})
	zero := b.constant("zero", []int64{1}, func(Weights) []float64 { return []float64{0} })
	return state{b.add(at+".zeros", "Expand", []string{zero, shape}), out}
}

// window is the geometry of a convolution.
type window struct {
	groups                    int64
	stride, padding, dilation [2]int64
}

// norm is a batch norm whose parameters have the prefix at. from is the first of its channels.
type norm struct {
	at string
	layer.BatchNorm
	from int64
}

// conv adds a convolution, whose weight is at+".weight", and the batch norm after it, if n is not nil.
func (b *builder) conv(at string, shape []int64, w window, n *norm, x state, out layer.Shape) state {
	weight := layer.Weight(at+".weight", shape...)
	inputs := []string{x.name}
	if n == nil || !b.fold {
		inputs = append(inputs, b.parameter(weight))
	} else {
		inputs = append(inputs,
			b.constant(weight.Name, shape, func(read Weights) []float64 { return n.folded(read, read(weight.Name), shape[0]) }),
			b.constant(at+".bias", shape[:1], func(read Weights) []float64 { return n.shift(read, shape[0]) }))
	}
	y := state{b.add(at, "Conv", inputs, Attribute{"kernel_shape", shape[2:]}, Attribute{"strides", w.stride[:]},
		Attribute{"pads", pads(w.padding)}, Attribute{"dilations", w.dilation[:]}, Attribute{"group", w.groups}), out}
	if b.fold {
		return y
	}
	return b.norm(n, y)
}

// norm adds a batch norm, if n is not nil.
func (b *builder) norm(n *norm, x state) state {
	if n == nil {
		return x
	}
	inputs := []string{x.name}
	for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
		inputs = append(inputs, b.constant(n.at+"."+name, []int64{n.C}, func(read Weights) []float64 { return n.values(read, name, n.C) }))
	}
	return state{b.add(n.at, "BatchNormalization", inputs, Attribute{"epsilon", normEps}), x.Shape}
}

// add adds a node and returns the name of its output.
func (b *builder) add(name, op string, inputs []string, attributes ...Attribute) string {
	b.Nodes = append(b.Nodes, Node{name, op, inputs, attributes})
	return name
}

// parameter adds a parameter of the network as it is and returns its name.
func (b *builder) parameter(p layer.Param) string {
	return b.constant(p.Name, p.Shape, func(read Weights) []float64 { return read(p.Name) })
}

// constant adds a parameter, unless there is one with that name, and returns the name.
func (b *builder) constant(name string, shape []int64, values func(Weights) []float64) string {
	return b.once(Parameter{Name: name, Shape: shape, Values: values})
}

// integers adds a list of integers, unless there is one with that name, and returns the name.
func (b *builder) integers(name string, values ...int64) string {
	return b.once(Parameter{Name: name, Shape: []int64{int64(len(values))}, Integers: values})
}

func (b *builder) once(p Parameter) string {
	if !b.names[p.Name] {
		b.names[p.Name] = true
		b.Parameters = append(b.Parameters, p)
	}
	return p.Name
}

func both(v int64) [2]int64 { return [2]int64{v, v} }

// pads returns ONNX' padding: above, left, below, right.
func pads(p [2]int64) []int64 { return []int64{p[0], p[1], p[0], p[1]} }
