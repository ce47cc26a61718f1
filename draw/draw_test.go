package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/models/genotype"
)

// names of operations, some of which XML has to escape.
var names = []string{"skip_connect", "sep_conv_3x3", "max_pool_3x3", "<a&\"b'>", "]]>", "世界", "\x00\xff", genotype.Any}

// random has nodes with any number of edges, which may be parallel, and dead ones.
func random(t *rapid.T) genotype.DAG {
	below := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
	var d genotype.DAG
	n := below(9)
	for i := range n {
		var node genotype.Node
		for range below(5) {
			node.In = append(node.In, genotype.Edge{From: below(i + genotype.Inputs), Op: names[below(len(names))]})
		}
		d.Nodes = append(d.Nodes, node)
	}
	for s := range n + genotype.Inputs {
		if below(3) == 0 {
			d.Out = append(d.Out, s)
		}
	}
	if d.Out == nil {
		d.Out = []int{n + 1}
	}
	return d
}

// parsed holds the parts of a drawing that tests check.
type parsed struct {
	edges []string // "from to"
	texts []string
}

// parse fails the test if the drawing is not well-formed XML or has an invalid number.
func parse(svg []byte) (p parsed, err error) {
	if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
		return p, errors.New("a coordinate is not a number")
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF && depth == 0 {
			return p, nil
		} else if err != nil {
			return p, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			var from, to string
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "data-from":
					from = a.Value
				case "data-to":
					to = a.Value
				}
			}
			if from != "" {
				p.edges = append(p.edges, from+" "+to)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			p.texts = append(p.texts, string(token))
		}
	}
}

// check fails the test if an edge or a label of the DAGs is missing in their drawing.
func check(svg []byte, dags ...genotype.DAG) error {
	p, err := parse(svg)
	if err != nil {
		return err
	}
	var edges []string
	labels := map[string]int{}
	for _, d := range dags {
		for i, n := range d.Nodes {
			for _, e := range n.In {
				edges = append(edges, fmt.Sprint(e.From, i+genotype.Inputs))
				if e.Op != genotype.Any {
					labels[visible(e.Op)]++
				}
			}
			labels[fmt.Sprint(i)]++
		}
		for _, s := range d.Out {
			edges = append(edges, fmt.Sprint(s, len(d.Nodes)+genotype.Inputs))
		}
		labels["c"] += genotype.Inputs + 1
		labels["dead"] += len(d.Dead())
	}
	slices.Sort(edges)
	slices.Sort(p.edges)
	if !slices.Equal(edges, p.edges) {
		return fmt.Errorf("edges drawn are %v, not %v", p.edges, edges)
	}
	for _, text := range p.texts {
		labels[text]--
	}
	for text, missing := range labels {
		if missing > 0 {
			return fmt.Errorf("%d labels %q are missing", missing, text)
		}
	}
	return nil
}

// visible is text after a way through XML, which has no control characters and no broken UTF-8.
func visible(s string) string {
	return strings.NewReplacer("\x00", "\ufffd", "\xff", "\ufffd").Replace(s)
}

func draw(t interface {
	Helper()
	Fatal(...any)
}, f func(io.Writer) error) []byte {
	t.Helper()
	var first, second bytes.Buffer
	if err := errors.Join(f(&first), f(&second)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatal("two drawings of the same genotype differ")
	}
	return first.Bytes()
}

func TestPublished(t *testing.T) {
	for _, name := range append(genotype.Names(), "Hc_DAS_cells+Hs_DAS_CIFAR_stages") {
		g, err := genotype.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		var dags []genotype.DAG
		for _, d := range g.Cells {
			dags = append(dags, d)
		}
		for _, s := range g.Stages {
			dags = append(dags, s.DAG)
		}
		svg := draw(t, func(w io.Writer) error { return Genotype(w, g) })
		if err := check(svg, dags...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, d := range dags {
			if err := overlap(d); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := random(t)
		title := rapid.String().Draw(t, "title")
		s := genotype.Stage{Cell: title, DAG: d, Reduce: title}
		if err := check(draw(t, func(w io.Writer) error { return Cell(w, title, d) }), d); err != nil {
			t.Error(err)
		}
		if err := check(draw(t, func(w io.Writer) error { return Stage(w, title, s) }), d); err != nil {
			t.Error(err)
		}
		g := genotype.Genotype{Name: title, Source: title, Cells: map[string]genotype.DAG{title: d}, Stages: []genotype.Stage{s}}
		if err := check(draw(t, func(w io.Writer) error { return Genotype(w, g) }), d, d); err != nil {
			t.Error(err)
		}
		if err := overlap(d); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEmptyGenotypeIsAnEmptySheet(t *testing.T) {
	if err := check(draw(t, func(w io.Writer) error { return Genotype(w, genotype.Genotype{}) })); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	dense := genotype.DAG{Out: []int{101}}
	for i := range 100 {
		var n genotype.Node
		for from := range i + genotype.Inputs {
			n.In = append(n.In, genotype.Edge{From: from, Op: "skip_connect"})
		}
		dense.Nodes = append(dense.Nodes, n)
	}
	edge := genotype.DAG{Nodes: []genotype.Node{{In: []genotype.Edge{{From: 5, Op: "none"}}}}, Out: []int{2}}
	for want, d := range map[string]genotype.DAG{
		"the edges of its 100 nodes":        dense,
		"nodes[0].in[0] reads state 5":      edge,
		"out[0] is state -1":                {Out: []int{-1}},
		"draw cell x: out is missing":       {},
		"out[1] is state 0 a second time":   {Out: []int{0, 0}},
		"out[0] is state 2; it may be 0 to": {Out: []int{2}},
	} {
		for _, err := range []error{
			Cell(io.Discard, "x", d),
			Genotype(io.Discard, genotype.Genotype{Cells: map[string]genotype.DAG{"x": d}}),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, which lacks %q", err, want)
			}
		}
		if err := Stage(io.Discard, "x", genotype.Stage{DAG: d}); err == nil {
			t.Errorf("no error for a stage where %s", want)
		}
	}
	if err := Cell(full{}, "x", genotype.DAG{Out: []int{0}}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
