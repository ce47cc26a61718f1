package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
)

// planner plans a network from its input to its output.
type planner struct {
	*Network
	g      genotype.Genotype
	search genotype.Candidates
	cells  int // number of cells planned so far
}

// state describes a tensor inside the network.
type state struct {
	layer.Shape
	halved int // how many times its resolution was halved
}

func (p *planner) network() error {
	if err := p.bound(); err != nil {
		return err
	}
	in := p.stem()
	plan, stages := p.summed, len(p.g.Stages)
	if p.Macro.Wiring == Paired {
		plan = p.paired
	}
	if stages == 0 {
		plan, stages = p.chained, 3
		if p.Macro.Layers < 2 {
			return fmt.Errorf("a chain of %d layers has no room for two reduction cells; at least 2 layers are needed", p.Macro.Layers)
		}
	}
	for i := range stages {
		s, next, err := plan(i, in)
		if err != nil {
			return err
		}
		p.Stages, in = append(p.Stages, s), next
		if i == stages-2 {
			if err := p.auxiliary(in[1]); err != nil {
				return err
			}
		}
	}
	p.Classifier = layer.Named{Name: "classifier", Layer: layer.Linear{In: in[1].C, Out: p.Macro.Classes}}
	p.add(in[1], p.Classifier)
	if p.Cost.MACs == math.MaxInt64 || p.Cost.Parameters == math.MaxInt64 {
		return errors.New("the number of its multiply-adds does not fit into 64 bits; take fewer channels or smaller images")
	}
	return nil
}

// stem plans the stem and returns the two states that the first stage receives.
func (p *planner) stem() [2]state {
	c, wide := p.Macro.Channels, 3*p.Macro.Channels
	summed := len(p.g.Stages) > 0 && p.Macro.Wiring == Summed
	if summed {
		wide = p.width(0)
	} else if p.Macro.Preset == ImageNet {
		wide = c
	}
	conv := func(in, out, stride int64) layer.Sequence {
		return layer.Sequence{layer.Conv{In: in, Out: out, Kernel: 3, Stride: stride, Padding: 1}, layer.BatchNorm{C: out, Affine: true}}
	}
	image := state{Shape: p.Image}
	if p.Macro.Preset == CIFAR {
		p.Stem = []layer.Named{{Name: "stem", Layer: conv(p.Image.C, wide, 1)}}
		s := p.add(image, p.Stem[0])
		return [2]state{s, s}
	}
	p.Stem = []layer.Named{
		{Name: "stem0", Layer: append(append(conv(p.Image.C, c/2, 2), layer.ReLU{}), conv(c/2, c, 2)...)},
		{Name: "stem1", Layer: append(layer.Sequence{layer.ReLU{}}, conv(c, wide, 2)...)},
	}
	first := p.add(image, p.Stem[0])
	first.halved = 2
	second := p.add(first, p.Stem[1])
	second.halved = 3
	if summed {
		first = second
	}
	return [2]state{first, second}
}

// The largest sizes of a network. Within them, the cost of a layer fits into 64 bits, and a plan takes little
// memory, whatever a small file asks for.
const (
	maxSide       = 2048    // height and width of an image, in pixels
	maxChannels   = 1 << 17 // of a tensor
	maxOperations = 1 << 17 // of all cells and stages; a mixture has several
)

// bound returns an error if the network is too large. It is called before the plan is made.
func (p *planner) bound() error {
	if i := p.Image; i.C < 1 || i.C > maxChannels || i.H < 1 || i.H > maxSide || i.W < 1 || i.W > maxSide {
		return fmt.Errorf("images need 1 to %d channels, and 1 to %d pixels in height and width", maxChannels, maxSide)
	}
	var outputs, parts, total, largest int64 = 1, 1, 0, 0
	operations := map[string]int64{}
	for name, d := range p.g.Cells {
		operations[name] = count(d, p.search.Cell) + genotype.Inputs
		outputs, largest = max(outputs, int64(len(d.Out))), max(largest, operations[name])
	}
	for _, s := range p.g.Stages {
		parts = max(parts, int64(len(s.Out)))
		total = min(maxOperations+1, total+count(s.DAG, p.search.Stage)+int64(len(s.Nodes))*operations[s.Cell]+operations[s.Reduce])
	}
	reductions := len(p.g.Stages) - 1
	if reductions < 0 {
		reductions, total = 2, min(maxOperations+1, int64(p.Macro.Layers)*largest)
	}
	switch {
	case total > maxOperations:
		return fmt.Errorf("it has more than %d operations; take fewer cells, nodes or candidates", maxOperations)
	case reductions > 12 || outputs*parts > maxChannels || p.Macro.Channels<<reductions > maxChannels/(outputs*parts):
		return fmt.Errorf("its last cells have more than %d channels: C=%d doubles at each of %d reductions; take fewer channels or stages", maxChannels, p.Macro.Channels, reductions)
	}
	return nil
}

// count returns the number of operations of a DAG, whose undecided edges have all the candidates.
func count(d genotype.DAG, candidates []string) (n int64) {
	for _, node := range d.Nodes {
		for _, e := range node.In {
			if n++; e.Op == genotype.Any {
				n += int64(len(candidates))
			}
		}
	}
	return n
}

// add adds the cost of a layer outside the cells, and returns the layer's output.
func (p *planner) add(in state, l layer.Layer) state {
	out, c := l.Cost(in.Shape)
	p.Cost = p.Cost.Add(c)
	return state{out, in.halved}
}

// width returns the number of output channels of stage i's cells.
func (p *planner) width(i int) int64 {
	return int64(len(p.g.Cells[p.g.Stages[i].Cell].Out)) * p.channels(i)
}

// channels returns the number of channels of the nodes in stage i's cells. It doubles at each reduction
// cell.
func (p *planner) channels(i int) int64 { return p.Macro.Channels << i }

// chained plans stage i of a chain: the cells up to its reduction cell i, included. Each cell reads the
// two cells before it, through identity edges. The reduction cells of L layers are L/3 and 2L/3.
func (p *planner) chained(i int, in [2]state) (Stage, [2]state, error) {
	var s Stage
	states := in[:]
	read := func() [2][]Edge { return [2][]Edge{handOn(len(states) - 2), handOn(len(states) - 1)} }
	for end := (i + 1) * p.Macro.Layers / 3; p.cells < end; {
		c, out, err := p.cell(p.chainCell("normal", i), p.channels(i), read(), states, false)
		if err != nil {
			return s, in, err
		}
		s.Cells, states = append(s.Cells, c), append(states, out)
	}
	if i < 2 {
		c, out, err := p.cell(p.chainCell("reduce", i), p.channels(i+1), read(), states, true)
		if err != nil {
			return s, in, err
		}
		s.Reduce, states = &c, append(states, out)
	}
	n := len(states)
	s.Next = [2]int{n - 2, n - 1}
	return s, [2]state{states[n-2], states[n-1]}, nil
}

// chainCell returns the name of stage i's cell: one for each stage, as in Hc-DAS ("normal1"), or one for
// all, as in DARTS ("normal").
func (p *planner) chainCell(kind string, i int) string {
	if own := fmt.Sprintf("%s%d", kind, i+1); p.g.Cells[own].Out != nil {
		return own
	}
	return kind
}

// handOn returns the identity edge from a state.
func handOn(from int) []Edge {
	return []Edge{{From: from, Ops: []string{"skip_connect"}, Spec: ops.Spec{Stride: 1}, Partial: 1}}
}

// summed plans stage i with the summed wiring. Both inputs of the stage read the same tensor.
func (p *planner) summed(i int, in [2]state) (Stage, [2]state, error) {
	s := Stage{Name: p.search.StageDAG(i)}
	g, width := p.g.Stages[i], p.width(i)
	spec := p.spec(g.DAG, width)
	states := make([]state, 0, len(g.Nodes)+4)
	for k := range genotype.Inputs {
		l := ops.ReLUConvBN(in[1].C, width, spec.Affine)
		s.Entry = append(s.Entry, Entry{fmt.Sprintf("%s.preprocess%d", place(i), k), l})
		states = append(states, p.add(in[1], l))
	}
	row := 0
	for _, node := range g.Nodes {
		read := [2][]Edge{p.edges(node, s.Name, place(i), &row, p.search.Stage, func(genotype.Edge) ops.Spec { return spec })}
		c, out, err := p.cell(g.Cell, p.channels(i), read, states, false)
		if err != nil {
			return s, in, err
		}
		s.Cells, states = append(s.Cells, c), append(states, out)
	}
	s.Outputs = [][]int{g.Out}
	if least := p.search.MinCells; least > 0 {
		s.Outputs = nil
		for last := least; last <= len(g.Nodes); last++ {
			s.Outputs = append(s.Outputs, []int{last, last + 1})
		}
	}
	end := len(states) // the index of the output's state
	states = append(states, output(states, s.Outputs[0]))
	s.Next = [2]int{end, end}
	if i < len(p.g.Stages)-1 {
		c, out, err := p.cell(g.Reduce, p.channels(i+1), [2][]Edge{handOn(end)}, states, true)
		if err != nil {
			return s, in, err
		}
		s.Reduce, states, s.Next = &c, append(states, out), [2]int{end + 1, end + 1}
	}
	return s, [2]state{states[s.Next[0]], states[s.Next[1]]}, nil
}

// paired plans stage i with the paired wiring: edge k of a cell, in the order of the states that the
// edges read, feeds the cell's input k. A stage of skip connections in a row is thus a chain as in
// DARTS. A stage after a reduction cell reads that cell and the cell before it, halved in resolution.
func (p *planner) paired(i int, in [2]state) (Stage, [2]state, error) {
	s := Stage{Name: p.search.StageDAG(i)}
	g, states := p.g.Stages[i], in[:]
	row := 0
	for n, node := range g.Nodes {
		edges := p.edges(node, s.Name, place(i), &row, p.search.Stage, func(e genotype.Edge) ops.Spec {
			return p.spec(g.DAG, states[e.From].C)
		})
		slices.SortStableFunc(edges, func(a, b Edge) int { return a.From - b.From })
		var read [2][]Edge
		switch len(edges) {
		case 1:
			read[0] = edges
		case 2:
			read = [2][]Edge{edges[:1], edges[1:]}
		default:
			return s, in, fmt.Errorf("cell %d of stage %d reads %d edges; the %s wiring needs one for each of a cell's 2 inputs: use %s", n+1, i+1, len(edges), Paired, Summed)
		}
		c, out, err := p.cell(g.Cell, p.channels(i), read, states, false)
		if err != nil {
			return s, in, err
		}
		s.Cells, states = append(s.Cells, c), append(states, out)
	}
	final, end := i == len(p.g.Stages)-1, len(states)-1
	// As in a chain, a reduction cell reads the last two states, and the classifier reads the last one.
	s.Next = [2]int{end, end}
	read := [2][]Edge{handOn(end - 1), handOn(end)}
	if p.Macro.StageOutput != Last {
		if slices.Contains(g.Out, 0) {
			return s, in, fmt.Errorf("the output of stage %d includes its state 0, which has another resolution in the %s wiring; use %s", i+1, Paired, Summed)
		}
		s.Outputs = [][]int{g.Out}
		states = append(states, output(states, g.Out))
		read, s.Next[1] = [2][]Edge{handOn(end + 1)}, end+1
	} else if final {
		s.Outputs = [][]int{{end}}
		states, s.Next[1] = append(states, states[end]), end+1
	}
	if !final {
		c, out, err := p.cell(g.Reduce, p.channels(i+1), read, states, true)
		if err != nil {
			return s, in, err
		}
		s.Reduce, states = &c, append(states, out)
		s.Next[1] = len(states) - 1
	}
	return s, [2]state{states[s.Next[0]], states[s.Next[1]]}, nil
}

// output returns the concatenation of the states in the list of.
func output(states []state, of []int) state {
	out := states[of[0]]
	for _, s := range of[1:] {
		out.C += states[s].C
	}
	return out
}

// cell plans the next cell, which reads the given states, and returns it with its output.
func (p *planner) cell(name string, channels int64, read [2][]Edge, states []state, reduction bool) (Cell, state, error) {
	dag := p.g.Cells[name]
	c := Cell{Index: p.cells, Name: name, C: channels, Out: dag.Out, Read: read}
	p.cells++
	own := fmt.Sprintf("cells.%d", c.Index)
	var fault error
	check := func(l ops.Rounds, in layer.Shape) {
		if err := l.Check(in); err != nil && fault == nil {
			fault = fmt.Errorf("cell %d: %w; use images whose height and width divide by 4 (%s: by 32)", c.Index, err, ImageNet)
		}
	}
	count := func(l ops.Rounds, in layer.Shape) layer.Shape {
		check(l, in)
		out, cost := l.Cost(in)
		c.Cost = c.Cost.Add(cost)
		return out
	}
	edge := func(e Edge, in layer.Shape) {
		candidates, err := e.Candidates()
		if err != nil {
			fault = errors.Join(fault, fmt.Errorf("cell %d: %w", c.Index, err))
		}
		if len(e.Ops) == 1 {
			count(candidates[0].Rounds, in)
			return
		}
		in.C /= e.Partial
		for _, candidate := range candidates {
			check(candidate.Rounds, in)
			_, cost := candidate.Rounds.Cost(in)
			p.CandidateCost = p.CandidateCost.Add(cost)
		}
	}

	spec := p.spec(dag, channels)
	nodes := make([]layer.Shape, 0, genotype.Inputs+len(dag.Nodes))
	in := [2]state{states[read[0][0].From], states[read[0][0].From]}
	if read[1] != nil {
		in[1] = states[read[1][0].From]
	}
	// A cell has the resolution of its state 1. State 0 comes from an earlier cell and may have to be
	// halved.
	level := states[1].halved
	for k, s := range in {
		for _, e := range read[k] {
			edge(e, s.Shape)
		}
		c.In[k] = s.Shape
		pre := ops.ReLUConvBN(s.C, channels, spec.Affine)
		if s.halved < level {
			pre = ops.FactorizedReduce(s.C, channels, spec.Affine)
		}
		c.Pre[k] = Entry{fmt.Sprintf("%s.preprocess%d", own, k), pre}
		nodes = append(nodes, count(pre, s.Shape))
	}
	out := state{nodes[1], level}
	if reduction {
		out.H, out.W, out.halved = (out.H+1)/2, (out.W+1)/2, out.halved+1
	}
	row := 0
	for n, node := range dag.Nodes {
		c.Nodes = append(c.Nodes, p.edges(node, name, own, &row, p.search.Cell, func(e genotype.Edge) ops.Spec {
			spec := spec
			if spec.Stride = 1; reduction && e.From < genotype.Inputs {
				spec.Stride = 2
			}
			return spec
		}))
		for _, e := range c.Nodes[n] {
			edge(e, nodes[e.From])
		}
		nodes = append(nodes, out.Shape)
	}
	out.C = int64(len(dag.Out)) * channels
	p.Cost = p.Cost.Add(c.Cost)
	return c, out, fault
}

// spec returns the Spec that all edges of a DAG share. Batch norms have a scale and a shift only if the
// DAG has no undecided edge.
func (p *planner) spec(d genotype.DAG, channels int64) ops.Spec {
	searched := d.Undecided()
	poolNorm := p.Macro.PoolNorm == PoolNormOn || p.Macro.PoolNorm == PoolNormAuto && len(p.g.Stages) > 0
	return ops.Spec{C: channels, Stride: 1, Affine: !searched, PoolNorm: poolNorm || searched}
}

// place returns the prefix of stage i's own parameters.
func place(i int) string { return fmt.Sprintf("stages.%d", i) }

// edges plans the edges of a node. dag is the name of its DAG, own the prefix of the parameters' names.
// row is the index of the next edge in the DAG, which edges advances.
func (p *planner) edges(n genotype.Node, dag, own string, row *int, candidates []string, spec func(genotype.Edge) ops.Spec) []Edge {
	var edges []Edge
	for _, e := range n.In {
		edge := Edge{Site: Site{dag, *row}, From: e.From, At: fmt.Sprintf("%s._ops.%d", own, *row), Spec: spec(e), Ops: []string{e.Op}, Partial: 1}
		if e.Op == genotype.Any {
			edge.Ops = candidates
			if _, cell := p.g.Cells[dag]; cell {
				edge.Partial = max(p.search.PartialChannels, 1)
			}
		}
		edges = append(edges, edge)
		*row++
	}
	return edges
}

// auxiliary plans the auxiliary head on the output of the last reduction cell. It computes the head's
// cost even if the network has no auxiliary head.
func (p *planner) auxiliary(in state) error {
	stride, deep := int64(3), layer.Sequence{layer.Conv{In: 128, Out: 768, Kernel: 2, Stride: 1}, layer.BatchNorm{C: 768, Affine: true}, layer.ReLU{}}
	if p.Macro.Preset == ImageNet {
		// DARTS has no second batch norm here; its published ImageNet results were trained without it.
		stride, deep = 2, layer.Sequence{layer.Conv{In: 128, Out: 768, Kernel: 2, Stride: 1}, layer.ReLU{}}
	}
	head := []layer.Named{
		{Name: "auxiliary_head.features", Layer: append(layer.Sequence{
			layer.ReLU{}, layer.AvgPool{Kernel: 5, Stride: stride},
			layer.Conv{In: in.C, Out: 128, Kernel: 1, Stride: 1}, layer.BatchNorm{C: 128, Affine: true}, layer.ReLU{}}, deep...)},
		{Name: "auxiliary_head.classifier", Layer: layer.Linear{In: 768, Out: p.Macro.Classes}},
	}
	features, cost := head[0].Cost(in.Shape)
	_, c := head[1].Cost(features)
	p.AuxiliaryCost = cost.Add(c)
	if !p.Macro.Auxiliary {
		return nil
	}
	if features.H != 1 || features.W != 1 {
		return fmt.Errorf("the auxiliary head does not fit %v features; it is made for %s's 8x8 (32x32 images) and %s's 7x7 (224x224); set network.auxiliary=false", in.Shape, CIFAR, ImageNet)
	}
	p.Auxiliary = head
	return nil
}
