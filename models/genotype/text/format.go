package text

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// Format returns g in a notation that Parse and the programs of the papers read, with a line break at
// the end. Cells of a chain are lists of edges as in DARTS, or, if not every node has two edges, as in
// FairDARTS. Stages, and the cells of H-DAS, are lists of nodes. The genotype's source and reported
// results are left out. Format returns an error if no notation can express g.
func Format(g genotype.Genotype) (string, error) {
	var b strings.Builder
	kind := "Genotype"
	if len(g.Cells) == 0 {
		kind = "Genotype2"
	} else if _, own := g.Cells["normal1"]; own {
		kind = "Genotype3"
	}
	if identifier.MatchString(g.Name) {
		fmt.Fprintf(&b, "%s = ", g.Name)
	}
	fmt.Fprintf(&b, "%s(\n", kind)
	n := nodes
	if kind == "Genotype" {
		n = pairs
		for _, d := range g.Cells {
			if slices.ContainsFunc(d.Nodes, func(n genotype.Node) bool { return len(n.In) != 2 }) {
				n = triples
			}
		}
	}
	for _, name := range g.CellNames() {
		n.write(&b, name, g.Cells[name])
	}
	for i, s := range g.Stages {
		nodes.write(&b, fmt.Sprintf("DAG%d", i+1), s.DAG)
	}
	b.WriteString(")\n")
	again, err := Parse(strings.NewReader(b.String()), g.Name, Known{})
	if err == nil && !(maps.EqualFunc(again.Cells, g.Cells, same[genotype.DAG]) && slices.EqualFunc(again.Stages, g.Stages, same[genotype.Stage])) {
		err = errors.New("it has nodes, or names of cells, that the notation cannot express")
	}
	if err != nil {
		return "", fmt.Errorf("genotype %s as text: %w", g.Name, err)
	}
	return b.String(), nil
}

func same[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// notation is the form of the edges of a cell or a stage in a text.
type notation int

const (
	pairs   notation = iota // a list of (operation, state), two for each node
	triples                 // a list of (operation, node, state)
	nodes                   // a list of lists of (operation, state)
)

func (n notation) write(b *strings.Builder, key string, d genotype.DAG) {
	fmt.Fprintf(b, "    %s=[\n", key)
	for i, node := range d.Nodes {
		var edges []string
		for _, e := range node.In {
			to := ""
			if n == triples {
				to = fmt.Sprintf("%d, ", i+genotype.Inputs)
			}
			edges = append(edges, fmt.Sprintf("('%s', %s%d)", e.Op, to, e.From))
		}
		line := strings.Join(edges, ", ")
		if n == nodes {
			line = "[" + line + "]"
		}
		if line != "" {
			fmt.Fprintf(b, "        %s,\n", line)
		}
	}
	out := make([]string, len(d.Out))
	for i, s := range d.Out {
		out[i] = fmt.Sprint(s)
	}
	fmt.Fprintf(b, "    ],\n    %s_concat=[%s],\n", key, strings.Join(out, ", "))
}
