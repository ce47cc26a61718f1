package layered

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// order sorts the points in the layers so that few edges cross. It uses the barycentre method: it sorts
// each layer by the mean position of the points' neighbours, forwards and backwards through the layers,
// from several random orders. The first layer keeps its order. Among orders with equally many crossings
// it takes the one with the fewest boxes out of numerical order.
func (g *Graph) order() {
	const sweeps = 16
	starts := 24
	if len(g.Points) > 400 {
		starts = 3
	}
	random := rand.New(rand.NewPCG(1, 2)) // a fixed seed, so that a graph always has the same drawing
	var best [][]int
	type score struct{ crossings, disorder int }
	var least score
	for start := range starts {
		for _, layer := range g.Layers[1:] {
			if slices.Sort(layer); start > 0 {
				random.Shuffle(len(layer), func(i, j int) { layer[i], layer[j] = layer[j], layer[i] })
			}
		}
		for range sweeps {
			for i := 1; i < len(g.Layers); i++ {
				g.sort(i, func(p *Point) []int { return p.Before })
			}
			g.swap()
			now := score{g.crossings(), g.disorder()}
			if best == nil || cmp.Or(cmp.Compare(now.crossings, least.crossings), cmp.Compare(now.disorder, least.disorder)) < 0 {
				least, best = now, clone(g.Layers)
			}
			for i := len(g.Layers) - 2; i > 0; i-- {
				g.sort(i, func(p *Point) []int { return p.After })
			}
		}
	}
	g.Layers = best
}

func clone(layers [][]int) [][]int {
	c := make([][]int, len(layers))
	for i, l := range layers {
		c[i] = slices.Clone(l)
	}
	return c
}

// places returns the index of each point in its layer.
func (g *Graph) places() []int {
	at := make([]int, len(g.Points))
	for _, l := range g.Layers {
		for i, id := range l {
			at[id] = i
		}
	}
	return at
}

// sort sorts a layer by the mean position of the points' neighbours. A point without neighbours keeps its
// position.
func (g *Graph) sort(layer int, neighbours func(*Point) []int) {
	l := g.Layers[layer]
	at := map[int]int{}
	for _, i := range []int{layer - 1, layer + 1} {
		if i < len(g.Layers) {
			for k, id := range g.Layers[i] {
				at[id] = k
			}
		}
	}
	key := make(map[int]float64, len(l))
	for i, id := range l {
		near := neighbours(&g.Points[id])
		if len(near) == 0 {
			key[id] = float64(i)
			continue
		}
		for _, n := range near {
			key[id] += float64(at[n]) / float64(len(near))
		}
	}
	slices.SortStableFunc(l, func(a, b int) int { return cmp.Compare(key[a], key[b]) })
}

// swap exchanges adjacent points in a layer as long as this reduces the number of crossings.
func (g *Graph) swap() {
	if len(g.Points) > 2000 {
		return // for a drawing this large, sorting by barycentres is enough
	}
	at := g.places()
	for better := true; better; {
		better = false
		for _, l := range g.Layers[1:] {
			for i := 1; i < len(l); i++ {
				a, b := &g.Points[l[i-1]], &g.Points[l[i]]
				now := inversions(a.Before, b.Before, at) + inversions(a.After, b.After, at)
				then := inversions(b.Before, a.Before, at) + inversions(b.After, a.After, at)
				if then < now {
					l[i-1], l[i] = l[i], l[i-1]
					at[l[i-1]], at[l[i]] = i-1, i
					better = true
				}
			}
		}
	}
}

// inversions returns the number of crossings between the edges of two points, first being above second.
func inversions(first, second, at []int) int {
	n := 0
	for _, a := range first {
		for _, b := range second {
			if at[a] > at[b] {
				n++
			}
		}
	}
	return n
}

// crossings returns the number of all crossings. It uses a Fenwick tree over the positions in each layer.
func (g *Graph) crossings() int {
	at := g.places()
	n := 0
	for i, l := range g.Layers[1:] {
		size := len(g.Layers[i])
		tree := make([]int, size+1)
		seen := 0
		for _, id := range l {
			for _, b := range g.Points[id].Before {
				below := seen
				for k := at[b] + 1; k > 0; k -= k & -k {
					below -= tree[k]
				}
				n += below
			}
			for _, b := range g.Points[id].Before {
				for k := at[b] + 1; k <= size; k += k & -k {
					tree[k]++
				}
				seen++
			}
		}
	}
	return n
}

// disorder returns the number of pairs of boxes in a layer that are not in numerical order.
func (g *Graph) disorder() int {
	n := 0
	for _, l := range g.Layers {
		var above []int
		for _, id := range l {
			if !g.Points[id].Box {
				continue
			}
			for _, a := range above {
				if a > id {
					n++
				}
			}
			above = append(above, id)
		}
	}
	return n
}
