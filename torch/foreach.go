package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// The functions below work on lists of tensors, element by element, in a few kernels for the
// whole list. They do not record gradients.

// SGDStep changes params by one step of stochastic gradient descent. With momentum, bufs are its
// buffers and fresh[i] says that buffer i has not been used yet.
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

// SGDOptions are those of torch.optim.SGD.
type SGDOptions struct {
	LR, Momentum, Dampening, WeightDecay float64
	Nesterov                             bool
}

// AdamStep changes params by one step of Adam; steps[i] counts parameter i's steps, this one
// included, from 1. The moments are updated in place.
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

// AdamOptions are those of torch.optim.Adam; the weight decay is added to the gradient.
type AdamOptions struct{ LR, Beta1, Beta2, Eps, WeightDecay float64 }

// Norm is the Euclidean norm of all tensors, without the undefined ones, as one vector: a scalar
// tensor.
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

// ClipGradNorm scales grads in place so that Norm(grads) is at most max, and returns the norm
// before, a scalar tensor. Nothing is read back from the device.
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

// ScaleAll multiplies all tensors by v in place, without the undefined ones.
func ScaleAll(ts []Tensor, v float64) {
	enter("scale")
	if ts = defined(ts); len(ts) > 0 {
		check("scale", nil, C.hdas_scale(&hts(ts)[0], C.int(len(ts)), C.double(v)))
	}
}

// sameLength guards C from lists that do not belong together.
func sameLength(op string, params int, others ...int) {
	for _, n := range others {
		if n != params {
			panic(fmt.Sprintf("torch: %s of %d parameters with a list of %d", op, params, n))
		}
	}
}

func defined(ts []Tensor) []Tensor {
	return slices.DeleteFunc(slices.Clone(ts), func(t Tensor) bool { return !t.Defined() })
}
