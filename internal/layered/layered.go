// Package layered lays out graphs whose nodes stand in layers: it chooses the order of the points of
// each layer and their coordinates, so that few edges cross and most run straight.
package layered

// Point has a place in a layer: a box, or an edge on its way past the layer's boxes.
type Point struct {
	Layer         int
	Box           bool
	Size          float64 // along the layer
	Before, After []int   // the connected points of the layer before and of the one after
	At            float64 // the coordinate of its centre along the layer, from Arrange
}

// Graph is a graph in layers. All boxes are added before the first edge.
type Graph struct {
	Points      []Point
	Layers      [][]int // the points of each layer, in their order
	Routes      [][]int // the points of each edge, from box to box
	Gap, BoxGap float64 // least distance between two points of a layer, and between two boxes
}

// Add adds a point to its layer and returns its number.
func (g *Graph) Add(p Point) int {
	for len(g.Layers) <= p.Layer {
		g.Layers = append(g.Layers, nil)
	}
	g.Points = append(g.Points, p)
	id := len(g.Points) - 1
	g.Layers[p.Layer] = append(g.Layers[p.Layer], id)
	return id
}

// Connect adds an edge from a box to one of a later layer. bend makes its point in each layer between;
// the fields that say where it is are filled in here.
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

// Arrange orders the points of the layers, but for the first, and sets the coordinate of each point;
// the least edge of all points is at 0.
func (g *Graph) Arrange() {
	g.order()
	g.place()
}
