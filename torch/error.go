package torch

// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Error is a libtorch exception. Mathematics panics with it and Do returns it.
type Error struct {
	Op     string    // as libtorch names it: "conv2d"
	Shapes [][]int64 // of the operands, in argument order; nil for an undefined one
	Err    error     // libtorch's own words
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("torch: " + e.Op)
	for i, s := range e.Shapes {
		if i > 0 {
			b.WriteString(",")
		}
		if s == nil {
			b.WriteString(" undefined")
		} else {
			fmt.Fprintf(&b, " %v", s)
		}
	}
	return b.String() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// enter refuses work where libtorch's per-thread state and the scopes are not ours.
func enter(op string) {
	if !onThread() || current == nil {
		panic("torch: " + op + " outside torch.Do")
	}
}

// check panics with text, a malloc'ed string, unless it is nil.
func check(op string, operands []Tensor, text *C.char) {
	if text == nil {
		return
	}
	words := C.GoString(text)
	C.free(unsafe.Pointer(text))
	// gotch's texts end in a C++ stack, which helps nobody here.
	words, _, _ = strings.Cut(words, "\nException raised from")
	e := &Error{Op: op, Err: errors.New(strings.TrimSpace(words))}
	for _, t := range operands {
		if t.Defined() {
			e.Shapes = append(e.Shapes, t.Shape())
		} else {
			e.Shapes = append(e.Shapes, nil)
		}
	}
	panic(e)
}

// call runs one function of gotch's binding, which writes a new tensor, and takes its error from
// the slot of this thread.
func call(op string, f func(out *lib.Ctensor), operands ...Tensor) Tensor {
	enter(op)
	var out lib.Ctensor
	f(&out)
	check(op, operands, (*C.char)(unsafe.Pointer(lib.GetAndResetLastErr())))
	return adopt(out)
}

// inPlace is call for an operation that changes t: libtorch's second handle on it is dropped.
func inPlace(t Tensor, op string, f func(out *lib.Ctensor), operands ...Tensor) Tensor {
	call(op, f, append([]Tensor{t}, operands...)...).Free()
	return t
}

// scalar runs f with v as libtorch's Scalar.
func scalar(v float64, f func(lib.Cscalar)) {
	s := lib.AtsFloat(v)
	defer lib.AtsFree(s)
	f(s)
}

// dims is shape with an element to point at, which the binding needs even for a scalar.
func dims(shape []int64) ([]int64, int) {
	if len(shape) == 0 {
		return []int64{0}, 0
	}
	return shape, len(shape)
}
