package genotype

import (
	"fmt"
	"slices"
	"strings"
)

// Combine returns a genotype with the cells of one genotype and the stages of another. The result
// shares no memory with either. If the cells are stage-specific, "normal" in stage s, counted from 1,
// becomes normal{s}, and "reduce" becomes reduce{s}. It is an error if the stages' genotype has other
// cells of its own, because the stages were found for those.
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

// resolve returns the name of the cell that a name in stage i, counted from 0, refers to.
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
