package genotype

import (
	"fmt"
	"slices"
	"strings"
)

// Combine puts the stages of one genotype over the cells of another, and shares no memory with
// either. Where the cells are stage-specific, "normal" in stage s, from 1, stands for normal{s} and
// "reduce" for reduce{s}. Stages that come with other cells of their own are an error: they were
// found over those.
func Combine(cells, stages Genotype) (Genotype, error) {
	var f faults
	if len(cells.Cells) == 0 {
		f.add(cells.Name, "has no cells to put stages over")
	}
	if len(stages.Stages) == 0 {
		f.add(stages.Name, "has no stages to put over cells")
	}
	for _, name := range stages.CellNames() {
		if d, ok := cells.Cells[name]; len(cells.Cells) > 0 && (!ok || !d.equal(stages.Cells[name])) {
			f.add(stages.Name, "has a cell %s of its own, which %s does not have; remove cells from the one or use the other alone", name, cells.Name)
		}
	}
	g := Genotype{Version: Version, Name: cells.Name + "+" + stages.Name, Cells: map[string]DAG{}}
	for name, d := range cells.Cells {
		g.Cells[name] = d.clone()
	}
	sources := slices.DeleteFunc([]string{cells.Source, stages.Source}, func(s string) bool { return s == "" })
	g.Source = strings.Join(slices.Compact(sources), "; ")
	if len(f) == 0 {
		for i, s := range stages.Stages {
			s.DAG = s.DAG.clone()
			s.Cell = g.resolve(&f, fmt.Sprintf("stages[%d].cell", i), s.Cell, i)
			if s.Reduce != "" {
				s.Reduce = g.resolve(&f, fmt.Sprintf("stages[%d].reduce", i), s.Reduce, i)
			}
			g.Stages = append(g.Stages, s)
		}
	}
	if err := f.join(); err != nil {
		return Genotype{}, fmt.Errorf("combine %s and %s: %w", cells.Name, stages.Name, err)
	}
	return g, nil
}

// resolve is the cell that a name in stage i, from 0, means.
func (g Genotype) resolve(f *faults, place, name string, i int) string {
	own := fmt.Sprintf("%s%d", name, i+1)
	switch {
	case g.has(name):
		return name
	case g.has(own):
		return own
	case name == "":
		f.add(place, "is missing")
	default:
		f.add(place, "is %q, but there is no cell %s or %s; the cells are %s", name, name, own, strings.Join(g.CellNames(), ", "))
	}
	return name
}
