// Package plan is the arithmetic of networks: what modules the network of a genotype has, with
// their channels, resolutions, parameters and cost. It makes no tensor; package models builds the
// network of a plan.
package plan

import (
	"fmt"
	"iter"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
)

// Network is the plan of a network.
type Network struct {
	Macro  Macro
	Image  layer.Shape   // of one input sample
	Stem   []layer.Named // applied one after the other
	Stages []Stage       // joined by reduction cells
	// Auxiliary reads the output of the last reduction cell; nil without an auxiliary head.
	Auxiliary  []layer.Named
	Classifier layer.Named // reads the mean over height and width

	Cost          layer.Cost // without the auxiliary head; undecided edges count nothing
	AuxiliaryCost layer.Cost // of the auxiliary head alone, whether the network has it or not
}

// Stage is a DAG of cells. State 0 and 1 are its inputs, state i+2 is its cell i; then come its
// output, if it has one of its own, and the reduction cell after it, if any.
type Stage struct {
	Name    string  // of its DAG, under which its alphas and betas are found
	Entry   []Entry // how it reads what it is given, once for each input; nil: as it is
	Cells   []Cell
	Outputs [][]int // concatenations of states; several are weighed by beta; nil: no output of its own
	Reduce  *Cell
	// Next are the two states that the next stage, or the head, receives.
	Next [2]int
}

// Entry is an operation at a place in the network's names.
type Entry struct {
	At string
	ops.Rounds
}

// Cell is a DAG of operations. State 0 and 1 are its inputs, state i+2 is its node i.
type Cell struct {
	Index int    // through the network, reduction cells included
	Name  string // of its DAG in the genotype
	C     int64  // channels of every node
	Out   []int  // states whose concatenation is the output
	// Read are the stage's edges that each input sums. A nil second one is the same as the first.
	Read  [2][]Edge
	In    [2]layer.Shape // what each input reads
	Pre   [2]Entry       // from that to C channels
	Nodes [][]Edge
	Cost  layer.Cost // edges that it reads included
}

// Edge runs one operation, or a mixture of several, on a state.
type Edge struct {
	Site
	From int
	At   string // its place in the network's names
	Spec ops.Spec
	Ops  []string // one: decided; several: candidates in the order of alpha's columns
	// Partial: one in so many channels goes through the mixture, the others pass by (PC-DARTS); 1: all do.
	Partial int64
}

// Site says which edge of which DAG an edge is. Edges of one site share alphas, not weights.
type Site struct {
	DAG string
	Row int // the edge's number in its DAG, in the genotype's order
}

// Candidate is an operation that an edge runs.
type Candidate struct {
	Entry
	Column int  // of alpha; -1: the edge is decided
	Drop   bool // drop path acts on it
}

// Candidates are the operations of an edge that output anything: of a mixture, null ones add nothing.
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
		return nil, fmt.Errorf("%d channels do not divide by partial_channels %d", spec.C, e.Partial)
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

// DAG returns the stage's connections as a genotype has them; both inputs of its cells count, and where
// it has no output of its own, its last two states are handed on.
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

// AllCells yields every cell in the order of the data, reduction cells included.
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

// Params are the parameters of the cell and of the stage's edges that it reads.
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

// Params are all parameters of the network, in the order in which they are made and saved.
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

// New plans the network of g for images of that shape. The zero Candidates plan a derived network;
// then g may have no undecided edge.
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
		return fmt.Errorf("genotype %s has stages alone; name cells with it, as in DARTS_V1+%s", g.Name, g.Name)
	}
	return m.Validate()
}
