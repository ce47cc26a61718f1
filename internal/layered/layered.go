// Package layered computes the layout of graphs whose nodes are in layers: the order of the points in each
// layer and their coordinates, so that few edges cross and most are straight.
package layered

// Point is an item of a layer: a box, or the point where an edge passes through the layer.
type Point struct {
	Layer         int
	Box           bool
	Size          float64 // its extent along the layer
	Before, After []int   // the connected points in the previous and the next layer
	At            float64 // the coordinate of its centre along the layer, which Arrange computes
}

// Graph is a graph in layers. Add all boxes before the first edge.
type Graph struct {
	Points      []Point
	Layers      [][]int // the points of each layer, in their order
	Routes      [][]int // the points of each edge, from box to box
	Gap, BoxGap float64 // smallest distance between two points in a layer, and between two boxes
}

// Add adds a point to its layer and returns its index in Points.
func (g *Graph) Add(p Point) int {
	for len(g.Layers) <= p.Layer {
		g.Layers = append(g.Layers, nil)
	}
	g.Points = append(g.Points, p)
	id := len(g.Points) - 1
	g.Layers[p.Layer] = append(g.Layers[p.Layer], id)
	return id
}

// Connect adds an edge from a box to a box in a later layer. bend returns the edge's point for each layer
// between them; Connect sets its Layer, Before and After.
func (g *Graph) Connect(from, to int, bend func(layer int) Point) {
	route := []int{from}
	for at := g.Points[from].Layer + 1; at < g.Points[to].Layer; at++ {
		p := bend(at)
		p.Layer = at
		route = append(route, g.Add(p))
	}
	route = append(route, to)
	for i, id := range route[1:] {
		before := route[i]
		g.Points[before].After = append(g.Points[before].After, id)
		g.Points[id].Before = append(g.Points[id].Before, before)
	}
	g.Routes = append(g.Routes, route)
}

// Arrange sorts the points in all layers except the first, and sets At of each point. The smallest
// coordinate of all points' borders is 0.
func (g *Graph) Arrange() {
	g.order()
	g.place()
}
