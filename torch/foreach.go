package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// The functions below work on lists of tensors: a few kernels process the whole list. Tensors that are adjacent
// in memory are computed as one (see Flatten), the others with libtorch's _foreach_ operations. They do not
// record gradients.

// Flatten moves leaf tensors of one type and device, such as the parameters of a network, to one new storage,
// in the order of the list and without gaps. Their values stay, and whoever refers to them sees them there.
// It panics with *Error if the types or devices differ or a tensor is no leaf.
func Flatten(ts []Tensor) {
	enter("flatten")
	if len(ts) > 0 {
		check("flatten", nil, C.hdas_flatten(&hts(ts)[0], C.int(len(ts))))
	}
}

// Adjacent reports whether ts are contiguous, and each begins in memory where the one before it ends.
func Adjacent(ts []Tensor) bool {
	enter("adjacent")
	end := uintptr(0)
	for _, t := range ts {
		bytes, begin := uintptr(t.Numel()*t.DType().Size()), uintptr(lib.AtDataPtr(t.c()))
		if bytes == 0 {
			continue // without elements it is nowhere
		}
		if !lib.AtIsContiguous(t.c()) || end != 0 && begin != end {
			return false
		}
		end = begin + bytes
	}
	return true
}

// FlattenLike moves tensors to one new storage, in the order in which the tensors `like` are in memory: so
// gradients become adjacent where their parameters are. It ignores undefined tensors, and does nothing if
// their types or devices differ. No other Tensor may share their elements.
func FlattenLike(ts, like []Tensor) {
	enter("flatten")
	sameLength("flatten", len(like), len(ts))
	if ts, like = pairs(ts, like); len(ts) > 0 {
		check("flatten", nil, C.hdas_flatten_like(&hts(ts)[0], &hts(like)[0], C.int(len(ts))))
	}
}

// ZerosLike returns zeros of the types, devices and shapes of ts, adjacent in memory where ts are. The
// innermost scope owns them.
func ZerosLike(ts []Tensor) []Tensor {
	return lists("zeros_like", ts, func(in *C.ht, n C.int, out *C.ht) *C.char { return C.hdas_zeros_like(in, n, out) })
}

// CloneAll returns copies of ts, adjacent in memory where ts are. The innermost scope owns them; no gradients
// flow through them.
func CloneAll(ts []Tensor) []Tensor {
	return lists("clone", ts, func(in *C.ht, n C.int, out *C.ht) *C.char { return C.hdas_clone_all(in, n, out) })
}

// ToCPU returns ts on the CPU, owned by the innermost scope. Those that are there already share their elements.
func ToCPU(ts []Tensor) []Tensor {
	return lists("to", ts, func(in *C.ht, n C.int, out *C.ht) *C.char { return C.hdas_to_cpu(in, n, out) })
}

// lists calls f with a list, and returns the tensors that it writes.
func lists(op string, ts []Tensor, f func(in *C.ht, n C.int, out *C.ht) *C.char) []Tensor {
	enter(op)
	if len(ts) == 0 {
		return nil
	}
	made, out := make([]C.ht, len(ts)), make([]Tensor, len(ts))
	check(op, nil, f(&hts(ts)[0], C.int(len(ts)), &made[0]))
	for i, c := range made {
		out[i] = adopt(lib.Ctensor(unsafe.Pointer(c)))
	}
	return out
}

// CopyAll copies the elements of from, of any types and devices, to the tensors `to` of the same shapes.
func CopyAll(to, from []Tensor) {
	enter("copy_")
	sameLength("copy_", len(to), len(from))
	if len(to) > 0 {
		check("copy_", nil, C.hdas_copy_all(&hts(to)[0], &hts(from)[0], C.int(len(to))))
	}
}

// AddAll adds factor, a scalar tensor on their device, times values to the tensors `to`, in place. It ignores
// undefined values.
func AddAll(to, values []Tensor, factor Tensor) {
	enter("add_")
	sameLength("add_", len(to), len(values))
	if values, to = pairs(values, to); len(values) > 0 {
		check("add_", nil, C.hdas_add_all(&hts(to)[0], &hts(values)[0], C.int(len(values)), factor.ht()))
	}
}

// KeepIf sets ts to old, bit for bit, unless condition, a scalar of Bool on their device, is true. It does not
// wait for the device.
func KeepIf(condition Tensor, ts, old []Tensor) {
	enter("where")
	sameLength("where", len(ts), len(old))
	if len(ts) > 0 {
		check("where", nil, C.hdas_keep_if(condition.ht(), &hts(ts)[0], &hts(old)[0], C.int(len(ts))))
	}
}

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
// including this one, so at least 1; counts, unless nil, holds these numbers as scalar tensors, and then steps
// is not read. It panics if the lists differ in length.
func AdamStep(params, grads, expAvg, expAvgSq []Tensor, steps []int64, counts []Tensor, o AdamOptions) {
	enter("adam")
	sameLength("adam", len(params), len(grads), len(expAvg), len(expAvgSq), max(len(steps), len(counts)))
	if len(params) == 0 {
		return
	}
	var onDevice *C.ht
	if counts != nil {
		onDevice, steps = &hts(counts)[0], make([]int64, 1)
	}
	check("adam", nil, C.hdas_adam(&hts(params)[0], &hts(grads)[0], &hts(expAvg)[0], &hts(expAvgSq)[0],
		(*C.int64_t)(&steps[0]), onDevice, C.int(len(params)), C.double(o.LR), C.double(o.Beta1), C.double(o.Beta2),
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

// Unscale divides gradients in place by the scale of their loss and adapts the scale to them. state is a
// Float64 tensor (2) on their device: the scale, and the number of steps since it last changed. finite, a scalar
// of Bool, is whether the norm of the gradients was finite. It does not wait for the device, and ignores
// undefined tensors, but one gradient must be defined.
func Unscale(grads []Tensor, state Tensor, o ScaleOptions) (finite Tensor) {
	enter("unscale")
	grads = defined(grads)
	var out C.ht
	check("unscale", nil, C.hdas_unscale(&out, state.ht(), &hts(grads)[0], C.int(len(grads)),
		C.double(o.Growth), C.double(o.GrowthSteps), C.double(o.Backoff), C.double(o.Least)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// ScaleOptions holds the options of torch.amp.GradScaler: after a gradient that is not finite the scale is
// multiplied by Backoff, after GrowthSteps consecutive finite ones by Growth. It does not fall below Least.
type ScaleOptions struct{ Growth, GrowthSteps, Backoff, Least float64 }

// pairs returns the tensors of ts that are defined, and those of others at the same places.
func pairs(ts, others []Tensor) (a, b []Tensor) {
	for i, t := range ts {
		if t.Defined() {
			a, b = append(a, t), append(b, others[i])
		}
	}
	return a, b
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
