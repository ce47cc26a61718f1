// Package torch gives Go access to libtorch: tensors, automatic differentiation, optimizer steps,
// random number generators, devices and threads. It is the only package that imports gotch, and it
// uses only gotch's raw binding libtch. Its C++ files add what that binding lacks, and compute the
// cells of a network on the CPU (Program).
//
// All tensor work happens inside Do. An operation that fails panics with *Error; Do recovers it and
// returns it as an error.
//
// # Who frees a tensor
//
// Tensors are freed by scopes, not by the garbage collector. Each function or method that returns a
// new Tensor gives it to the innermost open Scope, which frees it when it closes. This includes
// results that share their elements with an operand, such as those of Detach, Narrow or Select.
// Three methods change this:
//
//   - t.Keep takes t out of its scope. The caller then owns t and must call t.Free.
//   - s.Return moves t from the scope s to the scope around s.
//   - t.Free frees t at once.
//
// Methods whose name ends in an underscore change t in place and return t, with the same owner.
// Functions do not take ownership of their arguments unless their comment says so.
package torch

import "sync/atomic"

// Do runs f in a new Scope on the one OS thread that does all tensor work, and waits for it. It returns
// f's error, or the *Error that f panicked with; any other panic continues in the caller. Calls from
// several goroutines run one after the other. A call of Do inside f runs at once, in a nested scope.
// When Do returns, all tensors of the scope are freed.
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

// A Scope owns the tensors that are made while it is the innermost open scope, and frees them when
// it closes. Do and Within open and close scopes.
type Scope struct {
	parent *Scope
	owned  []*handle
}

// current is the innermost open scope. Only the tensor thread reads or writes it.
var current *Scope

// Within runs f in a new scope, nested in the innermost one, and frees the tensors that f made when f
// returns or panics. It does not recover the panic.
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

// Keep removes t from the scope that owns it and returns t. The caller owns t from then on and must
// call Free.
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

// Return moves t from s to the scope around s, and returns t; it stays valid after s closes. It does
// nothing if s does not own t or is the outermost scope.
func (s *Scope) Return(t Tensor) Tensor {
	if t.h != nil && t.h.owner == s && s.parent != nil {
		t.h.owner = s.parent
		s.parent.owned = append(s.parent.owned, t.h)
	}
	return t
}

var live, made atomic.Int64

// Live returns the number of tensors and compiled programs that have been made and not yet freed.
func Live() int64 { return live.Load() }

// Made returns the number of tensors that have been made since the start of the process.
func Made() int64 { return made.Load() }
