package genotype

// Topology is what the connections of a stage come to.
type Topology struct {
	Cells   int     `json:"cells"`
	Dead    int     `json:"dead"`         // cells without a path to the output
	Longest int     `json:"longest_path"` // cells on the longest path
	Mean    float64 `json:"mean_path"`    // cells on a path, over all of them
}

// Dead are the states of the nodes without a path to the output, in ascending order.
func (d DAG) Dead() []int {
	alive := make([]bool, Inputs+len(d.Nodes))
	for _, s := range d.Out {
		alive[s] = true
	}
	var dead []int
	for i := len(d.Nodes) - 1; i >= 0; i-- {
		if !alive[i+Inputs] {
			dead = append([]int{i + Inputs}, dead...)
			continue
		}
		for _, e := range d.Nodes[i].In {
			alive[e.From] = true
		}
	}
	return dead
}

// Topology counts paths from either input to either output, edge by edge: two edges between the
// same states are two paths, and a path may go on through one output to the other.
func (d DAG) Topology() Topology {
	t := Topology{Cells: len(d.Nodes), Dead: len(d.Dead())}
	// Of the paths that end at a state: how many, with how many nodes in all, and in the longest.
	// Counts grow exponentially, so they are floating-point numbers.
	type paths struct {
		n, nodes float64
		longest  int
	}
	at := make([]paths, Inputs, Inputs+len(d.Nodes))
	at[0].n, at[1].n = 1, 1
	for _, node := range d.Nodes {
		var p paths
		for _, e := range node.In {
			from := at[e.From]
			p.n += from.n
			p.nodes += from.nodes + from.n
			p.longest = max(p.longest, from.longest+1)
		}
		at = append(at, p)
	}
	var all paths
	for _, s := range d.Out {
		all.n += at[s].n
		all.nodes += at[s].nodes
		t.Longest = max(t.Longest, at[s].longest)
	}
	if all.n > 0 {
		t.Mean = all.nodes / all.n
	}
	return t
}
