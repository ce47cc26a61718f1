package genotype

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// document is the name of the file's outermost mapping in error texts.
const document = "genotype"

var (
	dagKeys      = []string{"nodes", "out"}
	stageKeys    = []string{"cell", "nodes", "out", "reduce"}
	reportedKeys = []string{"cifar10_error", "imagenet_error", "source"}
	genotypeKeys = []string{"version", "name", "source", "reported", "cells", "stages"}
)

// genotype reads the outermost mapping.
func (d *decoder) genotype(n *yaml.Node, g *Genotype) {
	ok := d.object(n, document, genotypeKeys, func(key string, n *yaml.Node) {
		switch key {
		case "version":
			d.number(n, "version", &g.Version)
		case "name":
			d.text(n, "name", &g.Name)
		case "source":
			d.text(n, "source", &g.Source)
		case "reported":
			d.reported(n, &g.Reported)
		case "cells":
			g.Cells = map[string]DAG{}
			d.entries(n, "cells", func(name string, key, value *yaml.Node) {
				place := cellPlace(name)
				d.lines[place] = key.Line
				g.Cells[name] = d.cell(value, place)
			})
		case "stages":
			d.list(n, "stages", func(i int, item *yaml.Node) {
				g.Stages = append(g.Stages, d.stage(item, fmt.Sprintf("stages[%d]", i)))
			})
		}
	})
	if !ok {
		*g = stub
	}
	if len(g.Stages) == 0 && len(g.Cells) == 0 && d.broken("stages", "cells") {
		*g = Genotype{Version: g.Version, Name: g.Name, Stages: stub.Stages}
	}
}

// stub is a valid genotype; it replaces parts that have faults.
var stub = Genotype{Version: Version, Name: "?", Stages: []Stage{{Cell: "?", DAG: stubDAG}}}

var stubDAG = DAG{Nodes: []Node{stubNode}, Out: []int{Inputs}}
var stubNode = Node{In: []Edge{{}}}

// broken reports whether the document has a fault at one of the places.
func (d *decoder) broken(places ...string) bool {
	return slices.ContainsFunc(d.faults, func(f fault) bool { return slices.Contains(places, f.place) })
}

func (d *decoder) reported(n *yaml.Node, r *Reported) {
	d.object(n, "reported", reportedKeys, func(key string, n *yaml.Node) {
		switch key {
		case "cifar10_error":
			d.percent(n, "reported.cifar10_error", &r.CIFAR10)
		case "imagenet_error":
			d.percent(n, "reported.imagenet_error", &r.ImageNet)
		case "source":
			d.text(n, "reported.source", &r.Source)
		}
	})
}

func (d *decoder) cell(n *yaml.Node, place string) DAG {
	var dag DAG
	if !d.object(n, place, dagKeys, func(key string, n *yaml.Node) { d.dag(n, place, key, &dag) }) {
		return stubDAG
	}
	return dag
}

func (d *decoder) stage(n *yaml.Node, place string) Stage {
	var s Stage
	d.lines[place] = n.Line
	ok := d.object(n, place, stageKeys, func(key string, n *yaml.Node) {
		switch key {
		case "cell":
			d.text(n, place+".cell", &s.Cell)
		case "reduce":
			d.text(n, place+".reduce", &s.Reduce)
		default:
			d.dag(n, place, key, &s.DAG)
		}
	})
	if !ok {
		return Stage{Cell: "?", DAG: stubDAG}
	}
	return s
}

// dag reads the part of a DAG that has the given key.
func (d *decoder) dag(n *yaml.Node, place, key string, dag *DAG) {
	switch key {
	case "nodes":
		d.list(n, place+".nodes", func(i int, item *yaml.Node) {
			dag.Nodes = append(dag.Nodes, d.node(item, place, i))
		})
	case "out":
		d.list(n, place+".out", func(i int, item *yaml.Node) {
			var state int
			at := outPlace(place, i)
			d.lines[at] = item.Line
			d.number(item, at, &state)
			dag.Out = append(dag.Out, state)
		})
	}
}

func (d *decoder) node(n *yaml.Node, place string, i int) Node {
	var node Node
	at := nodePlace(place, i)
	d.lines[at] = n.Line
	if !d.list(n, at, func(j int, item *yaml.Node) {
		node.In = append(node.In, d.edge(item, edgePlace(place, i, j)))
	}) {
		return stubNode
	}
	return node
}

func (d *decoder) edge(n *yaml.Node, place string) (e Edge) {
	d.lines[place] = n.Line
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || !isText(n.Content[0]) || n.Content[0].Value == Any {
		d.fault(n, place, "is %s, not one operation and the state that it reads, as in sep_conv_3x3: 0", kind(n))
		return e
	}
	e.Op = n.Content[0].Value
	d.number(n.Content[1], place, &e.From)
	return e
}
