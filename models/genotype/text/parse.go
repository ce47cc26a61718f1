// Package text reads and writes genotypes in the notation of the DARTS program: the Python expression
// that its search prints, and that the file genotypes.py of many programs contains. It parses the text
// and never evaluates it.
//
// A text is a call of Genotype, Genotype2 or Genotype3, optionally preceded by "NAME =", and by
// what a logger writes at the beginning of a line. All arguments
// have keywords, in any order: normal and reduce, or normal1, reduce1, normal2 and so on, for cells;
// DAG1, DAG2 and so on, or stage1 and so on, for stages; and the same names followed by _concat for
// their outputs. A cell or a stage is a list
//
//   - of edges (operation, state), two for each node, as in DARTS;
//   - of nodes, each a list of such edges, as in H-DAS;
//   - of edges (operation, node, state) in the order of the nodes, as in FairDARTS. A node without
//     edges is removed from the output, together with all edges that read it.
//
// An output is a list of states, or a range such as range(2, 6). Lists are in brackets or parentheses,
// strings in either kind of quotes. Comments, line breaks and a comma after the last item are allowed
// where Python allows them inside parentheses.
package text

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hdas/models/genotype"
)

const (
	maxText   = 64 << 10 // bytes; the longest known genotype has 2,000
	maxStates = 1000     // of one cell or stage
)

// Known lists the operations that the edges of cells and of stages may have. A nil list allows all.
type Known struct{ Cell, Stage []string }

// Parse returns the single genotype in a text. Its name is that of the text, or name if the text has
// none. An error gives the line and the column of the first fault.
func Parse(r io.Reader, name string, known Known) (genotype.Genotype, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return genotype.Genotype{}, err
	}
	if len(data) > maxText {
		return genotype.Genotype{}, fmt.Errorf("genotype text: it is larger than %d bytes", maxText)
	}
	if nasBench201.Match(data) {
		return genotype.Genotype{}, fmt.Errorf("genotype text: %w", errNASBench201)
	}
	p := parser{lexer: lexer{strings.TrimPrefix(string(data), "\ufeff"), place{1, 1}}, known: known}
	p.skipLog()
	p.advance()
	g := p.genotype(name)
	if p.err != nil {
		return genotype.Genotype{}, fmt.Errorf("genotype text: %w", p.err)
	}
	return g, nil
}

// parser holds the state of parsing a text. After the first fault it behaves as if the text ended.
type parser struct {
	lexer
	next  token
	err   error
	known Known
	dags  []*dag
}

// dag is a cell or a stage, as far as it has been read.
type dag struct {
	genotype.DAG
	keyword        string  // without _concat
	stage          int     // the stage's number, from 1; 0 for a cell
	at             place   // the place of its first keyword
	sparse         bool    // its edges name their nodes
	ends           []state // the states of the output, as written
	has, hasConcat bool
}

// state is the index of a state and its place in the text.
type state struct {
	n  int
	at place
}

func (p *parser) advance() token {
	t := p.next
	if p.err == nil {
		p.next, p.err = p.scan()
	}
	if p.err != nil {
		p.next = token{at: t.at}
	}
	return t
}

func (p *parser) fail(at place, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%v: %s", at, fmt.Sprintf(format, args...))
		p.next = token{at: at}
	}
}

// expect takes and returns the next token if ok is true; else it fails and says what was expected.
func (p *parser) expect(what string, ok bool) token {
	if !ok {
		p.fail(p.next.at, "expected %s, found %v", what, p.next)
	}
	return p.advance()
}

func (p *parser) is(m string) bool { return p.next.kind == mark && p.next.text == m }

func (p *parser) mark(m string) { p.expect(short(m), p.is(m)) }

func (p *parser) genotype(called string) genotype.Genotype {
	const want = "a call such as Genotype(normal=[...], normal_concat=[...], ...)"
	first := p.expect(want+", or NAME = before one", p.next.kind == name)
	if p.is("=") {
		if first.text != "genotype" { // the word of DARTS' log, no name
			called = first.text
		}
		p.advance()
		first = p.expect(want, p.next.kind == name)
	}
	if last := first.text[strings.LastIndex(first.text, ".")+1:]; !callee.MatchString(last) {
		p.fail(first.at, "expected %s, found %v", want, first)
	}
	p.mark("(")
	for i := 0; p.err == nil && !p.is(")"); i++ {
		if i > 0 {
			p.expect(", or )", p.is(","))
		}
		if !p.is(")") {
			p.argument()
		}
	}
	p.mark(")")
	p.expect("nothing more: one genotype to a text", p.next.kind == end)
	if p.err != nil {
		return genotype.Genotype{}
	}
	return p.assemble(called, first.at)
}

var (
	callee     = regexp.MustCompile(`^Genotype[0-9]?$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	keyword    = regexp.MustCompile(`^((?:normal|reduce)[0-9]{0,3}|(?:DAG|stage)([1-9][0-9]{0,2}))(_concat)?$`)
)

// argument reads a keyword and its value.
func (p *parser) argument() {
	k := p.expect("a keyword", p.next.kind == name)
	parts := keyword.FindStringSubmatch(k.text)
	if parts == nil {
		p.fail(k.at, "the keyword %s is unknown; known are normal, reduce, normal1, reduce1, ..., DAG1, DAG2, ..., and each with _concat", short(k.text))
		return
	}
	p.mark("=")
	i := slices.IndexFunc(p.dags, func(d *dag) bool { return d.keyword == parts[1] })
	if i < 0 {
		stage, _ := strconv.Atoi(parts[2]) // "" is a cell
		i, p.dags = len(p.dags), append(p.dags, &dag{keyword: parts[1], stage: stage, at: k.at})
	}
	d := p.dags[i]
	given, read := &d.has, p.nodes
	if parts[3] != "" {
		given, read = &d.hasConcat, p.concat
	}
	if *given {
		p.fail(k.at, "%s is repeated", k.text)
	}
	*given = true
	read(d)
}

// assemble returns the genotype of everything that was read. at is the place of the call.
func (p *parser) assemble(called string, at place) genotype.Genotype {
	g := genotype.Genotype{Version: genotype.Version, Name: called}
	over := g
	var stages []*dag
	for _, d := range p.dags {
		p.finish(d)
		if d.stage > 0 {
			stages = append(stages, d)
			continue
		}
		if g.Cells == nil {
			g.Cells = map[string]genotype.DAG{}
		}
		g.Cells[d.keyword] = d.DAG
	}
	slices.SortStableFunc(stages, func(a, b *dag) int { return a.stage - b.stage })
	for i, d := range stages {
		if d.stage != i+1 {
			p.fail(d.at, "%s is not stage %d; stages must be numbered 1, 2, ..., each once", d.keyword, i+1)
		}
		s := genotype.Stage{Cell: "normal", DAG: d.DAG}
		if i < len(stages)-1 {
			s.Reduce = "reduce"
		}
		over.Stages = append(over.Stages, s)
	}
	var err error
	switch {
	case len(g.Cells) == 0:
		g = over
	case len(over.Stages) > 0:
		g, err = genotype.Combine(g, over)
		g.Name = called
	}
	if err == nil {
		err = g.Validate(genotype.Ops{})
	}
	if err != nil {
		p.fail(at, "%v", err)
	}
	return g
}
