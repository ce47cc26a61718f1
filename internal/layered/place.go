package layered

import "math"

// place sets At of every point. In each round it moves the points of a layer, in their order and with at
// least the required distances, to where the weighted sum of squared distances to their neighbours is
// smallest.
func (g *Graph) place() {
	for _, l := range g.Layers {
		y := 0.0
		for i, id := range l {
			if i > 0 {
				y += g.distance(l[i-1], id)
			}
			g.Points[id].At = y
		}
		for _, id := range l {
			g.Points[id].At -= y / 2
		}
	}
	rounds := 120
	if len(g.Points) > 2000 {
		rounds = 12
	}
	for r := range rounds {
		for i := range g.Layers {
			if r%2 == 1 {
				i = len(g.Layers) - 1 - i
			}
			g.settle(g.Layers[i])
		}
	}
	for range 20 {
		g.straighten()
	}
	top := 0.0
	for _, p := range g.Points {
		top = min(top, p.At-p.Size/2)
	}
	for i := range g.Points {
		g.Points[i].At -= top
	}
}

// distance returns the smallest allowed distance between the centres of two adjacent points in a layer.
func (g *Graph) distance(a, b int) float64 {
	p, q := &g.Points[a], &g.Points[b]
	gap := g.Gap
	if p.Box && q.Box {
		gap = g.BoxGap
	}
	return (p.Size+q.Size)/2 + gap
}

// settle moves the points of a layer as close as possible to where wish wants them. It is an isotonic
// regression by pooling adjacent violators: points that would be too close together move as one block.
func (g *Graph) settle(layer []int) {
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
			g.Points[layer[i]].At = b.sum/b.weight + offsets[i]
			i++
		}
	}
}

// wish returns the best At of a point and its weight. Straight edges have more weight than short distances
// between boxes.
func (g *Graph) wish(id int) (at, weight float64) {
	p := &g.Points[id]
	for _, near := range [][]int{p.Before, p.After} {
		for _, n := range near {
			w := 1.0
			if !p.Box && !g.Points[n].Box {
				w = 6
			}
			at += w * g.Points[n].At
			weight += w
		}
	}
	if weight == 0 {
		return p.At, 0.01
	}
	return at / weight, weight
}

// straighten gives the points of every edge the same At, as far as the adjacent points in the layers allow
// it.
func (g *Graph) straighten() {
	at := g.places()
	room := func(id int) (low, high float64) {
		l := g.Layers[g.Points[id].Layer]
		low, high = math.Inf(-1), math.Inf(1)
		if i := at[id]; i > 0 {
			low = g.Points[l[i-1]].At + g.distance(l[i-1], id)
		}
		if i := at[id]; i < len(l)-1 {
			high = g.Points[l[i+1]].At - g.distance(id, l[i+1])
		}
		return low, high
	}
	for _, r := range g.Routes {
		inner := r[1 : len(r)-1]
		for len(inner) > 1 {
			n, sum := 0, 0.0
			low, high := math.Inf(-1), math.Inf(1)
			for ; n < len(inner); n++ {
				l, h := room(inner[n])
				if max(low, l) > min(high, h) {
					break
				}
				low, high = max(low, l), min(high, h)
				sum += g.Points[inner[n]].At
			}
			for _, id := range inner[:n] {
				g.Points[id].At = min(max(sum/float64(n), low), high)
			}
			inner = inner[max(n, 1):]
		}
	}
}
