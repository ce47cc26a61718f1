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

// Error is the failure of a tensor operation: an exception of libtorch, or operands that this package
// found invalid. Operations panic with *Error, and Do returns it.
type Error struct {
	Op     string    // libtorch's name of the operation, as in "conv2d"
	Shapes [][]int64 // the shapes of the operands, in argument order; nil for an undefined operand
	Err    error     // the cause, with libtorch's message if it was libtorch that failed
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

// ErrOutOfMemory is the cause of an Error if there was not enough memory, on the host or on the device.
var ErrOutOfMemory = errors.New("out of memory")

// cause returns the error of a message of libtorch, or of this package's C++.
func cause(words string) error {
	// gotch's messages end with a C++ stack trace, which is dropped.
	words, _, _ = strings.Cut(words, "\nException raised from")
	words = strings.TrimSpace(words)
	for _, sign := range []string{"DefaultCPUAllocator: ", "CUDA out of memory", "_ALLOC_FAILED", "std::bad_alloc"} {
		if at := strings.Index(words, sign); at >= 0 {
			return fmt.Errorf("%w: %s", ErrOutOfMemory, words[at:])
		}
	}
	return errors.New(words)
}

// enter panics if the caller is not inside Do, where the tensor thread and a scope are available.
func enter(op string) {
	if !onThread() || current == nil {
		panic("torch: " + op + " outside torch.Do")
	}
}

// check does nothing if text is nil. Otherwise it frees text, an error message allocated by malloc,
// and panics with an *Error that holds it and the shapes of the operands.
func check(op string, operands []Tensor, text *C.char) {
	if text == nil {
		return
	}
	words := C.GoString(text)
	C.free(unsafe.Pointer(text))
	e := &Error{Op: op, Err: cause(words)}
	for _, t := range operands {
		if t.Defined() {
			e.Shapes = append(e.Shapes, t.Shape())
		} else {
			e.Shapes = append(e.Shapes, nil)
		}
	}
	panic(e)
}

// call runs f, a function of gotch's binding that writes a new tensor to out, and returns that tensor,
// owned by the innermost scope. It panics with *Error if the binding has stored an error for this
// thread.
func call(op string, f func(out *lib.Ctensor), operands ...Tensor) Tensor {
	enter(op)
	var out lib.Ctensor
	f(&out)
	check(op, operands, (*C.char)(unsafe.Pointer(lib.GetAndResetLastErr())))
	return adopt(out)
}

// inPlace is call for an operation that changes t in place. It frees the second handle that libtorch
// returns for t, and returns t.
func inPlace(t Tensor, op string, f func(out *lib.Ctensor), operands ...Tensor) Tensor {
	call(op, f, append([]Tensor{t}, operands...)...).Free()
	return t
}

// scalar calls f with v as a libtorch Scalar, which is freed afterwards.
func scalar(v float64, f func(lib.Cscalar)) {
	s := lib.AtsFloat(v)
	defer lib.AtsFree(s)
	f(s)
}

// dims returns shape as a slice with at least one element, and the number of dimensions. gotch's
// binding takes the address of the first element even for a scalar.
func dims(shape []int64) ([]int64, int) {
	if len(shape) == 0 {
		return []int64{0}, 0
	}
	return shape, len(shape)
}
