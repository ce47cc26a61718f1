package recipe

import (
	"slices"
	"strings"
	"testing"
)

func graph(t *testing.T, r Recipe, c Choice) Graph {
	t.Helper()
	g, err := r.Graph(c)
	if err != nil {
		t.Fatalf("%s, %s: %v", r.Name, c.Scale, err)
	}
	return g
}

// Every built-in experiment has a graph at every scale, in which each run comes after those that it needs.
func TestBuiltIn(t *testing.T) {
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		for _, scale := range []string{"paper", "small", "tiny"} {
			g := graph(t, r, Choice{Scale: scale, Root: "r"})
			before := map[string]bool{}
			for _, n := range g.Nodes {
				for _, id := range n.Needs {
					if !before[id] {
						t.Errorf("%s needs %s, which comes later", n.ID, id)
					}
				}
				before[n.ID] = true
			}
			t.Log(r.Name, scale, len(g.Nodes))
		}
	}
}

// Tables share the runs that compute the same, and no others.
func TestShared(t *testing.T) {
	ids := func(name string, rows ...string) (ids []string) {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range graph(t, r, Choice{Scale: "paper", Root: "r", Rows: rows}).Nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	if one, three := ids("table1", "Hs over cells of P-DARTS"), ids("table3", "Hs"); !slices.Equal(one, three) || len(one) != 6 {
		t.Errorf("%v and %v", one, three)
	}
	if two, three := ids("table2", "Hs over cells of P-DARTS"), ids("table3", "Hs, ImageNet"); !slices.Equal(two, three) {
		t.Errorf("%v and %v", two, three)
	}
	for _, id := range ids("table4") {
		if slices.Contains(ids("table5"), id) {
			t.Errorf("tables 4 and 5 share %s, over other cells", id)
		}
	}
}

// What a result does not depend on does not change the digest of its run; everything else does.
func TestDigest(t *testing.T) {
	r, err := Load("table4")
	if err != nil {
		t.Fatal(err)
	}
	of := func(set ...string) string {
		g := graph(t, r, Choice{Scale: "small", Root: "r", Rows: []string{"m = 3"}, Seeds: 1, Set: set})
		return g.Nodes[0].ID + " " + g.Nodes[1].ID
	}
	was := of()
	for _, set := range []string{"device=cpu", "threads=3", "data.workers=2", "cuda.graphs=false", "train.checkpoint_steps=7"} {
		if is := of(set); is != was {
			t.Errorf("%s changes %s to %s", set, was, is)
		}
	}
	search, training, _ := strings.Cut(was, " ")
	for set, both := range map[string]bool{"train.lr=0.1": false, "search.delta=0.5": true, "network.channels=6": true} {
		s, tr, _ := strings.Cut(of(set), " ")
		if (s != search) != both || tr == training {
			t.Errorf("%s: %s %s of %s", set, s, tr, was)
		}
	}
}
