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
	key           string // the same for figures that are alike
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
	start    point
	segments []segment
	x, y     float64
	dead     bool
}

type point struct{ x, y float64 }

// segment leads to a point: a straight line or, if bend is true, a Bezier curve that is horizontal at both ends and
// half of the way steep.
type segment struct {
	to   point
	bend bool
}

// controls returns the control points of a bent segment from a point.
func (s segment) controls(from point) (a, b point) {
	half := (from.x + s.to.x) / 2
	return point{half, from.y}, point{half, s.to.y}
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
	g.Arrange()
	left, right := g.columns()
	f := figure{width: right[len(right)-1]}
	for _, p := range g.Points {
		f.height = max(f.height, p.At+p.Size/2)
	}
	for s := range g.states + 1 {
		b := g.shape(s, left, right)
		b.dead = g.dead[s]
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
	for i, r := range g.Routes {
		l := g.labels[i]
		f.curves = append(f.curves, g.curve(r, l.dead, ports[i], left, right))
		if l.text != "" {
			b := g.shape(r[len(r)-2], left, right)
			b.text, b.dead = l.text, l.dead
			f.labels = append(f.labels, b)
		}
	}
	return f, nil
}

// shape returns the rectangle of a point.
func (g *graph) shape(id int, left, right []float64) shape {
	p := g.Points[id]
	return shape{x: (left[p.Layer] + right[p.Layer]) / 2, y: p.At, width: g.widths[id], height: p.Size}
}

// columns returns the x of the left and right side of each layer.
func (g *graph) columns() (left, right []float64) {
	left, right = make([]float64, len(g.Layers)), make([]float64, len(g.Layers))
	x := 0.0
	for i, l := range g.Layers {
		width, steep := 0.0, 0.0
		for _, id := range l {
			width = max(width, g.widths[id])
			for _, next := range g.Points[id].After {
				steep = max(steep, math.Abs(g.Points[next].At-g.Points[id].At))
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
	at := make([]float64, len(g.Routes))
	arriving := map[int][]int{}
	for i, r := range g.Routes {
		to := r[len(r)-1]
		arriving[to] = append(arriving[to], i)
	}
	for to, routes := range arriving {
		slices.SortStableFunc(routes, func(a, b int) int {
			y := func(i int) float64 { p := g.Routes[i]; return g.Points[p[len(p)-2]].At }
			return cmp.Compare(y(a), y(b))
		})
		for k, i := range routes {
			at[i] = g.Points[to].At + portGap*(float64(k)-float64(len(routes)-1)/2)
		}
	}
	return at
}

// curve returns the curve of a route: horizontal within a layer, and an S-shaped Bezier curve between
// layers.
func (g *graph) curve(r []int, dead bool, port float64, left, right []float64) curve {
	last := len(r) - 1
	c := curve{from: r[0], to: r[last], dead: dead, y: port}
	p := g.Points[r[0]]
	x, y := right[p.Layer], p.At
	c.start = point{x, y}
	for i, id := range r[1:] {
		q := g.Points[id]
		if i+1 < last && left[q.Layer] == right[q.Layer] {
			continue // a layer without width has nothing to pass by
		}
		tox, toy := left[q.Layer], q.At
		if i+1 == last {
			c.x, tox, toy = left[q.Layer], left[q.Layer]-arrow+1, port
		}
		c.segments = append(c.segments, segment{point{tox, toy}, toy != y})
		x, y = right[q.Layer], toy
		if i+1 < last && x > tox {
			c.segments = append(c.segments, segment{to: point{x, y}})
		}
	}
	return c
}
