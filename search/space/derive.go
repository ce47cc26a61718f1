package space

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// Weights are what a search learned, after the softmax or before it, as the caller compares.
type Weights struct {
	Alpha map[string][][]float64 // by DAG: a row for every edge, a column for every operation
	Beta  map[string][]float64   // by stage DAG: a weight for every candidate output
}

// Rules are what a genotype is read off by, besides the weights.
type Rules struct {
	Null func(op string) bool // carries nothing: never chosen
	Skip func(op string) bool // counts against MaxSkips
	// MaxSkips is the most skips that a searched cell keeps, reduction cells excepted (P-DARTS); -1:
	// any number. The lightest are given up, whatever comes next in their place.
	MaxSkips int
}

// Keep is the number of edges that a node keeps.
const Keep = 2

// Derive reads a genotype off: each node keeps the two edges whose best operation that is not null
// weighs most, and on each that operation; ties go to the earlier edge and the earlier operation.
// A stage keeps the cells up to its heaviest output. Edges are in the order of their states.
func (s Space) Derive(name string, w Weights, r Rules) (genotype.Genotype, error) {
	g := s.Dense
	g.Name, g.Source = name, ""
	g.Cells, g.Stages = maps.Clone(g.Cells), slices.Clone(g.Stages)
	for _, d := range s.DAGs() {
		alpha := w.Alpha[d.Name]
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
			beta := w.Beta[d.Name]
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

// choice is the best operation of an edge.
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
		// Of equal ones the last is given up.
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

// choose returns the edges that each node keeps.
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
