package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// PlainKernels makes the operations that have kernels of this package's own on the CPU, depthwise
// convolution and 3x3 pooling, run as libtorch's: their twins, to which they are equal but for
// rounding. It is for comparison.
func PlainKernels(on bool) {
	enter("plain_kernels")
	C.hdas_plain_kernels(cbool(on))
}

func depthwise(x, weight Tensor, stride, padding, dilation int64) Tensor {
	enter("conv2d")
	var out C.ht
	check("conv2d", []Tensor{x, weight}, C.hdas_depthwise(&out, x.ht(), weight.ht(), C.int64_t(stride), C.int64_t(padding), C.int64_t(dilation)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

func pool3x3(op string, x Tensor, largest bool, stride int64) Tensor {
	enter(op)
	var out C.ht
	check(op, []Tensor{x}, C.hdas_pool3x3(&out, x.ht(), cbool(largest), C.int64_t(stride)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
