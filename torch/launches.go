package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"strconv"
	"strings"
	"unsafe"
)

// Launches runs f and returns how often each of libtorch's operations ran meanwhile, on all threads, by name
// ("aten::add_"): those that do something by themselves, and so are at least one kernel on a GPU. Views and
// allocations are not counted, and neither are operations that only call others. An operation on lists of
// tensors (_foreach_) counts as the number of kernels that libtorch starts for it on a GPU.
func Launches(f func()) map[string]int {
	enter("launches")
	check("launches", nil, C.hdas_count_launches())
	counts := map[string]int{}
	func() {
		defer func() {
			var text *C.char
			check("launches", nil, C.hdas_counted_launches(&text))
			defer C.free(unsafe.Pointer(text))
			for line := range strings.Lines(C.GoString(text)) {
				name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
				counts[name], _ = strconv.Atoi(number)
			}
		}()
		f()
	}()
	return counts
}
