package genotype

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Encode writes g as the YAML that Decode reads. Equal genotypes give equal bytes: cells are in the
// order of CellNames, with one line for each node. It returns an error if a text is not UTF-8.
func (g Genotype) Encode(w io.Writer) error {
	var e encoder
	e.line(0, "version: %d", g.Version)
	e.line(0, "name: %s", e.text(g.Name))
	if g.Source != "" {
		e.line(0, "source: %s", e.text(g.Source))
	}
	if r := g.Reported; r != (Reported{}) {
		e.line(0, "reported:")
		e.percent("cifar10_error", r.CIFAR10)
		e.percent("imagenet_error", r.ImageNet)
		e.line(2, "source: %s", e.text(r.Source))
	}
	if len(g.Cells) > 0 {
		e.line(0, "cells:")
	}
	for _, name := range g.CellNames() {
		e.line(2, "%s:", e.text(name))
		e.dag(g.Cells[name])
	}
	if len(g.Stages) > 0 {
		e.line(0, "stages:")
	}
	for _, s := range g.Stages {
		e.line(2, "- cell: %s", e.text(s.Cell))
		e.dag(s.DAG)
		if s.Reduce != "" {
			e.line(4, "reduce: %s", e.text(s.Reduce))
		}
	}
	if e.err != nil {
		return fmt.Errorf("genotype %q: %w", g.Name, e.err)
	}
	_, err := w.Write(e.out.Bytes())
	return err
}

// encoder writes the YAML itself, because the YAML library cannot write each node on a line of its own
// with its edges as pairs.
type encoder struct {
	out bytes.Buffer
	err error
}

func (e *encoder) line(indent int, format string, args ...any) {
	fmt.Fprintf(&e.out, "%*s"+format+"\n", append([]any{indent, ""}, args...)...)
}

func (e *encoder) percent(key string, v float64) {
	if v != 0 {
		e.line(2, "%s: %s", key, strconv.FormatFloat(v, 'f', -1, 64))
	}
}

func (e *encoder) dag(d DAG) {
	if len(d.Nodes) == 0 {
		e.line(4, "nodes: []")
	} else {
		e.line(4, "nodes:")
	}
	for _, n := range d.Nodes {
		edges := make([]string, len(n.In))
		for i, edge := range n.In {
			edges[i] = fmt.Sprintf("%s: %d", e.text(edge.Op), edge.From)
		}
		e.line(6, "- [%s]", strings.Join(edges, ", "))
	}
	out := make([]string, len(d.Out))
	for i, s := range d.Out {
		out[i] = fmt.Sprint(s)
	}
	e.line(4, "out: [%s]", strings.Join(out, ", "))
}

// plain matches texts that need no quotes in YAML, unless they are the name of a value, such as null.
var plain = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_ @/.+;()-]*[A-Za-z0-9_)-])?$`)

// text returns s as a YAML string on one line.
func (e *encoder) text(s string) string {
	n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if plain.MatchString(s) && n.ShortTag() == "!!str" {
		return s
	}
	n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
	quoted, err := yaml.Marshal(&n)
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("cannot write the text %q: %w", s, err)
	}
	return strings.TrimSuffix(string(quoted), "\n")
}
