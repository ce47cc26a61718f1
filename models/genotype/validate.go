package genotype

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Ops reports which operations the edges of cells and of stages may have. A nil function allows all.
type Ops struct{ Cell, Stage func(op string) bool }

// chains lists the two sets of names that the cells of a chain can have.
var chains = [][]string{{"normal", "reduce"}, {"normal1", "reduce1", "normal2", "reduce2", "normal3"}}

// Validate returns an error that lists all faults of g with their places, or nil.
func (g Genotype) Validate(known Ops) error {
	if err := g.check(known).join(); err != nil {
		return fmt.Errorf("genotype %s: %w", g.Name, err)
	}
	return nil
}

// Validate returns an error that lists all states that an edge or the output of d reads but that do not
// exist, or nil.
func (d DAG) Validate() error {
	var f faults
	d.check(&f, "", rules{from: 0})
	return f.join()
}

func (g Genotype) check(known Ops) faults {
	var f faults
	if g.Version != Version {
		f.add("version", "is %d; this program reads version %d", g.Version, Version)
	}
	if strings.TrimSpace(g.Name) == "" {
		f.add("name", "is missing")
	}
	g.Reported.check(&f)
	if len(g.Cells) == 0 && len(g.Stages) == 0 {
		f.add("cells", "are missing, and so are stages; a genotype has either or both")
	}
	for _, name := range g.CellNames() {
		// A node without edges has no output, and the inputs of a reduction cell have another resolution
		// than its nodes.
		g.Cells[name].check(&f, cellPlace(name), rules{known: known.Cell, from: Inputs, full: true})
	}
	for i, s := range g.Stages {
		g.checkStage(&f, i, s, known.Stage)
	}
	if len(g.Cells) > 0 && len(g.Stages) == 0 {
		g.checkChain(&f)
	}
	return f
}

func (r Reported) check(f *faults) {
	percent := func(key string, v float64) {
		if !(v >= 0 && v < 100) { // not a number is neither
			f.add(within("reported", key), "is %v; an error is above 0 and below 100 percent", v)
		}
	}
	percent("cifar10_error", r.CIFAR10)
	percent("imagenet_error", r.ImageNet)
	if r != (Reported{}) && strings.TrimSpace(r.Source) == "" {
		f.add("reported.source", "is missing; it says who reports that")
	}
}

func (g Genotype) checkStage(f *faults, i int, s Stage, known func(string) bool) {
	place := fmt.Sprintf("stages[%d]", i)
	if len(s.Nodes) == 0 {
		f.add(place+".nodes", "are missing; a stage has at least one cell")
	}
	for n, node := range s.Nodes {
		if len(node.In) == 0 {
			f.add(nodePlace(place, n), "has no edge; a cell of a stage reads at least one state")
		}
	}
	// A stage of a single cell ends with that cell and an input, the last two states.
	s.DAG.check(f, place, rules{known: known})
	g.refers(f, place+".cell", s.Cell)
	switch last := i == len(g.Stages)-1; {
	case last && s.Reduce != "":
		f.add(place+".reduce", "is %q, but no reduction cell follows the last stage; leave it out", s.Reduce)
	case !last && s.Reduce == "":
		f.add(place+".reduce", "is missing; a reduction cell follows every stage but the last")
	case !last:
		g.refers(f, place+".reduce", s.Reduce)
	}
}

// refers checks that the named cell exists. It checks nothing if the genotype has no cells.
func (g Genotype) refers(f *faults, place, cell string) {
	switch {
	case cell == "":
		f.add(place, "is missing")
	case len(g.Cells) > 0 && !g.has(cell):
		f.add(place, "is %q; the cells are %s", cell, strings.Join(g.CellNames(), ", "))
	}
}

func (g Genotype) checkChain(f *faults) {
	var ways []string
	for _, chain := range chains {
		missing := g.lacks(chain)
		if len(missing) == 0 {
			return
		}
		ways = append(ways, fmt.Sprintf("%s (lacks %s)", strings.Join(chain, ", "), strings.Join(missing, ", ")))
	}
	f.add("cells", "are %s; without stages they are to be %s", strings.Join(g.CellNames(), ", "), strings.Join(ways, " or "))
}

// rules holds the differences between cells and stages.
type rules struct {
	known func(op string) bool
	from  int  // the first state that may be an output
	full  bool // states without edges must not be read
}

func (d DAG) check(f *faults, place string, r rules) {
	empty := func(s int) bool { return r.full && s >= Inputs && len(d.Nodes[s-Inputs].In) == 0 }
	for i, n := range d.Nodes {
		for j, e := range n.In {
			at := edgePlace(place, i, j)
			switch last := i + Inputs - 1; {
			case e.From < 0 || e.From > last:
				f.add(at, "reads state %d; it may read 0 to %d", e.From, last)
			case empty(e.From):
				f.add(at, "reads state %d, which has no edge", e.From)
			}
			if r.known != nil && !r.known(e.Op) {
				f.add(at, "has the operation %q, which is unknown here", e.Op)
			}
		}
	}
	if len(d.Out) == 0 {
		f.add(outPlace(place, -1), "is missing; it lists the states that make the output")
	}
	seen := map[int]bool{}
	for i, s := range d.Out {
		switch last := Inputs + len(d.Nodes) - 1; {
		case s < r.from || s > last:
			if allowed := fmt.Sprintf("%d to %d", r.from, last); last >= r.from {
				f.add(outPlace(place, i), "is state %d; it may be %s", s, allowed)
			} else {
				f.add(outPlace(place, i), "is state %d, but there are no nodes", s)
			}
		case empty(s):
			f.add(outPlace(place, i), "is state %d, which has no edge; leave it out", s)
		case seen[s]:
			f.add(outPlace(place, i), "is state %d a second time", s)
		}
		seen[s] = true
	}
}

// simple matches names that need no quotes in a place.
var simple = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func cellPlace(name string) string {
	if simple.MatchString(name) {
		return "cells." + name
	}
	return fmt.Sprintf("cells[%q]", name)
}

func nodePlace(dag string, i int) string    { return within(dag, fmt.Sprintf("nodes[%d]", i)) }
func edgePlace(dag string, i, j int) string { return nodePlace(dag, i) + fmt.Sprintf(".in[%d]", j) }

// outPlace returns the place of output i, or of the list of outputs if i is -1.
func outPlace(dag string, i int) string {
	if i < 0 {
		return within(dag, "out")
	}
	return within(dag, fmt.Sprintf("out[%d]", i))
}

func within(place, part string) string {
	if place == "" {
		return part
	}
	return place + "." + part
}

// fault is one fault: its place and, if it is in a file, its line, else 0.
type fault struct {
	line        int
	place, text string
}

func (f fault) Error() string {
	if f.line > 0 {
		return fmt.Sprintf("line %d: %s %s", f.line, f.place, f.text)
	}
	return f.place + " " + f.text
}

// faults is the list of the faults of one genotype.
type faults []fault

// add appends a fault of the given place.
func (f *faults) add(place, format string, args ...any) {
	*f = append(*f, fault{0, place, fmt.Sprintf(format, args...)})
}

// maxFaults limits the number of faults in an error text.
const maxFaults = 100

func (f faults) join() error {
	var all []error
	for i, one := range f {
		if i == maxFaults {
			all = append(all, fmt.Errorf("and %d more", len(f)-maxFaults))
			break
		}
		all = append(all, one)
	}
	return errors.Join(all...)
}
