package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Grad returns the gradients d(loss)/d(input), one for each input, in the input's shape. A gradient
// is undefined if loss does not depend on the input. loss must be a scalar; Grad frees its graph. It
// computes no gradients for other leaf tensors and, unlike backward() in PyTorch, stores none. The
// innermost scope owns the gradients.
func Grad(loss Tensor, inputs []Tensor) []Tensor {
	enter("grad")
	grads := make([]Tensor, len(inputs))
	if len(inputs) == 0 {
		return grads
	}
	out := make([]C.ht, len(inputs))
	check("grad", []Tensor{loss}, C.hdas_grad(loss.ht(), &hts(inputs)[0], C.int(len(inputs)), &out[0]))
	for i, c := range out {
		grads[i] = adopt(lib.Ctensor(unsafe.Pointer(c)))
	}
	return grads
}

// Grad returns the gradient that a backward pass has stored in the leaf tensor t (PyTorch's t.grad),
// or the undefined tensor if none is stored. The function Grad stores none.
func (t Tensor) Grad() Tensor {
	g := call("grad", func(out *lib.Ctensor) { lib.AtgGrad(out, t.c()) }, t)
	if !lib.AtDefined(g.c()) {
		g.Free()
		return Tensor{}
	}
	return g
}

// NoGrad runs f with the recording of gradients switched off (torch.no_grad), and restores the
// previous mode when f returns or panics.
func NoGrad(f func()) {
	enter("no_grad")
	was := gradMode(false)
	defer gradMode(was)
	f()
}

// GradEnabled reports whether operations currently record the graph that gradients need.
func GradEnabled() bool {
	enter("grad_mode")
	was := gradMode(false)
	gradMode(was)
	return was
}

// gradMode switches the recording of gradients on or off and returns the previous mode.
func gradMode(on bool) bool {
	var was C.int
	check("grad_mode", nil, C.hdas_grad_mode(cbool(on), &was))
	return was != 0
}

// SetRequiresGrad sets whether gradients with respect to the leaf tensor t can be computed, and
// returns t.
func (t Tensor) SetRequiresGrad(on bool) Tensor {
	enter("requires_grad")
	check("requires_grad", []Tensor{t}, C.hdas_set_requires_grad(t.ht(), cbool(on)))
	return t
}

// RequiresGrad reports whether gradients flow to t: t is a leaf that requires a gradient, or it was
// computed from one.
func (t Tensor) RequiresGrad() bool {
	enter("requires_grad")
	var on C.int
	check("requires_grad", []Tensor{t}, C.hdas_requires_grad(t.ht(), &on))
	return on != 0
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
