// Package draw draws genotypes as SVG: cells and stages from left to right, in the paper's
// colours.
package draw

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// palette is the paper's: X11's names in the comments.
type palette struct{ input, node, output string }

var (
	cellColours  = palette{"#b4eeb4", "#add8e6", "#eee8aa"} // darkseagreen2, lightblue, palegoldenrod
	stageColours = palette{"#ffb90f", "#ff6a6a", "#e0eee0"} // darkgoldenrod1, indianred1, honeydew2
)

// Sizes in pixels.
const (
	boxWidth, boxHeight = 64, 34
	columnGap           = 200 // between the left sides of neighbouring columns, and room for a label
	rowGap              = 80
	margin              = 24
	titleHeight         = 34
)

// Genotype draws all cells and stages of a genotype on one sheet, one below the other.
func Genotype(w io.Writer, g genotype.Genotype) error {
	var figures []figure
	for _, name := range slices.Sorted(maps.Keys(g.Cells)) {
		figures = append(figures, layout(name, g.Cells[name], cellColours))
	}
	for i, s := range g.Stages {
		figures = append(figures, stage(i, s))
	}
	return sheet(w, g.Name, figures)
}

// Cell draws one cell.
func Cell(w io.Writer, name string, d genotype.DAG) error {
	return sheet(w, "", []figure{layout(name, d, cellColours)})
}

// Stage draws stage i, from 0.
func Stage(w io.Writer, i int, s genotype.Stage) error {
	return sheet(w, "", []figure{stage(i, s)})
}

func stage(i int, s genotype.Stage) figure {
	t := s.Topology()
	title := fmt.Sprintf("stage %d: %d cells, %d dead, longest path %d, mean path %.3f", i+1, t.Cells, t.Dead, t.Longest, t.Mean)
	return layout(title, s.DAG, stageColours)
}

// figure is one DAG laid out, its upper left corner at (0,0).
type figure struct {
	title         string
	boxes         []box
	curves        []curve
	width, height float64
}

type box struct {
	x, y        float64 // upper left corner
	label, fill string
	dead        bool
}

type curve struct {
	path           string
	labelX, labelY float64
	label          string
	dead           bool
}

// layout puts every state into the column of its depth, the longest way from an input, and the
// states of a column above one another. Long edges run above or below the boxes between.
func layout(title string, d genotype.DAG, c palette) figure {
	f := figure{title: title}
	n := genotype.Inputs + len(d.Nodes)
	depth := make([]int, n)
	for i, node := range d.Nodes {
		depth[i+genotype.Inputs] = 1
		for _, e := range node.In {
			depth[i+genotype.Inputs] = max(depth[i+genotype.Inputs], depth[e.From]+1)
		}
	}
	last := slices.Max(depth) + 1
	rows := make([][]int, last)
	for s, at := range depth {
		rows[at] = append(rows[at], s)
	}
	tallest := 0
	for _, column := range rows {
		tallest = max(tallest, len(column))
	}
	// Half a row up and down leaves the long edges of the outermost rows some room.
	f.height = float64(tallest+1) * rowGap
	f.width = float64(last*columnGap + boxWidth)
	dead := d.Dead()
	f.boxes = make([]box, n+1)
	for at, column := range rows {
		for k, s := range column {
			label, fill := fmt.Sprint(s-genotype.Inputs), c.node
			switch s {
			case 0:
				label, fill = "c_{k-2}", c.input
			case 1:
				label, fill = "c_{k-1}", c.input
			}
			y := f.height/2 + (float64(k)-float64(len(column)-1)/2)*rowGap
			// Neighbouring columns are shifted against each other, or edges would run through boxes.
			if at%2 == 1 && len(column) == tallest && tallest > 1 {
				y += rowGap / 4
			} else if at%2 == 1 && at > 0 {
				y -= rowGap / 4
			}
			f.boxes[s] = box{x: float64(at * columnGap), y: y - boxHeight/2, label: label, fill: fill, dead: slices.Contains(dead, s)}
		}
	}
	f.boxes[n] = box{x: float64(last * columnGap), y: f.height/2 - boxHeight/2, label: "c_{k}", fill: c.output}
	for i, node := range d.Nodes {
		to := i + genotype.Inputs
		for j, e := range node.In {
			f.curves = append(f.curves, f.edge(e.From, to, j, len(node.In), e.Op, slices.Contains(dead, to)))
		}
	}
	for j, s := range d.Out {
		f.curves = append(f.curves, f.edge(s, n, j, len(d.Out), "", false))
	}
	return f
}

// edge is the curve from a box's right side to another's left side, arriving at place j of n.
func (f *figure) edge(from, to, j, n int, label string, dead bool) curve {
	a, b := f.boxes[from], f.boxes[to]
	x0, y0 := a.x+boxWidth, a.y+boxHeight/2
	x1, y1 := b.x-4, b.y+boxHeight/2+(float64(j)-float64(n-1)/2)*min(12, boxHeight/float64(max(n, 1)))
	reach := (x1 - x0) / 2
	c0, c1 := y0, y1
	// A curve that would run through a box bends away, up or down, further until none is in its way.
	for bend := 0.0; bend <= 4*rowGap; bend += rowGap / 4 {
		if f.clear(x0, y0, x1, y1, reach, y0-bend, y1-bend, from, to) {
			c0, c1 = y0-bend, y1-bend
			break
		}
		if f.clear(x0, y0, x1, y1, reach, y0+bend, y1+bend, from, to) {
			c0, c1 = y0+bend, y1+bend
			break
		}
	}
	lx, ly := f.place(label, func(t float64) (float64, float64) {
		return bezier(t, x0, x0+reach, x1-reach, x1), bezier(t, y0, c0, c1, y1)
	})
	return curve{fmt.Sprintf("M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", x0, y0, x0+reach, c0, x1-reach, c1, x1, y1), lx, ly, label, dead}
}

// place finds a place for a label along a curve where no other label and no box is, near the
// middle; where there is none, the middle.
func (f *figure) place(label string, at func(t float64) (x, y float64)) (x, y float64) {
	half := 3 * float64(len(label))
	for _, t := range []float64{0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8} {
		x, y = at(t)
		taken := func(left, right, top, bottom float64) bool {
			return x+half > left && x-half < right && y+3 > top && y-9 < bottom
		}
		if !slices.ContainsFunc(f.curves, func(c curve) bool {
			other := 3 * float64(len(c.label))
			return c.label != "" && taken(c.labelX-other, c.labelX+other, c.labelY-9, c.labelY+3)
		}) && !slices.ContainsFunc(f.boxes, func(b box) bool {
			return b.label != "" && taken(b.x, b.x+boxWidth, b.y, b.y+boxHeight)
		}) {
			return x, y
		}
	}
	return at(0.5)
}

func (f *figure) clear(x0, y0, x1, y1, reach, c0, c1 float64, from, to int) bool {
	for s, b := range f.boxes {
		if s == from || s == to || b.label == "" {
			continue
		}
		for t := 0.02; t < 1; t += 0.02 {
			x, y := bezier(t, x0, x0+reach, x1-reach, x1), bezier(t, y0, c0, c1, y1)
			if x > b.x-6 && x < b.x+boxWidth+6 && y > b.y-8 && y < b.y+boxHeight+8 {
				return false
			}
		}
	}
	return true
}

func bezier(t, a, b, c, d float64) float64 {
	u := 1 - t
	return u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*d
}

// sheet writes figures below one another.
func sheet(w io.Writer, title string, figures []figure) error {
	var b strings.Builder
	width, height := 360.0, float64(margin)
	for _, f := range figures {
		width = max(width, f.width, 7.5*float64(len(f.title)))
		height += titleHeight + f.height + margin
	}
	if title != "" {
		height += titleHeight
		width = max(width, 11*float64(len(title)))
	}
	width += 2 * margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Helvetica,Arial,sans-serif" font-size="13">`+"\n", width, height, width, height)
	b.WriteString(`<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
	y := float64(margin)
	if title != "" {
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" font-size="20" font-weight="bold">%s</text>`+"\n", margin, y+12, escape(title))
		y += titleHeight
	}
	for _, f := range figures {
		f.write(&b, margin, y)
		y += titleHeight + f.height + margin
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *figure) write(b *strings.Builder, x, y float64) {
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" font-size="15" font-weight="bold" fill="#333">%s</text>`+"\n", x, y+14, escape(f.title))
	fmt.Fprintf(b, `<g transform="translate(%.0f %.0f)">`+"\n", x, y+titleHeight)
	for _, c := range f.curves {
		style := ""
		if c.dead {
			style = ` stroke-dasharray="5 4" opacity="0.5"`
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#555" stroke-width="1.3" marker-end="url(#arrow)"%s/>`+"\n", c.path, style)
	}
	for _, s := range f.boxes {
		style := ""
		if s.dead {
			style = ` stroke-dasharray="5 4" opacity="0.5"`
		}
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%d" height="%d" rx="6" fill="%s" stroke="#333"%s/>`, s.x, s.y, boxWidth, boxHeight, s.fill, style)
		label := s.label
		if s.dead {
			label += " dead"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", s.x+boxWidth/2, s.y+boxHeight/2+5, subscript(label))
	}
	for _, c := range f.curves {
		if c.label != "" {
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="10.5" stroke="white" stroke-width="3" paint-order="stroke" fill="#222">%s</text>`+"\n", c.labelX, c.labelY, escape(c.label))
		}
	}
	b.WriteString("</g>\n")
}

// subscript sets what is between _{ and } lower.
func subscript(s string) string {
	head, rest, ok := strings.Cut(s, "_{")
	if !ok {
		return escape(s)
	}
	sub, tail, _ := strings.Cut(rest, "}")
	return escape(head) + `<tspan dy="4" font-size="10">` + escape(sub) + `</tspan>` + escape(tail)
}

func escape(s string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(s)) != nil {
		return ""
	}
	return b.String()
}
