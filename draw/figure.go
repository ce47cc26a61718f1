package draw

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"hdas/models/genotype"
)

// figure is the drawing of one DAG. Coordinates are in pixels from its upper left corner.
type figure struct {
	title, note   string
	boxes         []shape
	labels        []shape
	curves        []curve
	width, height float64
}

// shape is a rectangle with text; x and y are its centre.
type shape struct {
	x, y, width, height float64
	text, sub           string // sub is a subscript
	fill                string
	dead                bool
}

// curve is an edge between two states; its arrowhead is at (x,y).
type curve struct {
	from, to int
	path     string
	x, y     float64
	dead     bool
}

// Widths of the gaps between layers in pixels. A gap is wider if its edges are steeper.
const (
	leastGap, mostGap = 20, 80
	slope             = 0.3
	arrow             = 7
)

func newFigure(d genotype.DAG, c palette) (figure, error) {
	g, err := newGraph(d)
	if err != nil {
		return figure{}, err
	}
	g.order()
	g.place()
	left, right := g.columns()
	f := figure{width: right[len(right)-1]}
	for _, p := range g.points {
		f.height = max(f.height, p.y+p.height/2)
	}
	for s, p := range g.points[:g.states+1] {
		b := shape{x: (left[p.layer] + right[p.layer]) / 2, y: p.y, width: p.width, height: p.height, dead: g.dead[s]}
		switch {
		case s < genotype.Inputs:
			b.text, b.sub, b.fill = "c", fmt.Sprintf("k−%d", genotype.Inputs-s), c.input
		case s < g.states:
			b.text, b.fill = fmt.Sprint(s-genotype.Inputs), c.node
		default:
			b.text, b.sub, b.fill = "c", "k", c.output
		}
		f.boxes = append(f.boxes, b)
	}
	ports := g.ports()
	for i, r := range g.routes {
		f.curves = append(f.curves, g.curve(r, ports[i], left, right))
		if r.label != "" {
			p := g.points[r.points[len(r.points)-2]]
			f.labels = append(f.labels, shape{x: (left[p.layer] + right[p.layer]) / 2, y: p.y, width: p.width, height: p.height, text: r.label, dead: r.dead})
		}
	}
	return f, nil
}

// columns returns the x of the left and right side of each layer.
func (g *graph) columns() (left, right []float64) {
	left, right = make([]float64, len(g.layers)), make([]float64, len(g.layers))
	x := 0.0
	for i, l := range g.layers {
		width, steep := 0.0, 0.0
		for _, id := range l {
			width = max(width, g.points[id].width)
			for _, next := range g.points[id].after {
				steep = max(steep, math.Abs(g.points[next].y-g.points[id].y))
			}
		}
		left[i], right[i] = x, x+width
		x = right[i] + min(mostGap, leastGap+slope*steep)
	}
	return left, right
}

// ports returns the y at which each route reaches its target. Routes to the same target are spread over
// its side, sorted by the y from which they come.
func (g *graph) ports() []float64 {
	at := make([]float64, len(g.routes))
	arriving := map[int][]int{}
	for i, r := range g.routes {
		to := r.points[len(r.points)-1]
		arriving[to] = append(arriving[to], i)
	}
	for to, routes := range arriving {
		slices.SortStableFunc(routes, func(a, b int) int {
			y := func(i int) float64 { p := g.routes[i].points; return g.points[p[len(p)-2]].y }
			return cmp.Compare(y(a), y(b))
		})
		for k, i := range routes {
			at[i] = g.points[to].y + portGap*(float64(k)-float64(len(routes)-1)/2)
		}
	}
	return at
}

// curve returns the curve of a route: horizontal within a layer, and an S-shaped Bezier curve between
// layers.
func (g *graph) curve(r route, port float64, left, right []float64) curve {
	last := len(r.points) - 1
	c := curve{from: r.points[0], to: r.points[last], dead: r.dead, y: port}
	p := g.points[r.points[0]]
	x, y := right[p.layer], p.y
	c.path = "M" + number(x) + " " + number(y)
	for i, id := range r.points[1:] {
		q := g.points[id]
		if i+1 < last && left[q.layer] == right[q.layer] {
			continue // a layer without width has nothing to pass by
		}
		tox, toy := left[q.layer], q.y
		if i+1 == last {
			c.x, tox, toy = left[q.layer], left[q.layer]-arrow+1, port
		}
		half := (x + tox) / 2
		if toy == y {
			c.path += "H" + number(tox)
		} else {
			c.path += "C" + number(half) + " " + number(y) + " " + number(half) + " " + number(toy) + " " + number(tox) + " " + number(toy)
		}
		x, y = right[q.layer], toy
		if i+1 < last && x > tox {
			c.path += "H" + number(x)
		}
	}
	return c
}
