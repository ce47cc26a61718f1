package genotype

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Path lengths of Figure 8 from the paper; those of Figure 9 counted by hand, as are the dead cells,
// which a window of 3 excludes (Table 4).
func TestTopologyOfThePapersStages(t *testing.T) {
	for name, want := range map[string][]Topology{
		"Hs_DAS_CIFAR_stages":    {{6, 0, 5, 3.353}, {6, 0, 4, 3.067}, {6, 0, 4, 3.278}},
		"Hs_DAS_ImageNet_stages": {{4, 0, 4, 2.75}, {4, 0, 4, 2.846}, {4, 0, 3, 2.4}},
	} {
		for i, s := range load(t, name).Stages {
			got := s.Topology()
			got.Mean = math.Round(got.Mean*1000) / 1000
			if got != want[i] {
				t.Errorf("%s, stage %d: %+v, not %+v", name, i+1, got, want[i])
			}
		}
	}
}

// enumerate walks through all paths from the back.
func enumerate(d DAG) (lengths []int) {
	var back func(s, cells int)
	back = func(s, cells int) {
		if s < Inputs {
			lengths = append(lengths, cells)
			return
		}
		for _, e := range d.Nodes[s-Inputs].In {
			back(e.From, cells+1)
		}
	}
	for _, s := range d.Out {
		if s >= Inputs {
			back(s, 0)
		}
	}
	return lengths
}

func TestTopologyIsThatOfAllPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := source{t}
		d := randomDAG(r, 1+r.IntN(8), r.IntN(2) == 0)
		want := Topology{Cells: len(d.Nodes)}
		sum, lengths := 0, enumerate(d)
		for _, n := range lengths {
			sum += n
			want.Longest = max(want.Longest, n)
		}
		if len(lengths) > 0 {
			want.Mean = float64(sum) / float64(len(lengths))
		}
		var dead []int
		for i := range d.Nodes {
			if s := i + Inputs; !reaches(d, s) {
				dead = append(dead, s)
			}
		}
		want.Dead = len(dead)
		if got := d.Topology(); got != want {
			t.Errorf("%+v, not %+v, of %+v", got, want, d)
		}
		if got := d.Dead(); !slices.Equal(got, dead) {
			t.Errorf("dead are %v, not %v, of %+v", got, dead, d)
		}
	})
}

func reaches(d DAG, s int) bool {
	if slices.Contains(d.Out, s) {
		return true
	}
	for i, n := range d.Nodes {
		if slices.ContainsFunc(n.In, func(e Edge) bool { return e.From == s }) && reaches(d, i+Inputs) {
			return true
		}
	}
	return false
}

// In a dense stage with the last cell alone as its output, every set of the other n-1 cells is a
// path, twice over, for either input: cells on it are 1 + (n-1)/2 on average.
func TestTopologyOfDenseStages(t *testing.T) {
	for _, n := range []int{1, 2, 26, 3000} {
		d := DAG{Out: []int{n + 1}}
		for i := range n {
			var node Node
			for from := range i + Inputs {
				node.In = append(node.In, Edge{from, "skip_connect"})
			}
			d.Nodes = append(d.Nodes, node)
		}
		want := Topology{Cells: n, Longest: n, Mean: 1 + float64(n-1)/2}
		if got := d.Topology(); math.Abs(got.Mean-want.Mean) > 1e-9*want.Mean || got.Longest != n || got.Dead != 0 {
			t.Errorf("%d cells: %+v, not %+v", n, got, want)
		}
	}
}
