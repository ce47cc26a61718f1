// Package draw draws genotypes, as SVG or in pixels: cells and stages from left to right, in the colours of the H-DAS paper; and those
// of the epochs of a search as an animation.
package draw

import (
	"fmt"
	"image"
	"io"

	"hdas/models/genotype"
)

// palette holds the fill colours of a figure's boxes.
type palette struct{ input, node, output string }

var (
	cellColours  = palette{"#b4eeb4", "#add8e6", "#eee8aa"} // darkseagreen2, lightblue, palegoldenrod
	stageColours = palette{"#ffb90f", "#ff6a6a", "#e0eee0"} // darkgoldenrod1, indianred1, honeydew2
)

// Cell writes an SVG document with one cell below its name. It returns an error if an edge reads a state
// that does not exist, or if the DAG has too many edges for a drawing.
func Cell(w io.Writer, name string, d genotype.DAG) error {
	f, err := cellFigure(name, d)
	if err != nil {
		return err
	}
	return sheet{rows: [][]figure{{f}}}.write(w)
}

// Stage writes an SVG document with one stage below its name and its path statistics (genotype.Topology).
// It returns the same errors as Cell.
func Stage(w io.Writer, name string, s genotype.Stage) error {
	f, err := stageFigure(name, s)
	if err != nil {
		return err
	}
	return sheet{rows: [][]figure{{f}}}.write(w)
}

// Genotype writes an SVG document with all cells and stages of g, in the order of the network. It returns
// the same errors as Cell.
func Genotype(w io.Writer, g genotype.Genotype) error { return new(Drawer).Genotype(w, g) }

// Drawer draws several genotypes. Cells and stages that they have in common are laid out once. The zero value is ready.
type Drawer struct{ figures map[string]figure }

// Genotype is the function Genotype.
func (d *Drawer) Genotype(w io.Writer, g genotype.Genotype) error {
	s, err := d.sheet(g)
	if err != nil {
		return err
	}
	return s.write(w)
}

// Picture returns the drawing of a genotype in pixels. It returns the same errors as Cell.
func (d *Drawer) Picture(g genotype.Genotype) (image.Image, error) {
	s, err := d.sheet(g)
	if err != nil {
		return nil, err
	}
	_, width, height := s.place()
	return newPainter(width, height).sheet(s), nil
}

// sheet returns the sheet of a genotype.
func (d *Drawer) sheet(g genotype.Genotype) (sheet, error) {
	s := sheet{title: g.Name, note: g.Source}
	var cells []figure
	for _, name := range g.CellNames() {
		cell := g.Cells[name]
		f, err := d.figure(fmt.Sprintf("%q %v", name, cell), func() (figure, error) { return cellFigure(name, cell) })
		if err != nil {
			return s, err
		}
		cells = append(cells, f)
	}
	s.flow(cells)
	for i, stage := range g.Stages {
		name := fmt.Sprintf("stage %d", i+1)
		f, err := d.figure(fmt.Sprintf("%q %q %q %v", name, stage.Cell, stage.Reduce, stage.DAG), func() (figure, error) { return stageFigure(name, stage) })
		if err != nil {
			return s, err
		}
		s.flow([]figure{f})
	}
	return s, nil
}

// figure returns the figure of that key, which is laid out the first time.
func (d *Drawer) figure(key string, layOut func() (figure, error)) (figure, error) {
	if f, known := d.figures[key]; known {
		return f, nil
	}
	f, err := layOut()
	if err != nil {
		return f, err
	}
	if d.figures == nil {
		d.figures = map[string]figure{}
	}
	f.key = key
	d.figures[key] = f
	return f, nil
}

func cellFigure(name string, d genotype.DAG) (figure, error) {
	f, err := newFigure(d, cellColours)
	if err != nil {
		return f, fmt.Errorf("draw cell %s: %w", name, err)
	}
	f.title = name
	return f, nil
}

func stageFigure(name string, s genotype.Stage) (figure, error) {
	f, err := newFigure(s.DAG, stageColours)
	if err != nil {
		return f, fmt.Errorf("draw %s: %w", name, err)
	}
	t := s.Topology()
	f.title = name
	f.note = fmt.Sprintf("%d × %s", t.Cells, s.Cell)
	if s.Reduce != "" {
		f.note += ", then " + s.Reduce
	}
	f.note += fmt.Sprintf(" · %d dead · longest path %d · mean path %.3f", t.Dead, t.Longest, t.Mean)
	return f, nil
}
