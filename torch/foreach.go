package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// The functions below work on lists of tensors with libtorch's _foreach_ operations: a few kernels
// process the whole list. They do not record gradients.

// SGDStep changes params in place by one step of stochastic gradient descent along grads. With
// momentum, bufs holds the momentum buffers, which it updates in place; fresh[i] means that buffer i
// has not been used and is filled with the gradient first. Without momentum, bufs and fresh are not
// read. It panics if the lists differ in length.
func SGDStep(params, grads, bufs []Tensor, fresh []bool, o SGDOptions) {
	enter("sgd")
	if o.Momentum == 0 {
		bufs, fresh = nil, nil
		sameLength("sgd", len(params), len(grads))
	} else {
		sameLength("sgd", len(params), len(grads), len(bufs), len(fresh))
	}
	if len(params) == 0 {
		return
	}
	first := make([]C.int, len(params))
	for i := range fresh {
		first[i] = cbool(fresh[i])
	}
	buffers := make([]C.ht, len(params))
	copy(buffers, hts(bufs))
	check("sgd", nil, C.hdas_sgd(&hts(params)[0], &hts(grads)[0], &buffers[0], &first[0], C.int(len(params)),
		C.double(o.LR), C.double(o.Momentum), C.double(o.Dampening), C.double(o.WeightDecay), cbool(o.Nesterov)))
}

// SGDOptions holds the options of torch.optim.SGD; LR is the learning rate.
type SGDOptions struct {
	LR, Momentum, Dampening, WeightDecay float64
	Nesterov                             bool
}

// AdamStep changes params in place by one step of Adam along grads. It also updates the first and
// second moments expAvg and expAvgSq in place. steps[i] is the number of steps of parameter i
// including this one, so at least 1. It panics if the lists differ in length.
func AdamStep(params, grads, expAvg, expAvgSq []Tensor, steps []int64, o AdamOptions) {
	enter("adam")
	sameLength("adam", len(params), len(grads), len(expAvg), len(expAvgSq), len(steps))
	if len(params) == 0 {
		return
	}
	check("adam", nil, C.hdas_adam(&hts(params)[0], &hts(grads)[0], &hts(expAvg)[0], &hts(expAvgSq)[0],
		(*C.int64_t)(&steps[0]), C.int(len(params)), C.double(o.LR), C.double(o.Beta1), C.double(o.Beta2),
		C.double(o.Eps), C.double(o.WeightDecay)))
}

// AdamOptions holds the options of torch.optim.Adam. WeightDecay * parameter is added to the gradient
// (L2 regularisation, not AdamW).
type AdamOptions struct{ LR, Beta1, Beta2, Eps, WeightDecay float64 }

// Norm returns the Euclidean norm of all elements of all tensors together, as a scalar tensor owned by
// the innermost scope. It ignores undefined tensors.
func Norm(ts []Tensor) Tensor {
	enter("norm")
	ts = defined(ts)
	if len(ts) == 0 {
		return Zeros(Options{})
	}
	var out C.ht
	check("norm", nil, C.hdas_norm(&out, &hts(ts)[0], C.int(len(ts))))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// ClipGradNorm scales grads in place so that Norm(grads) is at most max. It returns the norm before
// scaling, as a scalar tensor owned by the innermost scope. It does not wait for the device.
func ClipGradNorm(grads []Tensor, max float64) Tensor {
	enter("clip_grad_norm")
	grads = defined(grads)
	if len(grads) == 0 {
		return Zeros(Options{})
	}
	var out C.ht
	check("clip_grad_norm", nil, C.hdas_clip_grad_norm(&out, &hts(grads)[0], C.int(len(grads)), C.double(max)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// ScaleAll multiplies all tensors by v in place. It ignores undefined tensors.
func ScaleAll(ts []Tensor, v float64) {
	enter("scale")
	if ts = defined(ts); len(ts) > 0 {
		check("scale", nil, C.hdas_scale(&hts(ts)[0], C.int(len(ts)), C.double(v)))
	}
}

// sameLength panics if a length in others is not the number of parameters.
func sameLength(op string, params int, others ...int) {
	for _, n := range others {
		if n != params {
			panic(fmt.Sprintf("torch: %s of %d parameters with a list of %d", op, params, n))
		}
	}
}

// defined returns the tensors of ts that are defined, in a new list.
func defined(ts []Tensor) []Tensor {
	return slices.DeleteFunc(slices.Clone(ts), func(t Tensor) bool { return !t.Defined() })
}
