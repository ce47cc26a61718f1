package space

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// Parameters holds the values of the architecture parameters that a derivation compares: after the
// softmax or before it, as the caller chooses.
type Parameters struct {
	Alpha map[string][][]float64 // by DAG name: a row for every edge, a column for every operation
	Beta  map[string][]float64   // by name of a stage's DAG: a value for every candidate output
}

// Rules are the settings of a derivation.
type Rules struct {
	Null func(op string) bool // the operation outputs zero, as `none` does; it is never chosen
	Skip func(op string) bool // the operation is a skip connection and counts against MaxSkips
	// MaxSkips is the largest number of skip connections in a searched normal cell (P-DARTS); -1: no
	// limit. The skips of the smallest value are replaced by the next best operation or edge.
	MaxSkips int
}

// Keep is the number of edges that a node keeps.
const Keep = 2

// Derive returns the genotype of that name that the parameters select. The score of an edge is the
// largest value among its operations that are not null, and its operation is the one with that
// value. Each node keeps the two edges of the highest score; ties go to the earlier edge and the
// earlier operation. A stage keeps its cells up to the candidate output of the largest beta. The
// edges of a node are in the order of the states that they read. A parameter of the wrong size is an error.
func (s Space) Derive(name string, p Parameters, r Rules) (genotype.Genotype, error) {
	g := s.Dense
	g.Name, g.Source = name, ""
	g.Cells, g.Stages = maps.Clone(g.Cells), slices.Clone(g.Stages)
	for _, d := range s.DAGs() {
		alpha := p.Alpha[d.Name]
		if len(alpha) != d.Rows() {
			return g, fmt.Errorf("derive %s: %d rows of weights, not %d", d.Name, len(alpha), d.Rows())
		}
		derived, err := derive(d, alpha, r)
		if err != nil {
			return g, fmt.Errorf("derive %s: %w", d.Name, err)
		}
		if d.Stages == nil {
			g.Cells[d.Name] = derived
		} else if s.MinCells > 0 {
			beta := p.Beta[d.Name]
			if len(beta) != s.Pairs(len(d.Nodes)) {
				return g, fmt.Errorf("derive %s: %d output weights, not %d", d.Name, len(beta), s.Pairs(len(d.Nodes)))
			}
			n := s.MinCells + argmax(beta)
			derived.Nodes, derived.Out = derived.Nodes[:n], []int{n, n + 1}
		}
		for _, i := range d.Stages {
			g.Stages[i].DAG = derived
		}
	}
	return g, nil
}

// choice is an edge with its best operation.
type choice struct {
	genotype.Edge
	row, column int // of alpha
	weight      float64
}

func derive(d DAG, alpha [][]float64, r Rules) (genotype.DAG, error) {
	limited := d.Stages == nil && r.MaxSkips >= 0 && !strings.HasPrefix(d.Name, "reduce")
	for {
		nodes, err := choose(d, alpha, r.Null)
		if err != nil {
			return genotype.DAG{}, err
		}
		var skips []choice
		for _, c := range slices.Concat(nodes...) {
			if limited && r.Skip(c.Op) {
				skips = append(skips, c)
			}
		}
		if !limited || len(skips) <= r.MaxSkips {
			return decided(d, nodes), nil
		}
		// Among equal values, the last skip is removed.
		lightest := skips[0]
		for _, c := range skips {
			if c.weight <= lightest.weight {
				lightest = c
			}
		}
		alpha = slices.Clone(alpha)
		alpha[lightest.row] = slices.Clone(alpha[lightest.row])
		alpha[lightest.row][lightest.column] = math.Inf(-1)
	}
}

// choose returns the edges that each node keeps, by node.
func choose(d DAG, alpha [][]float64, null func(op string) bool) ([][]choice, error) {
	var nodes [][]choice
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
				return nil, fmt.Errorf("no candidate but %v", d.Ops)
			}
			choices = append(choices, choice{genotype.Edge{From: e.From, Op: d.Ops[best]}, row, best, alpha[row][best]})
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
		nodes = append(nodes, choices)
	}
	return nodes, nil
}

func decided(d DAG, nodes [][]choice) genotype.DAG {
	out := genotype.DAG{Out: d.Out}
	for _, choices := range nodes {
		var node genotype.Node
		for _, c := range choices {
			node.In = append(node.In, c.Edge)
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out
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
