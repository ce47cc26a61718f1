// Package looptest lets tests call the inner loops of package torch's CPU kernels one by one, in any
// instruction set; torch/loops.h declares them.
package looptest

// #include <stdint.h>
// #include <stdlib.h>
// // All are in torch/loops_shim.cpp and are found when a program is linked.
// char *hdas_loop(const char *set, const char *loop, int size, const int64_t *numbers, void *memory);
// char *hdas_instruction_sets(void);
// int hdas_vector(const char *set);
import "C"

import (
	"errors"
	"strings"
	"unsafe"

	_ "hdas/torch" // links the loops
)

// Sets returns the names of the instruction sets that this processor supports, the fastest first.
func Sets() []string {
	names := C.hdas_instruction_sets()
	defer C.free(unsafe.Pointer(names))
	return strings.Split(C.GoString(names), ", ")
}

// Vector returns the bytes of a vector of an instruction set that this processor supports.
func Vector(set string) int64 {
	s := C.CString(set)
	defer C.free(unsafe.Pointer(s))
	return int64(C.hdas_vector(s))
}

// Call runs the named loop, compiled for the instruction set, on memory. numbers holds its arguments in the
// order of its declaration: a pointer to elements is the index of the first element in memory, a Grid is
// such an index and two strides, a list of offsets is the index of its first offset in numbers. Call returns
// an error for an unknown name and does not check the other arguments.
func Call[T float32 | float64](set, loop string, numbers []int64, memory []T) error {
	s, l := C.CString(set), C.CString(loop)
	defer C.free(unsafe.Pointer(s))
	defer C.free(unsafe.Pointer(l))
	text := C.hdas_loop(s, l, C.int(unsafe.Sizeof(memory[0])), (*C.int64_t)(&numbers[0]), unsafe.Pointer(&memory[0]))
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return errors.New(C.GoString(text))
}
