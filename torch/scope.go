// Package torch is the door to libtorch: tensors with explicit lifetimes, errors that come back
// with the call, automatic differentiation, generators, devices and threads. It is the only
// package that imports gotch, of which it uses the raw binding alone, and it holds the C++ shim
// for what that binding lacks.
//
// All tensor work happens inside Do. Mathematics panics with *Error; Do returns it.
package torch

import "sync/atomic"

// Do runs f on the one thread that does all tensor work, in a new Scope, and returns f's error, or the
// *Error that f panicked with; any other panic goes on in the caller. Calls from several goroutines
// run one after the other. A Do inside a Do runs in place, in a scope of its own.
func Do(f func(s *Scope) error) error {
	var err error
	switch failure := run(func() { scoped(func(s *Scope) { err = f(s) }) }).(type) {
	case nil:
		return err
	case *Error:
		return failure
	default:
		panic(failure)
	}
}

// A Scope owns the tensors made while it is the innermost one, and frees them when it closes.
type Scope struct {
	parent *Scope
	owned  []*handle
}

// current is the innermost open scope. Only the tensor thread reads or writes it.
var current *Scope

// Within runs f in a scope inside the innermost one. Panics go through it, after the tensors made
// in f are freed.
func Within(f func(s *Scope)) {
	enter("scope")
	scoped(f)
}

func scoped(f func(s *Scope)) {
	s := &Scope{parent: current}
	current = s
	defer s.close()
	f(s)
}

// Keep takes t out of the scope that owns it and returns it. The caller now owns t and must Free
// it.
func (t Tensor) Keep() Tensor {
	if t.h != nil {
		t.h.owner = nil
	}
	return t
}

func (s *Scope) close() {
	for _, h := range s.owned {
		if h.owner == s {
			h.free()
		}
	}
	s.owned = nil
	current = s.parent
}

// Return hands t to the scope around s and returns it: t outlives s by one scope. In the
// outermost scope it does nothing.
func (s *Scope) Return(t Tensor) Tensor {
	if t.h != nil && t.h.owner == s && s.parent != nil {
		t.h.owner = s.parent
		s.parent.owned = append(s.parent.owned, t.h)
	}
	return t
}

var live, made atomic.Int64

// Live is the number of tensor handles that have been made and not yet freed.
func Live() int64 { return live.Load() }

// Made is the number of tensor handles that have been made so far.
func Made() int64 { return made.Load() }
