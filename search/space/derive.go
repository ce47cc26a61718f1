package space

import (
	"fmt"
	"maps"
	"slices"

	"hdas/models/genotype"
)

// Weights are what a search learned, after the softmax or before it, as the caller compares.
type Weights struct {
	Alpha map[string][][]float64 // by DAG: a row for every edge, a column for every operation
	Beta  map[string][]float64   // by stage DAG: a weight for every candidate output
}

// Keep is the number of edges that a node keeps.
const Keep = 2

// Derive reads a genotype off: each node keeps the two edges whose best operation that is not null
// weighs most, and on each that operation; ties go to the earlier edge and the earlier operation.
// A stage keeps the cells up to its heaviest output. Edges are in the order of their states.
func (s Space) Derive(name string, w Weights, null func(op string) bool) (genotype.Genotype, error) {
	g := s.Dense
	g.Name, g.Source = name, ""
	g.Cells, g.Stages = maps.Clone(g.Cells), slices.Clone(g.Stages)
	for _, d := range s.DAGs() {
		derived, err := derive(d, w.Alpha[d.Name], null)
		if err != nil {
			return g, fmt.Errorf("derive %s: %w", d.Name, err)
		}
		if d.Stage < 0 {
			g.Cells[d.Name] = derived
			continue
		}
		if s.MinCells > 0 {
			beta := w.Beta[d.Name]
			if len(beta) != s.Pairs(len(d.Nodes)) {
				return g, fmt.Errorf("derive %s: %d output weights, not %d", d.Name, len(beta), s.Pairs(len(d.Nodes)))
			}
			n := s.MinCells + argmax(beta)
			derived.Nodes, derived.Out = derived.Nodes[:n], []int{n, n + 1}
		}
		g.Stages[d.Stage].DAG = derived
	}
	return g, nil
}

func derive(d DAG, alpha [][]float64, null func(op string) bool) (genotype.DAG, error) {
	if len(alpha) != d.Rows() {
		return genotype.DAG{}, fmt.Errorf("%d rows of weights, not %d", len(alpha), d.Rows())
	}
	type choice struct {
		genotype.Edge
		weight float64
	}
	out := genotype.DAG{Out: d.Out}
	row := 0
	for _, n := range d.Nodes {
		var choices []choice
		for _, e := range n.In {
			best := -1
			for k, op := range d.Ops {
				if !null(op) && (best < 0 || alpha[row][k] > alpha[row][best]) {
					best = k
				}
			}
			if best < 0 {
				return out, fmt.Errorf("no candidate but %v", d.Ops)
			}
			choices = append(choices, choice{genotype.Edge{From: e.From, Op: d.Ops[best]}, alpha[row][best]})
			row++
		}
		slices.SortStableFunc(choices, func(a, b choice) int {
			switch {
			case a.weight > b.weight:
				return -1
			case a.weight < b.weight:
				return 1
			}
			return 0
		})
		choices = choices[:min(Keep, len(choices))]
		slices.SortStableFunc(choices, func(a, b choice) int { return a.From - b.From })
		var node genotype.Node
		for _, c := range choices {
			node.In = append(node.In, c.Edge)
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out, nil
}

func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}
