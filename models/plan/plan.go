// Package plan computes the layers of a genotype's network. A plan holds their numbers of channels,
// resolutions, parameters and costs. It has no tensors; package models builds the network of a plan.
package plan

import (
	"fmt"
	"iter"
	"slices"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
)

// Network describes a network completely: a derived network, or a supernet if edges are undecided.
type Network struct {
	Macro  Macro
	Image  layer.Shape   // shape of one input image
	Stem   []layer.Named // layers applied in order to the image
	Stages []Stage       // applied in order, with reduction cells between them
	// Auxiliary holds the layers of the auxiliary head, which reads the output of the last reduction
	// cell; nil without an auxiliary head.
	Auxiliary  []layer.Named
	Classifier layer.Named // reads the features averaged over height and width

	Cost          layer.Cost // without the auxiliary head; undecided edges are not counted
	CandidateCost layer.Cost // of all candidates of the undecided edges
	AuxiliaryCost layer.Cost // cost of the auxiliary head, also if the network does not have it
}

// Stage is a DAG of cells. States 0 and 1 are its inputs, and state i+2 is the output of its cell i.
// They are followed by the stage's output, if Outputs is not nil, and by the output of the reduction
// cell, if there is one.
type Stage struct {
	Name    string  // name of its DAG, the key of its alphas and betas
	Entry   []Entry // preprocessing of the inputs, one for each; nil for none
	Cells   []Cell
	Outputs [][]int // candidate outputs, each a list of states to concatenate; beta weighs several; nil if Next refers to cells directly
	Reduce  *Cell   // the reduction cell after the stage; nil after the last stage
	// Next holds the two states that the next stage, or the classifier, reads.
	Next [2]int
}

// Entry is an operation with the prefix that its parameters have in the network.
type Entry struct {
	At string
	ops.Rounds
}

// Cell is a DAG of operations. States 0 and 1 are its preprocessed inputs, and state i+2 is its node i.
type Cell struct {
	Index int    // number of the cell in the network, from 0, reduction cells included
	Name  string // name of its DAG in the genotype
	C     int64  // channels of every node
	Out   []int  // states whose concatenation is the output
	// Read holds the stage's edges whose sum is each input. If Read[1] is nil, both inputs read the same
	// sum.
	Read  [2][]Edge
	In    [2]layer.Shape // shape of each of these sums
	Pre   [2]Entry       // preprocessing of each sum to C channels
	Nodes [][]Edge       // the edges of each node, whose sum the node is
	Cost  layer.Cost     // cost of the cell and of the stage's edges that it reads
}

// Edge applies one operation, or a mixture of several, to a state.
type Edge struct {
	Site
	From int
	At   string // prefix of its parameters' names
	Spec ops.Spec
	Ops  []string // one operation, or the candidates of a mixture in the order of alpha's columns
	// Partial is K of PC-DARTS: 1/K of the channels goes through the mixture, the others bypass it. 1
	// means all channels.
	Partial int64
}

// Site identifies an edge of a DAG. Edges with the same Site share their alphas, but not their network
// weights.
type Site struct {
	DAG string
	Row int // index of the edge in its DAG, in the genotype's order: the row of alpha
}

// Candidate is one operation of an edge.
type Candidate struct {
	Entry
	Column int  // its column of alpha; -1 if the edge has a single operation
	Drop   bool // whether drop path acts on it
}

// Candidates returns the operations of an edge. A mixture's null operations are left out, because they
// add nothing. It returns an error if an operation is unknown, or if the channels are not divisible by
// Partial.
func (e Edge) Candidates() ([]Candidate, error) {
	if len(e.Ops) == 1 {
		p, err := ops.Get(e.Ops[0])
		if err != nil {
			return nil, err
		}
		rounds := p.Rounds(e.Spec)
		return []Candidate{{Entry{e.At, rounds}, -1, !p.NoDrop || len(rounds) > 0}}, nil
	}
	spec := e.Spec
	if spec.C%e.Partial != 0 {
		return nil, fmt.Errorf("%d channels are not divisible by partial_channels %d", spec.C, e.Partial)
	}
	spec.C /= e.Partial
	var found []Candidate
	for k, name := range e.Ops {
		p, err := ops.Get(name)
		if err != nil {
			return nil, err
		}
		if !p.Null {
			found = append(found, Candidate{Entry{layer.Join(e.At, fmt.Sprintf("_ops.%d", k)), p.Rounds(spec)}, k, false})
		}
	}
	return found, nil
}

// DAG returns the stage's connections in the form of a genotype. A node's edges are those of both inputs
// of its cell. If the stage has no output of its own, the DAG's output is the last two states.
func (s Stage) DAG() genotype.DAG {
	n := len(s.Cells)
	d := genotype.DAG{Out: []int{n, n + 1}}
	if s.Outputs != nil {
		d.Out = s.Outputs[len(s.Outputs)-1]
	}
	for _, c := range s.Cells {
		var node genotype.Node
		for _, read := range c.Read {
			for _, e := range read {
				node.In = append(node.In, genotype.Edge{From: e.From, Op: e.Ops[0]})
			}
		}
		d.Nodes = append(d.Nodes, node)
	}
	return d
}

// AllCells yields all cells from the input to the output, reduction cells included.
func (n Network) AllCells() iter.Seq[Cell] {
	return func(yield func(Cell) bool) {
		for _, s := range n.Stages {
			for _, c := range s.Cells {
				if !yield(c) {
					return
				}
			}
			if s.Reduce != nil && !yield(*s.Reduce) {
				return
			}
		}
	}
}

// Params returns the parameters of the cell and of the stage's edges that it reads.
func (c Cell) Params() []layer.Param {
	var all []layer.Param
	edges := func(list []Edge) {
		for _, e := range list {
			candidates, _ := e.Candidates() // New has checked them
			for _, c := range candidates {
				all = append(all, layer.Under(c.At, c.Rounds.Params())...)
			}
		}
	}
	for k := range c.Read {
		edges(c.Read[k])
		all = append(all, layer.Under(c.Pre[k].At, c.Pre[k].Rounds.Params())...)
	}
	for _, node := range c.Nodes {
		edges(node)
	}
	return all
}

// Params returns all parameters of the network, in the order in which they are made and saved.
func (n Network) Params() []layer.Param {
	var all []layer.Param
	add := func(at string, l layer.Layer) { all = append(all, layer.Under(at, l.Params())...) }
	for _, l := range n.Stem {
		add(l.Name, l.Layer)
	}
	for _, s := range n.Stages {
		for _, e := range s.Entry {
			add(e.At, e.Rounds)
		}
		for _, c := range s.Cells {
			all = append(all, c.Params()...)
		}
		if s.Reduce != nil {
			all = append(all, s.Reduce.Params()...)
		}
	}
	for _, l := range append(n.Auxiliary, n.Classifier) {
		add(l.Name, l.Layer)
	}
	return all
}

// Depths returns the depth of every parameter by its name: 0 in the stem, k+1 in cell k, and the number of cells
// plus 1 in the head, which is the classifier and the auxiliary head.
func (n Network) Depths() (depths map[string]int, head int) {
	depths = map[string]int{}
	put := func(depth int, params []layer.Param) {
		for _, p := range params {
			depths[p.Name] = depth
		}
	}
	for _, l := range n.Stem {
		put(0, l.Params())
	}
	for _, s := range n.Stages {
		for _, e := range s.Entry { // belongs to the first cell of the stage
			put(head+1, layer.Under(e.At, e.Rounds.Params()))
		}
		for _, c := range s.Cells {
			head++
			put(head, c.Params())
		}
		if s.Reduce != nil {
			head++
			put(head, s.Reduce.Params())
		}
	}
	head++
	for _, l := range append(slices.Clone(n.Auxiliary), n.Classifier) {
		put(head, l.Params())
	}
	return depths, head
}

// New returns the plan of g's network for images of that shape. c lists the candidates of undecided
// edges, for a supernet. With the zero Candidates, g must have no undecided edge. New returns an error
// if the genotype, the settings or the shape do not fit each other.
func New(g genotype.Genotype, m Macro, image layer.Shape, c genotype.Candidates) (Network, error) {
	if err := validate(g, m, c); err != nil {
		return Network{}, err
	}
	p := planner{Network: &Network{Macro: m, Image: image}, g: g, search: c}
	if err := p.network(); err != nil {
		return Network{}, fmt.Errorf("network of %s for %v images: %w", g.Name, image, err)
	}
	return *p.Network, nil
}

func validate(g genotype.Genotype, m Macro, c genotype.Candidates) error {
	may := func(known func(string) bool, candidates []string) func(string) bool {
		return func(op string) bool { return known(op) || op == genotype.Any && len(candidates) > 0 }
	}
	if err := g.Validate(genotype.Ops{Cell: may(ops.InCell, c.Cell), Stage: may(ops.InStage, c.Stage)}); err != nil {
		return err
	}
	if m.Wiring == Paired && (c.Stage != nil || c.MinCells > 0) {
		return fmt.Errorf("the %s wiring cannot be searched: a relaxed input is a sum over the candidates (H-DAS eq. 1), which the wiring %s has", Paired, Summed)
	}
	if len(g.Cells) == 0 {
		return fmt.Errorf("genotype %s has stages alone, without cells; combine it with cells, as in DARTS_V1+%s", g.Name, g.Name)
	}
	return m.Validate()
}
