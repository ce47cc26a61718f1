package draw

import (
	"fmt"
	"math"
	"strings"

	"hdas/models/genotype"
)

// overlap finds boxes and labels that cover each other or leave the figure, and edges that run
// through one that is not theirs.
func overlap(d genotype.DAG) error {
	f, err := newFigure(d, cellColours)
	if err != nil {
		return err
	}
	shapes := append(f.boxes[:len(f.boxes):len(f.boxes)], f.labels...)
	for i, s := range shapes {
		if s.x-s.width/2 < -0.01 || s.x+s.width/2 > f.width+0.01 || s.y-s.height/2 < -0.01 || s.y+s.height/2 > f.height+0.01 {
			return fmt.Errorf("%q leaves the figure", s.text)
		}
		for _, other := range shapes[:i] {
			if math.Abs(s.x-other.x) < (s.width+other.width)/2 && math.Abs(s.y-other.y) < (s.height+other.height)/2 {
				return fmt.Errorf("%q and %q overlap", s.text, other.text)
			}
		}
	}
	own := len(f.boxes) // the label of the next labelled edge
	k := 0
	var ops []string
	for _, n := range d.Nodes {
		for _, e := range n.In {
			ops = append(ops, e.Op)
		}
	}
	for _, c := range f.curves {
		label := -1
		if k < len(ops) && ops[k] != genotype.Any {
			label, own = own, own+1
		}
		k++
		for _, p := range samples(c.path()) {
			for i, s := range shapes {
				if i == c.from || i == c.to || i == label {
					continue
				}
				if math.Abs(p[0]-s.x) < s.width/2 && math.Abs(p[1]-s.y) < s.height/2 {
					return fmt.Errorf("the edge from %d to %d runs through %q", c.from, c.to, s.text)
				}
			}
		}
	}
	return nil
}

// samples returns points on a path of the commands M, H and C.
func samples(path string) (points [][2]float64) {
	var x, y float64
	for path != "" {
		next := strings.IndexAny(path[1:], "MHC") + 1
		if next == 0 {
			next = len(path)
		}
		command, args := path[0], path[1:next]
		path = path[next:]
		var v [6]float64
		n, _ := fmt.Sscan(args, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5])
		a := [8]float64{x, y, x, y, x, y, x, y}
		switch {
		case command == 'M' && n == 2:
			x, y = v[0], v[1]
			continue
		case command == 'H' && n == 1:
			a[4], a[6] = v[0], v[0]
		case command == 'C' && n == 6:
			copy(a[2:], v[:])
		default:
			panic("no such path: " + path)
		}
		for i := range 21 {
			t := float64(i) / 20
			u := 1 - t
			bezier := func(k int) float64 {
				return u*u*u*a[k] + 3*u*u*t*a[k+2] + 3*u*t*t*a[k+4] + t*t*t*a[k+6]
			}
			points = append(points, [2]float64{bezier(0), bezier(1)})
		}
		x, y = a[6], a[7]
	}
	return points
}
