package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"

	"hdas/torch/kernel"
)

// Graph describes the computation of a cell. Its states are tensors (N,C,H,W). The first states are
// the cell's inputs; every other state is the sum of the terms that lead to it.
type Graph struct {
	Inputs, States int    // numbers of inputs and of all states, inputs included
	Terms          []Term // in ascending order of To
	Out            []int  // the states whose channels are concatenated to the result
}

// Term adds scale * mask * operation(state From) to state To.
type Term struct {
	From, To int
	Rounds   []Round // the operation, as consecutive rounds; empty for the identity
	Scale    *Scale  // nil means 1
	Masked   bool    // multiplied by the next of Pass.Masks, which has one for each masked term
}

// Scale refers to the factor of a term: one element of a tensor that each pass supplies.
type Scale struct {
	Tensor  int   // index in Pass.Scales
	Element int64 // index in row-major order
}

// Round is a kernel.Round with the tensors of its parameters. Parameters that the kernel.Round does
// not have are undefined.
type Round struct {
	kernel.Round
	Window, Point, Shifted Tensor // convolution weights, in the shapes that kernel.Round returns
	Gamma, Beta, Mean, Var Tensor // scale, shift and running statistics of the batch norm (Out)
}

// Program is a compiled Graph. It refers to the tensors of its parameters and uses the values that they
// hold at the time of a pass, so optimizer steps need no new compilation. Live counts it as one tensor
// until it is freed.
type Program struct {
	c      C.hdas_program
	graph  Graph
	scales []int64 // the least number of elements of each tensor of Pass.Scales
	masks  int
	bound  []Tensor  // the parameters, each once
	last   [][]int64 // the input shapes that were last checked and found to fit
}

// Pass holds what Program.Run needs besides the inputs.
type Pass struct {
	Scales []Tensor // the tensors that Scale refers to, of the inputs' element type
	// Masks holds a factor for each sample (N,1,1,1), one tensor for each masked term. An undefined
	// tensor, or a nil list, means 1.
	Masks     []Tensor
	Norm      kernel.Norm
	Recompute kernel.Recompute
	Path      kernel.Path
}

// Compile checks a graph and returns its program. The caller owns the program and must call Free; no
// scope does. Compile panics with *Error if a state, a shape or a geometry is invalid.
func Compile(g Graph) *Program {
	const op = "compile"
	enter(op)
	p := &Program{graph: g}
	p.check(op)
	e := encoder{index: map[*handle]int64{}}
	for _, t := range g.Terms {
		scale := Scale{-1, 0}
		if t.Scale != nil {
			scale = *t.Scale
			for len(p.scales) <= scale.Tensor {
				p.scales = append(p.scales, 0)
			}
			p.scales[scale.Tensor] = max(p.scales[scale.Tensor], scale.Element+1)
		}
		mask := -1
		if t.Masked {
			mask = p.masks
			p.masks++
		}
		e.put(int64(t.From), int64(t.To), int64(scale.Tensor), scale.Element, int64(mask), int64(len(t.Rounds)))
		for _, r := range t.Rounds {
			e.put(int64(cbool(r.ReLU)), int64(r.Kind()))
			for _, v := range [][2]int64{r.Kernel, r.Stride, r.Padding, r.Dilation, {r.In, r.Out}} {
				e.put(v[:]...)
			}
			for _, w := range []Tensor{r.Window, r.Point, r.Shifted, r.Gamma, r.Beta, r.Mean, r.Var} {
				e.put(e.tensor(w))
			}
		}
	}
	head := []int64{int64(g.Inputs), int64(g.States), int64(len(p.scales)), int64(p.masks), int64(len(g.Out))}
	for _, i := range g.Out {
		head = append(head, int64(i))
	}
	code := slices.Concat(head, []int64{int64(len(g.Terms))}, e.code)
	p.bound = e.tensors
	check(op, nil, C.hdas_compile(&p.c, first(e.tensors), C.int(len(e.tensors)), (*C.int64_t)(&code[0]), C.int(len(code))))
	live.Add(1)
	return p
}

// Adjacent returns the parameters that kernel.Grouped joins, in an order in which they need not be copied for
// that if they lie in memory one after another (Flatten). The program's caller keeps owning them.
func (p *Program) Adjacent() []Tensor {
	enter("adjacent")
	at := make([]C.int, len(p.bound)+1)
	var n C.int
	check("adjacent", nil, C.hdas_adjacent(p.c, &at[0], &n))
	out := make([]Tensor, n)
	for i := range out {
		out[i] = p.bound[at[i]]
	}
	return out
}

// Free frees the program; a second call does nothing.
func (p *Program) Free() {
	if p.c != nil {
		C.hdas_program_free(p.c)
		p.c = nil
		live.Add(-1)
	}
}

// Run computes the cell for inputs (N,C,H,W) and returns the result, owned by the innermost scope. It
// panics with *Error if the inputs or the pass do not fit the program. Results of the
// paths differ only by rounding; those of the kernels are in the channels_last format.
func (p *Program) Run(in []Tensor, how Pass) Tensor {
	const op = "cell"
	enter(op)
	if p.c == nil {
		panic("torch: program used after it was freed")
	}
	p.fit(op, in, how)
	masks := how.Masks
	if masks == nil {
		masks = make([]Tensor, p.masks)
	}
	var out C.ht
	check(op, in, C.hdas_run(&out, p.c, first(in), first(how.Scales), first(masks), C.int(how.Norm), C.int(how.Recompute), C.int(how.Path)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// first returns a pointer to the C handles of ts, NULL for each undefined tensor. It returns nil for an
// empty list.
func first(ts []Tensor) *C.ht {
	if len(ts) == 0 {
		return nil
	}
	out := make([]C.ht, len(ts))
	for i, t := range ts {
		if t.Defined() {
			out[i] = t.ht()
		}
	}
	return &out[0]
}

// encoder writes a graph as a list of numbers for C (hdas_compile in shim.h). Tensors are written as
// their index in one list.
type encoder struct {
	code    []int64
	tensors []Tensor
	index   map[*handle]int64
}

func (e *encoder) put(v ...int64) { e.code = append(e.code, v...) }

func (e *encoder) tensor(t Tensor) int64 {
	if !t.Defined() {
		return -1
	}
	i, ok := e.index[t.h]
	if !ok {
		i = int64(len(e.tensors))
		e.index[t.h], e.tensors = i, append(e.tensors, t)
	}
	return i
}

// check panics with *Error if the graph is invalid for all inputs.
func (p *Program) check(op string) {
	g := p.graph
	fail := func(shapes [][]int64, format string, args ...any) {
		panic(&Error{Op: op, Shapes: shapes, Err: fmt.Errorf(format, args...)})
	}
	if g.Inputs < 1 || g.States < g.Inputs || len(g.Out) == 0 {
		fail(nil, "%d inputs, %d states, %d outputs: at least one input and one output are needed", g.Inputs, g.States, len(g.Out))
	}
	for _, i := range g.Out {
		if i < 0 || i >= g.States {
			fail(nil, "output %d is not in 0..%d", i, g.States-1)
		}
	}
	last := g.Inputs
	for n, t := range g.Terms {
		where := fmt.Sprintf("term %d, from state %d to state %d", n, t.From, t.To)
		if t.From < 0 || t.From >= t.To || t.To < last || t.To >= g.States {
			fail(nil, "%s: states are sums of earlier ones, in ascending order, of %d states after %d inputs", where, g.States, g.Inputs)
		}
		last = t.To
		if t.Scale != nil && (t.Scale.Tensor < 0 || t.Scale.Element < 0) {
			fail(nil, "%s: scale %+v is negative", where, *t.Scale)
		}
		for i, r := range t.Rounds {
			if err := r.Check(); err != nil {
				fail(nil, "%s, round %d: %w", where, i, err)
			}
			if i > 0 && (t.Rounds[i-1].Out != r.In || r.Kind().Weightless() || t.Rounds[i-1].Norm && !r.ReLU) {
				fail(nil, "%s, round %d: %v of %d channels behind a round of %d; poolings and zeros stand alone, and a ReLU follows a batch norm", where, i, r.Kind(), r.In, t.Rounds[i-1].Out)
			}
			r.checkTensors(func(name string, got Tensor, want []int64) {
				shapes := [][]int64{want, nil}
				if got.Defined() {
					shapes[1] = got.Shape()
				}
				fail(shapes, "%s, round %d, %v: the %s needs the first shape and has the second", where, i, r.Kind(), name)
			})
		}
	}
}

// checkTensors calls fail if a parameter is missing, unexpected or of the wrong shape.
func (r Round) checkTensors(fail func(name string, got Tensor, want []int64)) {
	var norm, affine []int64
	if r.Norm {
		norm = []int64{r.Out}
	}
	if r.Affine {
		affine = norm
	}
	for _, w := range []struct {
		name string
		got  Tensor
		want []int64
	}{
		{"window", r.Window, r.WindowShape()}, {"1x1 convolution", r.Point, r.PointShape()}, {"shifted 1x1 convolution", r.Shifted, r.ShiftedShape()},
		{"scale", r.Gamma, affine}, {"shift", r.Beta, affine}, {"running mean", r.Mean, norm}, {"running variance", r.Var, norm},
	} {
		if (w.want != nil) != w.got.Defined() || w.want != nil && !slices.Equal(w.got.Shape(), w.want) && !fully(w.got.Shape(), w.want) {
			fail(w.name, w.got, w.want)
		}
	}
}

// fully reports whether a weight is that of a fully connected layer (K,C) instead of a 1x1 convolution's (K,C,1,1).
func fully(got, want []int64) bool {
	return len(got) == 2 && len(want) == 4 && slices.Equal(slices.Concat(got, []int64{1, 1}), want)
}

// fit panics with *Error if the inputs or the pass do not fit the program.
func (p *Program) fit(op string, in []Tensor, how Pass) {
	shapes := make([][]int64, len(in))
	for i, t := range in {
		shapes[i] = t.Shape()
	}
	fail := func(format string, args ...any) {
		panic(&Error{Op: op, Shapes: shapes, Err: fmt.Errorf(format, args...)})
	}
	if len(in) != p.graph.Inputs {
		fail("%d inputs, not %d", len(in), p.graph.Inputs)
	}
	if len(how.Scales) != len(p.scales) {
		fail("%d tensors of scales, not %d", len(how.Scales), len(p.scales))
	}
	for i, s := range how.Scales {
		if !s.Defined() || s.Numel() < p.scales[i] {
			fail("scales %d: %v, but at least %d elements are read", i, s, p.scales[i])
		}
	}
	if how.Masks != nil && len(how.Masks) != p.masks {
		fail("%d masks, not %d", len(how.Masks), p.masks)
	}
	if !slices.EqualFunc(shapes, p.last, slices.Equal) {
		p.infer(shapes, fail)
		p.last = shapes
	}
	for i, m := range how.Masks {
		if m.Defined() && m.Numel() != shapes[0][0] {
			fail("mask %d: %v for %d samples", i, m, shapes[0][0])
		}
	}
}

// infer computes the shapes of all states from the shapes of the inputs, and calls fail if they do not
// fit.
func (p *Program) infer(in [][]int64, fail func(string, ...any)) {
	states := make([][]int64, p.graph.States)
	for i, s := range in {
		if len(s) != 4 || slices.Min(s) < 1 || s[0] != in[0][0] {
			fail("input %d is not (N,C,H,W) with the same N as the others", i)
		}
		states[i] = s
	}
	for n, t := range p.graph.Terms {
		s := states[t.From]
		if s == nil {
			fail("term %d reads state %d, into which nothing is summed", n, t.From)
		}
		for _, r := range t.Rounds {
			if s[1] != r.In {
				fail("term %d, from state %d to state %d: %v of %d channels on %v", n, t.From, t.To, r.Kind(), r.In, s)
			}
			h, w, err := r.Size(s[2], s[3])
			if err != nil {
				fail("term %d, from state %d to state %d: %w", n, t.From, t.To, err)
			}
			s = []int64{s[0], r.Out, h, w}
		}
		if sum := states[t.To]; sum == nil {
			states[t.To] = s
		} else if !slices.Equal(sum, s) {
			fail("term %d: %v in a sum of %v", n, s, sum)
		}
	}
	for _, i := range p.graph.Out {
		a, b := states[p.graph.Out[0]], states[i]
		if b == nil || !slices.Equal(a[2:], b[2:]) {
			fail("outputs of %v and %v side by side", a, b)
		}
	}
}
