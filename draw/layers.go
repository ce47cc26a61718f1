package draw

import (
	"fmt"

	"hdas/internal/layered"
	"hdas/models/genotype"
)

// A figure consists of layers from left to right. Layer 2d has the boxes of depth d, and the layers
// between them have the labels of edges. An edge has a point in every layer between its two boxes; one of
// these points is its label. Points in a layer do not overlap, so an edge never crosses a box or a label.
// Edges cross each other only between layers.

// Sizes in pixels.
const (
	boxWidth, boxHeight = 50, 36
	portGap             = 11 // between arrowheads at one box
	labelHeight         = 19
	bendHeight          = 8
	rowGap              = 9  // smallest distance between points in a layer
	boxGap              = 18 // smallest distance between two boxes in a layer
)

// graph is a figure before it has coordinates. Point s is state s; the point after all states is the
// output.
type graph struct {
	layered.Graph
	widths map[int]float64 // widths of boxes and labels, by point
	labels []label         // labels of the routes
	dead   map[int]bool
	states int
}

// label is the text on an edge.
type label struct {
	text string
	dead bool
}

// maxPoints is the largest number of points, which can be laid out within seconds.
const maxPoints = 30_000

func newGraph(d genotype.DAG) (*graph, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	g := &graph{states: genotype.Inputs + len(d.Nodes), widths: map[int]float64{}, dead: map[int]bool{}}
	g.Gap, g.BoxGap = rowGap, boxGap
	for _, s := range d.Dead() {
		g.dead[s] = true
	}
	depth := make([]int, g.states+1)
	deepest := 0
	for i, n := range d.Nodes {
		at := 1
		for _, e := range n.In {
			at = max(at, depth[e.From]+1)
		}
		depth[i+genotype.Inputs], deepest = at, max(deepest, at)
	}
	depth[g.states] = deepest + 1
	need := 0
	for i, n := range d.Nodes {
		for _, e := range n.In {
			need += 2 * (depth[i+genotype.Inputs] - depth[e.From])
		}
	}
	for _, s := range d.Out {
		need += 2 * (depth[g.states] - depth[s])
	}
	if need > maxPoints {
		return nil, fmt.Errorf("the edges of its %d nodes pass through %d columns in total, but a drawing has room for %d; draw fewer nodes", len(d.Nodes), need, maxPoints)
	}
	for _, at := range depth {
		g.widths[g.Add(layered.Point{Box: true, Layer: 2 * at, Size: boxHeight})] = boxWidth
	}
	for i, n := range d.Nodes {
		for _, e := range n.In {
			to := i + genotype.Inputs
			g.connect(e.From, to, e.Op, g.dead[to])
		}
	}
	for _, s := range d.Out {
		g.connect(s, g.states, "", false)
	}
	for s := range g.states + 1 {
		p := &g.Points[s]
		p.Size = max(p.Size, portGap*float64(len(p.Before)+1))
	}
	return g, nil
}

// connect adds an edge. Its label is in the layer before its target.
func (g *graph) connect(from, to int, name string, dead bool) {
	last := g.Points[to].Layer - 1
	g.Connect(from, to, func(layer int) layered.Point {
		if layer == last && name != "" {
			g.widths[len(g.Points)] = labelWidth(name)
			return layered.Point{Size: labelHeight}
		}
		return layered.Point{Size: bendHeight}
	})
	g.labels = append(g.labels, label{name, dead})
}
