// Package leaftest calls the leaves, the inner loops of package torch's kernels (torch/leaves.h), one
// by one and in any instruction set. It is for their tests.
package leaftest

// #include <stdint.h>
// #include <stdlib.h>
// // Both are in torch/leaves_shim.cpp and are found when a program is linked.
// char *hdas_leaf(const char *set, const char *leaf, int size, const int64_t *numbers, void *memory);
// char *hdas_instruction_sets(void);
import "C"

import (
	"errors"
	"strings"
	"unsafe"

	_ "hdas/torch" // has the leaves
)

// Sets are the names of the instruction sets that this processor has, the fastest first.
func Sets() []string {
	names := C.hdas_instruction_sets()
	defer C.free(unsafe.Pointer(names))
	return strings.Split(C.GoString(names), ", ")
}

// Call runs the leaf of that name, compiled for that instruction set, on memory. Its arguments stand
// in numbers in the order of its declaration: a pointer to elements is the index of the first one in
// memory, a Grid is that index and its two strides, a list of offsets is the index of its first one
// in numbers. Nothing is checked but the two names.
func Call[T float32 | float64](set, leaf string, numbers []int64, memory []T) error {
	s, l := C.CString(set), C.CString(leaf)
	defer C.free(unsafe.Pointer(s))
	defer C.free(unsafe.Pointer(l))
	text := C.hdas_leaf(s, l, C.int(unsafe.Sizeof(memory[0])), (*C.int64_t)(&numbers[0]), unsafe.Pointer(&memory[0]))
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return errors.New(C.GoString(text))
}
