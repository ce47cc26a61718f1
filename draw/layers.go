package draw

import (
	"fmt"

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

type kind int

const (
	bend kind = iota // a point where an edge passes through a layer
	label
	box
)

// point is an item of a layer: a box, a label, or a point of an edge that passes through.
type point struct {
	kind          kind
	layer         int
	width, height float64
	before, after []int // the points in the previous and the next layer that it is connected with
	y             float64
}

// route is an edge as a list of points. The first and the last are boxes.
type route struct {
	points []int
	label  string
	dead   bool
}

// graph is a figure before it has coordinates. Point s is state s; the point after all states is the
// output.
type graph struct {
	points []point
	layers [][]int // points from top to bottom
	routes []route
	dead   map[int]bool
	states int
}

// maxPoints is the largest number of points, which can be laid out within seconds.
const maxPoints = 30_000

func newGraph(d genotype.DAG) (*graph, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	g := &graph{states: genotype.Inputs + len(d.Nodes), dead: map[int]bool{}}
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
	g.layers = make([][]int, 2*(deepest+1)+1)
	for _, at := range depth {
		g.add(point{kind: box, layer: 2 * at, width: boxWidth, height: boxHeight})
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
		p := &g.points[s]
		p.height = max(p.height, portGap*float64(len(p.before)+1))
	}
	return g, nil
}

func (g *graph) add(p point) int {
	g.points = append(g.points, p)
	id := len(g.points) - 1
	g.layers[p.layer] = append(g.layers[p.layer], id)
	return id
}

// connect adds an edge. Its label is in the layer before its target.
func (g *graph) connect(from, to int, name string, dead bool) {
	r := route{points: []int{from}, label: name, dead: dead}
	last := g.points[to].layer
	for at := g.points[from].layer + 1; at < last; at++ {
		p := point{kind: bend, layer: at, height: bendHeight}
		if at == last-1 && name != "" {
			p.kind, p.height, p.width = label, labelHeight, labelWidth(name)
		}
		r.points = append(r.points, g.add(p))
	}
	r.points = append(r.points, to)
	for i, id := range r.points[1:] {
		before := r.points[i]
		g.points[before].after = append(g.points[before].after, id)
		g.points[id].before = append(g.points[id].before, before)
	}
	g.routes = append(g.routes, r)
}
