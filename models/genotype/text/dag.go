package text

import (
	"slices"
	"strconv"
	"strings"

	"hdas/models/genotype"
)

// list reads a list or a tuple, and calls item for each of its items. As in Python, a single item in
// parentheses is a tuple only if a comma follows it.
func (p *parser) list(what string, item func(i int)) {
	closing := ")"
	if p.is("[") {
		closing = "]"
	}
	begin := p.expect(what, p.is("(") || p.is("["))
	for i := 0; p.err == nil && !p.is(closing); i++ {
		item(i)
		if !p.is(closing) {
			p.expect(", or "+closing, p.is(","))
		} else if i == 0 && closing == ")" {
			p.fail(begin.at, "expected %s, found one item in parentheses, which is not a list without a comma after it", what)
		}
	}
	p.mark(closing)
}

// number reads the index of a state.
func (p *parser) number() state {
	const what = "the number of a state"
	t := p.expect(what, p.next.kind == number)
	n, err := strconv.Atoi(t.text)
	if err != nil || n < 0 || n > maxStates {
		p.fail(t.at, "expected %s, 0 to %d, found %s", what, maxStates, short(t.text))
	}
	return state{n, t.at}
}

// edge is (operation, state) or (operation, node, state).
type edge struct {
	op     token
	states []state
}

func (e edge) notation() string {
	if len(e.states) == 2 {
		return "an edge (operation, node, state)"
	}
	return "an edge (operation, state)"
}

// edge reads one edge of a cell or a stage. It may have the form (operation, node, state) only if may
// is true.
func (p *parser) edge(d *dag, may bool) (e edge) {
	at, known := p.next.at, p.known.Cell
	if d.stage > 0 {
		known = p.known.Stage
	}
	p.list("an edge such as ('skip_connect', 0)", func(i int) {
		if i > 0 {
			e.states = append(e.states, p.number())
			return
		}
		e.op = p.expect("an operation in quotes", p.next.kind == quoted && p.next.text != genotype.Any)
		if known != nil && !slices.Contains(known, e.op.text) {
			p.fail(e.op.at, "operation %s is unknown here; known are %s", short(e.op.text), strings.Join(known, ", "))
		}
	})
	if n := len(e.states); n != 1 && !(n == 2 && may) {
		p.fail(at, "expected an edge (operation, state), found %d numbers in it", n)
	}
	return e
}

// nodes reads the list of a cell or a stage. Its first item determines the notation.
func (p *parser) nodes(d *dag) {
	var notation string
	var left place // the place of an edge whose node has no second edge yet
	p.list("a list of edges or of nodes", func(i int) {
		at, to := p.next.at, i+genotype.Inputs
		if i >= 2*maxStates {
			p.fail(at, "expected at most %d edges or nodes", 2*maxStates)
			return
		}
		as := func(this string) {
			if i == 0 {
				notation = this
			} else if this != notation {
				p.fail(at, "expected %s, as before, found %s", notation, this)
			}
		}
		if !followedByText(p.lexer) {
			as("a node")
			d.Nodes = append(d.Nodes, genotype.Node{})
			p.list("a node, which is a list of edges", func(int) { p.add(d, to, p.edge(d, false)) })
			return
		}
		e := p.edge(d, true)
		as(e.notation())
		d.sparse = len(e.states) == 2
		if left = at; d.sparse || i%2 == 1 {
			left = place{}
		}
		p.add(d, i/2+genotype.Inputs, e)
	})
	if left != (place{}) {
		p.fail(left, "expected two edges for each node, found a last node with one edge")
	}
}

func followedByText(l lexer) bool {
	t, _ := l.scan()
	return t.kind == quoted
}

// add adds an edge to the node with state index to, or to the node that the edge itself names.
func (p *parser) add(d *dag, to int, e edge) {
	if p.err != nil {
		return
	}
	if d.sparse {
		node := e.states[0]
		if least := max(genotype.Inputs, len(d.Nodes)+genotype.Inputs-1); node.n < least {
			p.fail(node.at, "expected node %d or a later one, because nodes are in order, found %d", least, node.n)
			return
		}
		to = node.n
	}
	switch from := e.states[len(e.states)-1]; {
	case from.n >= to:
		p.fail(from.at, "expected a state that node %d may read, 0 to %d, found %d", to, to-1, from.n)
	case d.absent(from.n) && !d.sparse:
		p.fail(from.at, "expected a state with edges, found %d, which has none", from.n)
	case !d.absent(from.n):
		for len(d.Nodes) <= to-genotype.Inputs {
			d.Nodes = append(d.Nodes, genotype.Node{})
		}
		n := &d.Nodes[to-genotype.Inputs]
		n.In = append(n.In, genotype.Edge{From: from.n, Op: e.op.text})
	}
}

// absent reports whether a state is a node without edges.
func (d *dag) absent(s int) bool {
	i := s - genotype.Inputs
	return i >= len(d.Nodes) || i >= 0 && len(d.Nodes[i].In) == 0
}

// concat reads the states of an output: a list or range(first, end, step), possibly inside list() or
// tuple(). end is not included.
func (p *parser) concat(d *dag) {
	const what = "a list of states, or range(2, 6)"
	if p.next.kind != name {
		p.list(what, func(i int) {
			if d.ends = append(d.ends, p.number()); i > maxStates {
				p.fail(d.ends[i].at, "expected at most %d states in an output", maxStates)
			}
		})
		return
	}
	t := p.advance()
	around := t.text == "list" || t.text == "tuple"
	if around {
		p.mark("(")
		t = p.expect("range(2, 6)", p.next.kind == name)
	}
	if t.text != "range" || !p.is("(") {
		p.fail(t.at, "expected %s, found %v", what, t)
	}
	span := []int{}
	p.list("a first and a last state", func(int) { span = append(span, p.number().n) })
	if len(span) == 2 {
		span = append(span, 1)
	}
	if len(span) != 3 || span[2] < 1 || p.err != nil { // after an error the numbers are not limited
		p.fail(t.at, "expected range(first, end) or range(first, end, step)")
		return
	}
	for n := span[0]; n < span[1]; n += span[2] {
		d.ends = append(d.ends, state{n, t.at})
	}
	if around {
		p.mark(")")
	}
}

// finish checks the states of the output after everything is read, because an output may precede its
// nodes.
func (p *parser) finish(d *dag) {
	if !d.has || !d.hasConcat {
		p.fail(d.at, "expected both %s and %[1]s_concat, found only one of them", d.keyword)
	}
	first, last := genotype.Inputs, len(d.Nodes)+genotype.Inputs-1
	if d.stage > 0 {
		first = 0
	}
	for _, s := range d.ends {
		switch {
		case d.sparse && d.absent(s.n):
			continue
		case s.n < first || s.n > last:
			p.fail(s.at, "expected a state that can be in the output, %d to %d, found %d", first, last, s.n)
		case d.absent(s.n):
			p.fail(s.at, "expected a state with edges, found %d, which has none", s.n)
		case slices.Contains(d.Out, s.n):
			p.fail(s.at, "state %d is repeated", s.n)
		}
		d.Out = append(d.Out, s.n)
	}
}
