//go:build ignore

// Generate writes published genotypes as files into a folder, from a JSON file that holds them as
// their authors' programs or figures do:
//
//	go run models/genotype/published/generate.go FILE.json models/genotype/published NAME...
//
// Edges keep the published order, as the names of parameters depend on it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// entry is a genotype: its DAGs, their outputs as KEY_concat, and other keys.
type entry map[string]json.RawMessage

type source struct{ Repo, Path, Commit, Figure string }

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: generate FILE.json FOLDER NAME...")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(file, folder string, names []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all struct {
		Genotypes map[string]entry
		Figures   map[string]json.RawMessage `json:"hdas_figures"` // one is a note
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range names {
		e, ok := all.Genotypes[name]
		if figure, is := all.Figures[name]; is && !ok {
			if err := json.Unmarshal(figure, &e); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if e == nil {
			return fmt.Errorf("%s holds no genotype %q", file, name)
		}
		g, err := convert(name, e)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var text bytes.Buffer
		if err := errors.Join(g.Validate(genotype.Ops{}), g.Encode(&text)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func convert(name string, e entry) (genotype.Genotype, error) {
	g := genotype.Genotype{Version: genotype.Version, Name: name}
	var s source
	if err := json.Unmarshal(e["source"], &s); err != nil {
		return g, fmt.Errorf("source: %w", err)
	}
	g.Source = fmt.Sprintf("%s %s @ %.12s", s.Repo, s.Path, s.Commit)
	if s.Figure != "" {
		g.Source = fmt.Sprintf("%s %s @ %.12s, transcribed by eye", s.Repo, s.Figure, s.Commit)
	}
	var keys []string
	for key := range e {
		if _, ok := e[key+"_concat"]; ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		d, err := dag(e, key)
		if err != nil {
			return g, fmt.Errorf("%s: %w", key, err)
		}
		if !strings.HasPrefix(key, "DAG") {
			if g.Cells == nil {
				g.Cells = map[string]genotype.DAG{}
			}
			g.Cells[key] = d
			continue
		}
		stage := genotype.Stage{Cell: "normal", DAG: d}
		if i < len(keys)-1 {
			stage.Reduce = "reduce"
		}
		g.Stages = append(g.Stages, stage)
	}
	return g, nil
}

// dag reads one DAG: a list of nodes, each a list of edges (operation, from); or a list of edges
// (operation, from), two to a node; or one of edges (operation, to, from), whose nodes without
// edges leave the output.
func dag(e entry, key string) (d genotype.DAG, err error) {
	if err := json.Unmarshal(e[key+"_concat"], &d.Out); err != nil {
		return d, err
	}
	var nodes [][]edge
	if json.Unmarshal(e[key], &nodes) == nil {
		for _, in := range nodes {
			var n genotype.Node
			for _, one := range in {
				n.In = append(n.In, one.Edge)
			}
			d.Nodes = append(d.Nodes, n)
		}
		return d, nil
	}
	var edges []edge
	if err := json.Unmarshal(e[key], &edges); err != nil {
		return d, err
	}
	d.Nodes = make([]genotype.Node, slices.Max(d.Out)-genotype.Inputs+1)
	for i, one := range edges {
		to := one.to
		if to == 0 {
			to = i/2 + genotype.Inputs
		}
		for to >= genotype.Inputs+len(d.Nodes) {
			d.Nodes = append(d.Nodes, genotype.Node{})
		}
		n := &d.Nodes[to-genotype.Inputs]
		n.In = append(n.In, one.Edge)
	}
	// An edge that reads a node without edges carries nothing either: FairDARTS passes over it.
	absent := func(s int) bool { return s >= genotype.Inputs && len(d.Nodes[s-genotype.Inputs].In) == 0 }
	for i := range d.Nodes {
		n := &d.Nodes[i]
		n.In = slices.DeleteFunc(n.In, func(e genotype.Edge) bool { return absent(e.From) })
	}
	d.Out = slices.DeleteFunc(d.Out, absent)
	return d, nil
}

// edge is (operation, from) or (operation, to, from).
type edge struct {
	genotype.Edge
	to int // 0: not said
}

func (e *edge) UnmarshalJSON(data []byte) error {
	var parts []any
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 && len(parts) != 3 {
		return fmt.Errorf("%s is no edge", data)
	}
	op, ok := parts[0].(string)
	var states []int
	for _, p := range parts[1:] {
		s, whole := p.(float64)
		ok = ok && whole
		states = append(states, int(s))
	}
	if !ok {
		return fmt.Errorf("%s is no edge", data)
	}
	e.Op, e.From = op, states[len(states)-1]
	if len(states) == 2 {
		e.to = states[0]
	}
	return nil
}
