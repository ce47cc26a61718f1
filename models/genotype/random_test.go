package genotype

import "pgregory.net/rapid"

// operations are some that random genotypes have; a few need quotes in YAML.
var operations = []string{"none", "skip_connect", "max_pool_3x3", "sep_conv_5x5", "conv_7x1_1x7", "null", "1", "a: b", "x, y", "[", "ü"}

// source is where the choices of random values come from.
type source struct{ *rapid.T }

func (r source) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(r.T, "") }

func pick[T any](r source, from []T) T { return from[r.IntN(len(from))] }

// randomText returns texts with characters that are special in YAML.
func randomText(r source) string {
	pieces := []string{"a", "Z9", " ", "\n", "\t", ":", "#", "'", "\"", "\\", "{", "]", "&", "*", "!", "|", ">", "%", "@", "-", "?", "true", "~", "0x1", "\u0085", "\u2028", "\ufeff", "é", "世", "😀", "\x00", "\x1b", "\x7f"}
	s := ""
	for range r.IntN(8) {
		s += pick(r, pieces)
	}
	return s
}

// randomDAG returns a DAG that is valid as a cell with empty nodes, or as a stage.
func randomDAG(r source, nodes int, cell bool) DAG {
	var d DAG
	full := []int{0, 1} // states that may be read
	if !cell {
		d.Out = append(d.Out, r.IntN(nodes+Inputs))
	}
	for i := range nodes {
		var n Node
		for range r.IntN(4) {
			n.In = append(n.In, Edge{pick(r, full), pick(r, operations)})
		}
		if (!cell || i == 0) && len(n.In) == 0 {
			n.In = append(n.In, Edge{pick(r, full), pick(r, operations)})
		}
		d.Nodes = append(d.Nodes, n)
		if s := i + Inputs; len(n.In) > 0 {
			full = append(full, s)
			if cell && (r.IntN(3) > 0 || i == 0) || !cell && r.IntN(3) == 0 && d.Out[0] != s {
				d.Out = append(d.Out, s)
			}
		}
	}
	d.Out = rapid.Permutation(d.Out).Draw(r.T, "out")
	return d
}

// random returns a valid genotype: a chain, stages with cells, or stages alone.
func random(r source) Genotype {
	g := Genotype{Version: Version, Name: "n" + randomText(r), Source: randomText(r)}
	if r.IntN(2) == 0 {
		g.Reported = Reported{float64(r.IntN(9999)) / 100, float64(r.IntN(9999)) / 100, "s" + randomText(r)}
	}
	kind := r.IntN(3)
	names := []string{"normal"}
	switch kind {
	case 0:
		names = pick(r, chains)
	case 1:
		names = append(names, "normal10", "x"+randomText(r))
	}
	if kind < 2 {
		g.Cells = map[string]DAG{}
		for _, name := range names {
			g.Cells[name] = randomDAG(r, 1+r.IntN(6), true)
		}
	}
	if kind > 0 {
		n := 1 + r.IntN(4)
		for i := range n {
			s := Stage{Cell: pick(r, names), DAG: randomDAG(r, 1+r.IntN(7), false)}
			if i < n-1 {
				s.Reduce = pick(r, names)
			}
			g.Stages = append(g.Stages, s)
		}
	}
	return g
}
