package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Seed seeds the generators of all devices; the CPU's uses the low 32 bits alone.
func Seed(seed uint64) {
	enter("manual_seed")
	check("manual_seed", nil, C.hdas_seed(C.uint64_t(seed)))
}

// GeneratorState copies the whole state of the device's generator: with SetGeneratorState the
// same random numbers come again.
func GeneratorState(d Device) []byte {
	enter("generator_state")
	var state []byte
	scoped(func(*Scope) {
		var out C.ht
		check("generator_state", nil, C.hdas_get_generator(C.int(d.c()), &out))
		state = adopt(lib.Ctensor(unsafe.Pointer(out))).Bytes()
	})
	return state
}

// SetGeneratorState puts back what GeneratorState returned for a device of the same kind.
func SetGeneratorState(d Device, state []byte) {
	enter("generator_state")
	scoped(func(*Scope) {
		t := FromBytes(state, Uint8, int64(len(state)))
		check("generator_state", []Tensor{t}, C.hdas_set_generator(C.int(d.c()), t.ht()))
	})
}

// SetThreads sets how many threads an operation on the CPU may use; results can differ in their
// last bits between counts.
func SetThreads(n int) {
	enter("set_num_threads")
	check("set_num_threads", nil, C.hdas_set_threads(C.int(n)))
}

// Threads is the number set, or libtorch's choice: one for each physical core.
func Threads() int {
	enter("get_num_threads")
	return int(C.hdas_threads())
}
