// Package models makes networks of genotypes. A Plan is the arithmetic of a network, without
// tensors; Build makes the Network of a Plan, derived or supernet alike.
package models

import (
	"fmt"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
)

// Plan is the arithmetic of a network: channels, resolutions, strides and reads of every cell.
type Plan struct {
	Macro  Macro
	Image  layer.Shape   // of one input sample
	Stem   []layer.Named // applied one after the other
	Stages []Stage       // joined by reduction cells
	// Auxiliary reads the output of the last reduction cell; nil without an auxiliary head.
	Auxiliary  []layer.Named
	Classifier layer.Named // reads the mean over height and width

	Cost          layer.Cost // without the auxiliary head; edges still to be searched count nothing
	AuxiliaryCost layer.Cost // of the auxiliary head alone, whether the network has it or not
}

// Stage is a DAG of cells. State 0 and 1 are its inputs, state i+2 is its cell i; then come its
// output, if it has one of its own, and the reduction cell after it, if any.
type Stage struct {
	Entry   []layer.Named // how it reads what it is given, once for each input; nil: as it is
	Cells   []Cell
	Outputs [][]int // concatenations of states; several are weighed by beta; nil: no output of its own
	Reduce  *Cell
	// Next are the two states that the next stage, or the head, receives.
	Next [2]int
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
	Pre   [2]layer.Layer // from that to C channels
	Nodes [][]Edge
	Cost  layer.Cost // edges that it reads included
}

// Edge runs one operation, or a mixture of several, on a state.
type Edge struct {
	Site
	From int
	Spec ops.Spec
	Ops  []string // one: decided; several: candidates in the order of alpha's columns
}

// Site says which edge of which DAG an edge is. Edges of one site share alphas, not weights.
type Site struct {
	DAG string
	Row int // the edge's number in its DAG, in the genotype's order
}

// DAG are the stage's connections as a genotype has them; both inputs of its cells count, and where
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

// Search says what of a genotype is to be searched: every edge whose operation is genotype.Any.
type Search struct {
	Cell, Stage []string // candidates
	// MinCells, where not 0, lets a stage of N cells end with any two neighbours from cells
	// MinCells-1 and MinCells on, counted from 1.
	MinCells int
	Shared   bool // all stages have the alphas and betas of one
}

// StageDAG is the name under which stage i, from 0, has its alphas and betas.
func (s Search) StageDAG(i int) string {
	if s.Shared {
		i = 0
	}
	return genotype.StageDAG(i)
}

// NewPlan plans the network of g for images of that shape. The zero Search plans a derived
// network; then g may have no undecided edge.
func NewPlan(g genotype.Genotype, m Macro, image layer.Shape, s Search) (Plan, error) {
	if err := validate(g, m, s); err != nil {
		return Plan{}, err
	}
	p := planner{Plan: &Plan{Macro: m, Image: image}, g: g, search: s}
	if err := p.network(); err != nil {
		return Plan{}, fmt.Errorf("network of %s for %v images: %w", g.Name, image, err)
	}
	return *p.Plan, nil
}

func validate(g genotype.Genotype, m Macro, s Search) error {
	may := func(known func(string) bool, candidates []string) func(string) bool {
		return func(op string) bool { return known(op) || op == genotype.Any && len(candidates) > 0 }
	}
	if err := g.Validate(genotype.Ops{Cell: may(ops.InCell, s.Cell), Stage: may(ops.InStage, s.Stage)}); err != nil {
		return err
	}
	if m.Wiring == Paired && (s.Stage != nil || s.MinCells > 0) {
		return fmt.Errorf("the %s wiring cannot be searched: a relaxed input is a sum over the candidates (H-DAS eq. 1), which the wiring %s has", Paired, Summed)
	}
	if len(g.Cells) == 0 {
		return fmt.Errorf("genotype %s has stages alone; name cells with it, as in DARTS_V1+%s", g.Name, g.Name)
	}
	return m.Validate()
}
