package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// decision is what the genotypes of the epochs say of an edge, or of the number of cells of a stage.
type decision struct {
	DAG, What string
	Choice    string  // of the last epoch
	Since     int     // the epoch from which on it has been chosen
	Changes   int     // number of epochs that chose otherwise than the one before
	Share     float64 // of an edge that is kept: the softmax of its operation in the last epoch
	Kept      bool    // it is an edge that is kept
}

// decisions returns the decisions of a search, the latest first.
func decisions(h history, dags []Search) (list []decision) {
	for _, d := range dags {
		row := 0
		for i, n := range d.Nodes {
			for _, e := range n.In {
				r := decide(h, func(g genotype.Genotype) string { return chosen(g, d, i, e.From) })
				r.DAG, r.What, r.Kept = titleOf(d), state(e.From)+" → "+state(i+genotype.Inputs), true
				if k := slices.Index(d.Ops, r.Choice); k < 0 {
					r.Kept = false
				} else if _, p := h.softmax("alpha."+d.Name, row*len(d.Ops), len(d.Ops), d.Rows()*len(d.Ops)); len(p) > 0 {
					r.Share = p[len(p)-1][k]
				}
				list = append(list, r)
				row++
			}
		}
		if h.length("beta."+d.Name) > 1 {
			r := decide(h, func(g genotype.Genotype) string { return fmt.Sprintf("%d cells", len(dagOf(g, d).Nodes)) })
			r.DAG, r.What = titleOf(d), "number of cells"
			list = append(list, r)
		}
	}
	list = slices.DeleteFunc(list, func(r decision) bool { return r.Since == 0 })
	slices.SortStableFunc(list, func(a, b decision) int { return cmp.Compare(b.Since, a.Since) })
	return list
}

// decide returns since when the last choice holds, and how often it changed.
func decide(h history, choice func(genotype.Genotype) string) (r decision) {
	for i, epoch := range h.epochs {
		g := h.genotypeAt(i)
		if g == nil {
			continue
		}
		if now := choice(*g); r.Since == 0 {
			r.Choice, r.Since = now, epoch
		} else if now != r.Choice {
			r.Choice, r.Since = now, epoch
			r.Changes++
		}
	}
	return r
}

// dagOf returns the DAG of a genotype that a search decides as d.
func dagOf(g genotype.Genotype, d Search) genotype.DAG {
	switch {
	case d.Stages == nil:
		return g.Cells[d.Name]
	case d.Stages[0] < len(g.Stages):
		return g.Stages[d.Stages[0]].DAG
	}
	return genotype.DAG{}
}

// chosen returns the operation of the edge from a state to a node, or that the edge is not kept.
func chosen(g genotype.Genotype, d Search, node, from int) string {
	found := dagOf(g, d)
	if node >= len(found.Nodes) {
		return "no such cell"
	}
	for _, e := range found.Nodes[node].In {
		if e.From == from {
			return e.Op
		}
	}
	return "not kept"
}

// level is a kind of DAG, with the words for its nodes and for itself.
type level struct {
	stages     bool
	node, unit string
}

var levels = []level{{true, "cell", "stage"}, {false, "node", "cell"}}

// topologies returns plots of the dead nodes and of the lengths of paths in the DAGs of each epoch's genotype: of the cells
// of stages and of the nodes of cells.
func topologies(h history, dags []Search) (list []figure, err error) {
	for _, l := range levels {
		var dead, longest, mean []series
		var names []string // of the nodes that are dead after the last epoch
		for k, d := range dags {
			if (d.Stages != nil) != l.stages {
				continue
			}
			at := [3]series{}
			for i := range at {
				at[i].name, at[i].colour = titleOf(d), k
			}
			var last []int
			for i, epoch := range h.epochs {
				g := h.genotypeAt(i)
				if g == nil {
					continue
				}
				if found := dagOf(*g, d); found.Validate() == nil {
					t := found.Topology()
					last = found.Dead()
					at[0].add(epoch, float64(t.Dead))
					at[1].add(epoch, float64(t.Longest))
					at[2].add(epoch, t.Mean)
				}
			}
			for _, s := range last {
				names = append(names, fmt.Sprintf("%s %s of %s", l.node, state(s), titleOf(d)))
			}
			if len(at[0].values) > 0 {
				dead, longest, mean = append(dead, at[0]), append(longest, at[1]), append(mean, at[2])
			}
		}
		for i, p := range []struct {
			title string
			list  []series
		}{
			{fmt.Sprintf("Dead %ss, without a path to the output of their %s", l.node, l.unit), dead},
			{fmt.Sprintf("Longest path through a %s, in %ss", l.unit, l.node), longest},
			{fmt.Sprintf("Mean path through a %s, in %ss", l.unit, l.node), mean},
		} {
			if len(p.list) == 0 {
				continue
			}
			f, err := lines(p.title, p.list, 1, false)
			if err != nil {
				return list, err
			}
			if i == 0 && len(names) > 0 {
				f.Note = "after the last epoch " + strings.Join(names, ", ")
			}
			list = append(list, f)
		}
	}
	return list, nil
}
