package genotype

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile is far above any genotype: a cell has a few hundred bytes.
const maxFile = 1 << 20

// Decode reads a genotype's YAML strictly: an unknown or repeated key, a value of the wrong kind,
// an alias or a second document is an error. All faults of the file come in one error, each with
// its line; what the operations mean is Validate's to say.
func Decode(r io.Reader) (Genotype, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return Genotype{}, err
	}
	if len(data) > maxFile {
		return Genotype{}, fmt.Errorf("genotype: the file is larger than %d bytes", maxFile)
	}
	var doc, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); err == io.EOF {
		return Genotype{}, errors.New("genotype: the file is empty")
	} else if err != nil {
		return Genotype{}, fmt.Errorf("genotype: %w", err)
	}
	var p parser
	if d.Decode(&second) != io.EOF {
		p.fault(&doc, "the file", "holds more than one document")
	}
	var g Genotype
	p.genotype(doc.Content[0], &g)
	if err := errors.Join(p.faults...); err != nil {
		return Genotype{}, fmt.Errorf("genotype: %w", err)
	}
	return g, nil
}

// parser walks through a document and collects what is wrong with it.
type parser struct{ faults []error }

func (p *parser) fault(n *yaml.Node, place, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("line %d: %s %s", n.Line, place, fmt.Sprintf(format, args...)))
}

// object calls the function of each key that n has.
func (p *parser) object(n *yaml.Node, place string, keys map[string]func(*yaml.Node)) {
	p.entries(n, place, func(key, value *yaml.Node) {
		read, ok := keys[key.Value]
		if !ok {
			p.fault(key, place, "has the unknown key %q; known are %s", key.Value, strings.Join(slices.Sorted(maps.Keys(keys)), ", "))
			return
		}
		read(value)
	})
}

func (p *parser) entries(n *yaml.Node, place string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, place, "is not a mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			p.fault(key, place, "has the key %q twice", key.Value)
			continue
		}
		seen[key.Value] = true
		each(key, n.Content[i+1])
	}
}

func (p *parser) list(n *yaml.Node, place string, each func(i int, item *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.fault(n, place, "is not a list")
		return
	}
	for i, item := range n.Content {
		each(i, item)
	}
}

func (p *parser) scalar(n *yaml.Node, place, what string, into any) {
	if n.Kind != yaml.ScalarNode || n.Decode(into) != nil {
		p.fault(n, place, "is not %s", what)
	}
}

func (p *parser) genotype(n *yaml.Node, g *Genotype) {
	p.object(n, "the genotype", map[string]func(*yaml.Node){
		"version": func(n *yaml.Node) { p.scalar(n, "version", "a number", &g.Version) },
		"name":    func(n *yaml.Node) { p.scalar(n, "name", "a text", &g.Name) },
		"source":  func(n *yaml.Node) { p.scalar(n, "source", "a text", &g.Source) },
		"cells": func(n *yaml.Node) {
			g.Cells = map[string]DAG{}
			p.entries(n, "cells", func(key, value *yaml.Node) {
				var d DAG
				place := "cells." + key.Value
				p.object(value, place, p.dag(place, &d))
				g.Cells[key.Value] = d
			})
		},
		"stages": func(n *yaml.Node) {
			p.list(n, "stages", func(i int, item *yaml.Node) {
				var s Stage
				place := fmt.Sprintf("stages[%d]", i)
				keys := p.dag(place, &s.DAG)
				keys["cell"] = func(n *yaml.Node) { p.scalar(n, place+".cell", "a text", &s.Cell) }
				keys["reduce"] = func(n *yaml.Node) { p.scalar(n, place+".reduce", "a text", &s.Reduce) }
				p.object(item, place, keys)
				g.Stages = append(g.Stages, s)
			})
		},
	})
}

func (p *parser) dag(place string, d *DAG) map[string]func(*yaml.Node) {
	return map[string]func(*yaml.Node){
		"nodes": func(n *yaml.Node) {
			p.list(n, place+".nodes", func(i int, item *yaml.Node) {
				var node Node
				place := fmt.Sprintf("%s.nodes[%d]", place, i)
				p.list(item, place, func(j int, item *yaml.Node) {
					place := fmt.Sprintf("%s[%d]", place, j)
					if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
						p.fault(item, place, "is not one operation and the state that it reads, as in sep_conv_3x3: 0")
						return
					}
					e := Edge{Op: item.Content[0].Value}
					p.scalar(item.Content[1], place, "a state's number", &e.From)
					node.In = append(node.In, e)
				})
				d.Nodes = append(d.Nodes, node)
			})
		},
		"out": func(n *yaml.Node) {
			p.list(n, place+".out", func(i int, item *yaml.Node) {
				var state int
				p.scalar(item, fmt.Sprintf("%s.out[%d]", place, i), "a state's number", &state)
				d.Out = append(d.Out, state)
			})
		},
	}
}

// Encode writes the YAML that Decode reads, always the same for the same genotype.
func (g Genotype) Encode(w io.Writer) error {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	number := func(n int) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(n)}
	}
	list := func(style yaml.Style, items ...*yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: yaml.SequenceNode, Style: style, Content: items}
	}
	dag := func(d DAG) []*yaml.Node {
		nodes, out := list(0), list(yaml.FlowStyle)
		for _, n := range d.Nodes {
			edges := list(yaml.FlowStyle)
			for _, e := range n.In {
				edges.Content = append(edges.Content, &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{text(e.Op), number(e.From)}})
			}
			nodes.Content = append(nodes.Content, edges)
		}
		for _, s := range d.Out {
			out.Content = append(out.Content, number(s))
		}
		return []*yaml.Node{text("nodes"), nodes, text("out"), out}
	}
	doc := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("version"), number(g.Version), text("name"), text(g.Name)}}
	if g.Source != "" {
		doc.Content = append(doc.Content, text("source"), text(g.Source))
	}
	if len(g.Cells) > 0 {
		cells := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range slices.Sorted(maps.Keys(g.Cells)) {
			cells.Content = append(cells.Content, text(name), &yaml.Node{Kind: yaml.MappingNode, Content: dag(g.Cells[name])})
		}
		doc.Content = append(doc.Content, text("cells"), cells)
	}
	if len(g.Stages) > 0 {
		stages := list(0)
		for _, s := range g.Stages {
			stage := append([]*yaml.Node{text("cell"), text(s.Cell)}, dag(s.DAG)...)
			if s.Reduce != "" {
				stage = append(stage, text("reduce"), text(s.Reduce))
			}
			stages.Content = append(stages.Content, &yaml.Node{Kind: yaml.MappingNode, Content: stage})
		}
		doc.Content = append(doc.Content, text("stages"), stages)
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return err
	}
	return e.Close()
}
