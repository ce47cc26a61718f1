package draw

import "math"

// place sets the y of every point. In each round it moves the points of a layer, in their order and with
// at least the required distances, to where the weighted sum of squared distances to their neighbours is
// smallest.
func (g *graph) place() {
	for _, l := range g.layers {
		y := 0.0
		for i, id := range l {
			if i > 0 {
				y += g.distance(l[i-1], id)
			}
			g.points[id].y = y
		}
		for _, id := range l {
			g.points[id].y -= y / 2
		}
	}
	rounds := 120
	if len(g.points) > 2000 {
		rounds = 12
	}
	for r := range rounds {
		for i := range g.layers {
			if r%2 == 1 {
				i = len(g.layers) - 1 - i
			}
			g.settle(g.layers[i])
		}
	}
	for range 20 {
		g.straighten()
	}
	top := 0.0
	for _, p := range g.points {
		top = min(top, p.y-p.height/2)
	}
	for i := range g.points {
		g.points[i].y -= top
	}
}

// distance returns the smallest allowed distance between the centres of two adjacent points in a layer.
func (g *graph) distance(a, b int) float64 {
	p, q := &g.points[a], &g.points[b]
	gap := float64(rowGap)
	if p.kind == box && q.kind == box {
		gap = boxGap
	}
	return (p.height+q.height)/2 + gap
}

// settle moves the points of a layer as close as possible to where wish wants them. It is an isotonic
// regression by pooling adjacent violators: points that would be too close together move as one block.
func (g *graph) settle(layer []int) {
	type block struct{ sum, weight float64 }
	var blocks []block
	var sizes []int
	offset := 0.0
	offsets := make([]float64, len(layer))
	for i, id := range layer {
		if i > 0 {
			offset += g.distance(layer[i-1], id)
		}
		offsets[i] = offset
		want, weight := g.wish(id)
		blocks, sizes = append(blocks, block{sum: (want - offset) * weight, weight: weight}), append(sizes, 1)
		for n := len(blocks); n > 1 && blocks[n-2].sum/blocks[n-2].weight >= blocks[n-1].sum/blocks[n-1].weight; n-- {
			blocks[n-2].sum += blocks[n-1].sum
			blocks[n-2].weight += blocks[n-1].weight
			sizes[n-2] += sizes[n-1]
			blocks, sizes = blocks[:n-1], sizes[:n-1]
		}
	}
	i := 0
	for k, b := range blocks {
		for range sizes[k] {
			g.points[layer[i]].y = b.sum/b.weight + offsets[i]
			i++
		}
	}
}

// wish returns the best y of a point and its weight. Straight edges have more weight than short distances
// between boxes.
func (g *graph) wish(id int) (y, weight float64) {
	p := &g.points[id]
	for _, near := range [][]int{p.before, p.after} {
		for _, n := range near {
			w := 1.0
			if p.kind != box && g.points[n].kind != box {
				w = 6
			}
			y += w * g.points[n].y
			weight += w
		}
	}
	if weight == 0 {
		return p.y, 0.01
	}
	return y / weight, weight
}

// straighten moves the points of every edge to the same y, as far as the adjacent points in the layers
// allow it.
func (g *graph) straighten() {
	at := g.places()
	room := func(id int) (low, high float64) {
		l := g.layers[g.points[id].layer]
		low, high = math.Inf(-1), math.Inf(1)
		if i := at[id]; i > 0 {
			low = g.points[l[i-1]].y + g.distance(l[i-1], id)
		}
		if i := at[id]; i < len(l)-1 {
			high = g.points[l[i+1]].y - g.distance(id, l[i+1])
		}
		return low, high
	}
	for _, r := range g.routes {
		inner := r.points[1 : len(r.points)-1]
		for len(inner) > 1 {
			n, sum := 0, 0.0
			low, high := math.Inf(-1), math.Inf(1)
			for ; n < len(inner); n++ {
				l, h := room(inner[n])
				if max(low, l) > min(high, h) {
					break
				}
				low, high = max(low, l), min(high, h)
				sum += g.points[inner[n]].y
			}
			for _, id := range inner[:n] {
				g.points[id].y = min(max(sum/float64(n), low), high)
			}
			inner = inner[max(n, 1):]
		}
	}
}
