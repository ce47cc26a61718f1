package draw

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// order sorts the points in the layers so that few edges cross. It uses the barycentre method: it sorts
// each layer by the mean position of the points' neighbours, forwards and backwards through the layers,
// from several random orders. The inputs keep their order. Among orders with equally many crossings it
// takes the one with the fewest boxes out of numerical order.
func (g *graph) order() {
	const sweeps = 16
	starts := 24
	if len(g.points) > 400 {
		starts = 3
	}
	random := rand.New(rand.NewPCG(1, 2)) // a fixed seed, so that a genotype always has the same drawing
	var best [][]int
	type score struct{ crossings, disorder int }
	var least score
	for start := range starts {
		for _, layer := range g.layers[1:] {
			if slices.Sort(layer); start > 0 {
				random.Shuffle(len(layer), func(i, j int) { layer[i], layer[j] = layer[j], layer[i] })
			}
		}
		for range sweeps {
			for i := 1; i < len(g.layers); i++ {
				g.sort(i, func(p *point) []int { return p.before })
			}
			g.swap()
			now := score{g.crossings(), g.disorder()}
			if best == nil || cmp.Or(cmp.Compare(now.crossings, least.crossings), cmp.Compare(now.disorder, least.disorder)) < 0 {
				least, best = now, clone(g.layers)
			}
			for i := len(g.layers) - 2; i > 0; i-- {
				g.sort(i, func(p *point) []int { return p.after })
			}
		}
	}
	g.layers = best
}

func clone(layers [][]int) [][]int {
	c := make([][]int, len(layers))
	for i, l := range layers {
		c[i] = slices.Clone(l)
	}
	return c
}

// places returns the index of each point in its layer.
func (g *graph) places() []int {
	at := make([]int, len(g.points))
	for _, l := range g.layers {
		for i, id := range l {
			at[id] = i
		}
	}
	return at
}

// sort sorts a layer by the mean position of the points' neighbours. A point without neighbours keeps its
// position.
func (g *graph) sort(layer int, neighbours func(*point) []int) {
	l := g.layers[layer]
	at := map[int]int{}
	for _, i := range []int{layer - 1, layer + 1} {
		if i < len(g.layers) {
			for k, id := range g.layers[i] {
				at[id] = k
			}
		}
	}
	key := make(map[int]float64, len(l))
	for i, id := range l {
		near := neighbours(&g.points[id])
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
func (g *graph) swap() {
	if len(g.points) > 2000 {
		return // for a drawing this large, sorting by barycentres is enough
	}
	at := g.places()
	for better := true; better; {
		better = false
		for _, l := range g.layers[1:] {
			for i := 1; i < len(l); i++ {
				a, b := &g.points[l[i-1]], &g.points[l[i]]
				now := inversions(a.before, b.before, at) + inversions(a.after, b.after, at)
				then := inversions(b.before, a.before, at) + inversions(b.after, a.after, at)
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
func (g *graph) crossings() int {
	at := g.places()
	n := 0
	for i, l := range g.layers[1:] {
		size := len(g.layers[i])
		tree := make([]int, size+1)
		seen := 0
		for _, id := range l {
			for _, b := range g.points[id].before {
				below := seen
				for k := at[b] + 1; k > 0; k -= k & -k {
					below -= tree[k]
				}
				n += below
			}
			for _, b := range g.points[id].before {
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
func (g *graph) disorder() int {
	n := 0
	for i := 0; i < len(g.layers); i += 2 {
		var above []int
		for _, id := range g.layers[i] {
			if g.points[id].kind != box {
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
