package layered_test

import (
	"math/rand/v2"
	"testing"

	"hdas/internal/layered"
	"hdas/internal/testseed"
)

// random returns a graph with boxes in several layers, and edges between them.
func random(r *rand.Rand) *layered.Graph {
	g := &layered.Graph{Gap: 3, BoxGap: 7}
	for layer := range 6 {
		for range 1 + r.IntN(5) {
			g.Add(layered.Point{Layer: layer, Box: true, Size: 10 + 20*r.Float64()})
		}
	}
	boxes := len(g.Points)
	for range 3 * boxes {
		from, to := r.IntN(boxes), r.IntN(boxes)
		if g.Points[from].Layer < g.Points[to].Layer {
			g.Connect(from, to, func(int) layered.Point { return layered.Point{Size: 4} })
		}
	}
	return g
}

// The points of a layer keep their distances, and the least coordinate is 0.
func TestDistances(t *testing.T) {
	r := testseed.Rand(t, 1)
	for range 50 {
		g := random(r)
		g.Arrange()
		least := g.Points[0].At
		for _, l := range g.Layers {
			for i, id := range l {
				p := g.Points[id]
				least = min(least, p.At-p.Size/2)
				if i == 0 {
					continue
				}
				q, gap := g.Points[l[i-1]], g.Gap
				if p.Box && q.Box {
					gap = g.BoxGap
				}
				if p.At-q.At < (p.Size+q.Size)/2+gap-1e-6 {
					t.Fatalf("points at %v and %v of sizes %v and %v", q.At, p.At, q.Size, p.Size)
				}
			}
		}
		if least < -1e-6 || least > 1e-6 {
			t.Fatalf("the least coordinate is %v", least)
		}
	}
}

// Edges that need not cross do not.
func TestNoNeedlessCrossing(t *testing.T) {
	g := &layered.Graph{Gap: 3, BoxGap: 7}
	for i := range 8 {
		g.Add(layered.Point{Layer: i / 4, Box: true, Size: 10})
	}
	for i, to := range []int{6, 4, 7, 5} {
		g.Connect(i, to, nil)
	}
	g.Arrange()
	if got := g.Layers[1]; got[0] != 6 || got[1] != 4 || got[2] != 7 || got[3] != 5 {
		t.Errorf("order %v", got)
	}
}
