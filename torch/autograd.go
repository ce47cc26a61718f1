package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Grad returns d(loss)/d(input) for every input, of the input's shape; undefined where loss does
// not depend on it. loss is a scalar; its graph is freed. Nothing is computed for other leaves.
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

// Grad returns the gradient that a backward pass stored in the leaf t, as PyTorch's t.grad does;
// undefined where none is stored. The function Grad stores none.
func (t Tensor) Grad() Tensor {
	g := call("grad", func(out *lib.Ctensor) { lib.AtgGrad(out, t.c()) }, t)
	if !lib.AtDefined(g.c()) {
		g.Free()
		return Tensor{}
	}
	return g
}

// NoGrad runs f without recording gradients and puts the mode back on every way out.
func NoGrad(f func()) {
	enter("no_grad")
	was := gradMode(false)
	defer gradMode(was)
	f()
}

// GradEnabled reports whether operations record gradients now.
func GradEnabled() bool {
	enter("grad_mode")
	was := gradMode(false)
	gradMode(was)
	return was
}

func gradMode(on bool) bool {
	var was C.int
	check("grad_mode", nil, C.hdas_grad_mode(cbool(on), &was))
	return was != 0
}

// SetRequiresGrad makes the leaf t one whose gradient can be asked for, or not, and returns it.
func (t Tensor) SetRequiresGrad(on bool) Tensor {
	enter("requires_grad")
	check("requires_grad", []Tensor{t}, C.hdas_set_requires_grad(t.ht(), cbool(on)))
	return t
}

// RequiresGrad reports whether t takes part in the graph.
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
