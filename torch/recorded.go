package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
)

// Recorded is work of a CUDA device that was recorded once and can be repeated with one launch (a CUDA graph).
// It reads and writes the memory of the tensors that were used while it was recorded. The caller must call Free.
type Recorded struct {
	c    C.hdas_graph
	kept *Scope // owns the tensors that f left
}

// Record runs f, which must not wait for the device d nor upload anything: its operations on d are recorded, and
// computed at each Replay alone. The graph owns the tensors that f makes and does not free. A graph that is replayed
// after another one, never meanwhile, shares the memory that was free after f if before is that one; else before
// is nil. Random numbers are drawn anew at each Replay. If an operation cannot be recorded, Record panics with
// *Error.
func Record(d Device, before *Recorded, f func()) *Recorded {
	const op = "record"
	enter(op)
	if !d.IsCUDA() {
		panic(&Error{Op: op, Err: fmt.Errorf("work on %v cannot be recorded, only that of CUDA devices", d)})
	}
	g := &Recorded{kept: &Scope{}}
	var shared C.hdas_graph
	if before != nil {
		shared = before.c
	}
	check(op, nil, C.hdas_graph_begin(&g.c, C.int(d.c()), shared))
	live.Add(1)
	outer, done := current, false
	current, recording = g.kept, true
	defer func() {
		current, recording = outer, false
		if !done {
			g.Free()
		}
	}()
	f()
	check(op, nil, C.hdas_graph_end(g.c))
	done = true
	return g
}

// recording is whether a graph is being recorded. Only the tensor thread reads or writes it.
var recording bool

// Recording reports whether it is called by the function that Record runs.
func Recording() bool { return recording }

// Replay enqueues the recorded work on the device.
func (g *Recorded) Replay() {
	enter("replay")
	check("replay", nil, C.hdas_graph_replay(g.c))
}

// Free frees the graph and the tensors that were made while it was recorded. It does nothing if g is nil.
func (g *Recorded) Free() {
	if g == nil || g.c == nil {
		return
	}
	for _, h := range g.kept.owned {
		if h.owner == g.kept {
			h.free()
		}
	}
	C.hdas_graph_free(g.c)
	g.c = nil
	live.Add(-1)
}

// Replayer computes a function of tensors again and again: on a CUDA device, it records the function and replays
// the graph. The zero Replayer calls the function each time.
type Replayer struct {
	On bool // records functions of CUDA tensors; others are called

	before  *Replayer // its graph is replayed before this one's, and they share memory
	key     any
	shapes  [][]int64
	calls   int // with key and shapes
	graph   *Recorded
	in, out []Tensor // of the graph
}

// After makes r share memory with the Replayer that is called before it.
func (r *Replayer) After(before *Replayer) { r.before = before }

// Warm is the number of calls of a Replayer before it records: in them libraries choose algorithms and allocate what
// they keep.
const Warm = 2

// Call returns f(in), whose tensors may be undefined, on the innermost scope. in are defined. f depends on nothing
// that changes but in, key, random numbers, and the elements of tensors that keep their memory, such as weights.
// When key changes, f is recorded anew. With shapes other than those of the first two calls it is called.
func (r *Replayer) Call(key any, in []Tensor, f func(in []Tensor) []Tensor) []Tensor {
	if !r.On || !in[0].Device().IsCUDA() {
		return f(in)
	}
	switch same := r.fits(in); {
	case !same && (r.calls > 1 || r.calls == 1 && in[0].Size(0) < r.shapes[0][0]): // a smaller batch at the end of an epoch
		return f(in)
	case !same || r.key != key:
		warmed := min(r.calls, Warm-1) // libraries are warm, but a key that changes each time is not worth recording
		r.Free()
		r.key, r.calls, r.shapes = key, warmed, nil
		for _, t := range in {
			r.shapes = append(r.shapes, t.Shape())
		}
	}
	r.calls++
	if r.calls <= Warm {
		return f(in)
	}
	if r.graph == nil {
		r.record(in, f)
	}
	CopyAll(r.in, in)
	r.graph.Replay()
	return r.results()
}

// fits reports whether in have the shapes that are recorded, or will be.
func (r *Replayer) fits(in []Tensor) bool {
	if len(r.shapes) != len(in) {
		return false
	}
	for i, t := range in {
		if !slices.Equal(r.shapes[i], t.Shape()) {
			return false
		}
	}
	return true
}

func (r *Replayer) record(in []Tensor, f func(in []Tensor) []Tensor) {
	r.in = CloneAll(in)
	for _, t := range r.in {
		t.Keep()
	}
	var before *Recorded
	if r.before != nil {
		before = r.before.graph
	}
	r.graph = Record(in[0].Device(), before, func() {
		Within(func(s *Scope) {
			for _, t := range f(r.in) {
				if t.Defined() {
					t = s.Return(t.Detach())
				}
				r.out = append(r.out, t)
			}
		})
	})
}

// results returns copies of what the last replay has computed.
func (r *Replayer) results() []Tensor {
	results := make([]Tensor, len(r.out))
	made := CloneAll(defined(r.out))
	for i, t := range r.out {
		if t.Defined() {
			results[i], made = made[0], made[1:]
		}
	}
	return results
}

// Free frees the graph. The next calls record anew.
func (r *Replayer) Free() {
	r.graph.Free()
	for _, t := range r.in {
		t.Free()
	}
	*r = Replayer{On: r.On, before: r.before}
}
