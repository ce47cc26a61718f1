package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Seed seeds the random number generators of all devices. The CPU's generator uses only the low 32
// bits.
func Seed(seed uint64) {
	enter("manual_seed")
	check("manual_seed", nil, C.hdas_seed(C.uint64_t(seed)))
}

// GeneratorState returns a copy of the full state of d's random number generator. After
// SetGeneratorState with it, the generator repeats the same numbers.
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

// SetGeneratorState restores a state that GeneratorState returned for a device of the same kind.
func SetGeneratorState(d Device, state []byte) {
	enter("generator_state")
	scoped(func(*Scope) {
		t := FromBytes(state, Uint8, int64(len(state)))
		check("generator_state", []Tensor{t}, C.hdas_set_generator(C.int(d.c()), t.ht()))
	})
}

// SetThreads sets the number of threads that one operation on the CPU may use; 0 means libtorch's default.
// Different numbers of threads can change the last bits of libtorch's results.
func SetThreads(n int) {
	enter("set_num_threads")
	check("set_num_threads", nil, C.hdas_set_threads(C.int(n)))
}

// Threads returns the number of threads that one operation on the CPU may use: the number given to
// SetThreads, or libtorch's default of one for each physical core.
func Threads() int {
	enter("get_num_threads")
	return int(C.hdas_threads())
}
