package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Front is how a round reads its input before the 1x1 convolution.
type Front int64

// The fronts; a pooling has no ReLU before and no 1x1 behind it.
const (
	Direct    Front = iota // each pixel by itself
	Depthwise              // a window over each channel
	Halve                  // with stride 2, two 1x1: of the pixels at even and of those at odd places
	MaxPool                // 3x3, the padding counts as minus infinity
	AvgPool                // 3x3, the padding is not counted
)

// Round is ReLU, a window or none, a 1x1 convolution and a batch norm, or a 3x3 pooling and a batch
// norm. What is undefined is left out.
type Round struct {
	Front                             Front
	Kernel, Stride, Padding, Dilation int64
	Window                            Tensor // Depthwise: (C,1,k,k)
	Point, Shifted                    Tensor // (K,C,1,1), not of poolings; Halve: of the even and of the odd
	Gamma, Beta, Mean, Var            Tensor // of the batch norm: momentum 0.1, eps 1e-5
}

// Term adds Scale[At] * Keep * Rounds(state From) to state To. Without rounds it hands the state on.
type Term struct {
	From, To int
	Rounds   []Round
	Scale    Tensor // undefined: 1
	At       int64  // which element, in row-major order
	Keep     Tensor // undefined, or a factor for every sample (N)
}

// Recompute says what is computed again for the gradient instead of being stored.
type Recompute int64

// From the fastest to the smallest.
const (
	RecomputeNone Recompute = iota
	RecomputeEdge           // what is inside a term
	RecomputeCell           // everything but the inputs
)

// ParseRecompute reads none, edge or cell; nothing means none.
func ParseRecompute(s string) (Recompute, error) {
	switch s {
	case "", "none":
		return RecomputeNone, nil
	case "edge":
		return RecomputeEdge, nil
	case "cell":
		return RecomputeCell, nil
	}
	return 0, fmt.Errorf("recompute %q is unknown; known are none, edge, cell", s)
}

// Dag is a number of states (N,C,H,W): the inputs, and sums of terms that read earlier ones.
type Dag struct {
	Inputs    []Tensor
	States    int    // with the inputs
	Terms     []Term // in ascending order of To
	Out       []int  // the states whose channels, side by side, are the result
	Train     bool   // batch statistics, which the running ones then follow
	Recompute Recompute
}

// Compute is the result of a Dag, by the Path that is set; it is false, and nothing is done, on that
// of Modules. What the others compute is what libtorch's operations do, one after the other, but for
// rounding; the kernels' results lie with their channels innermost.
func Compute(d Dag) (Tensor, bool) {
	enter("cell")
	// The inputs come first, even if one of them comes twice.
	e := encoder{index: map[*handle]int64{}, tensors: slices.Clone(d.Inputs)}
	e.put(int64(len(d.Inputs)), int64(d.States), int64(cbool(d.Train)), int64(d.Recompute), int64(len(d.Out)))
	for _, i := range d.Out {
		e.put(int64(i))
	}
	e.put(int64(len(d.Terms)))
	for _, t := range d.Terms {
		e.put(int64(t.From), int64(t.To), e.tensor(t.Scale), t.At, e.tensor(t.Keep), int64(len(t.Rounds)))
		for _, r := range t.Rounds {
			e.put(int64(r.Front), r.Kernel, r.Stride, r.Padding, r.Dilation)
			for _, w := range []Tensor{r.Window, r.Point, r.Shifted, r.Gamma, r.Beta, r.Mean, r.Var} {
				e.put(e.tensor(w))
			}
		}
	}
	var out C.ht
	check("cell", d.Inputs, C.hdas_dag(&out, &hts(e.tensors)[0], C.int(len(e.tensors)), (*C.int64_t)(&e.program[0]), C.int(len(e.program))))
	t := adopt(lib.Ctensor(unsafe.Pointer(out)))
	return t, t.Defined()
}

// encoder writes a Dag as numbers, tensors by their place in one list.
type encoder struct {
	program []int64
	tensors []Tensor
	index   map[*handle]int64
}

func (e *encoder) put(v ...int64) { e.program = append(e.program, v...) }

func (e *encoder) tensor(t Tensor) int64 {
	if !t.Defined() {
		return -1
	}
	i, ok := e.index[t.h]
	if !ok {
		i = int64(len(e.tensors))
		e.index[t.h], e.tensors = i, append(e.tensors, t)
	}
	return i
}

// Path says what computes a Dag.
type Path int

// The paths, each the next one's faster twin.
const (
	// Kernels are the CPU's own, for Float32 and Float64; what they do not do, such as gradients in
	// evaluation, Operations do.
	Kernels Path = iota
	// Operations are libtorch's, on any device. What terms share is computed once.
	Operations
	// Modules: Compute refuses, and networks run on libtorch's operations module by module.
	Modules
)

var paths = []string{"kernels", "operations", "modules"}

func (p Path) String() string { return paths[p] }

// ParsePath reads a path's name.
func ParsePath(s string) (Path, error) {
	if i := slices.Index(paths, s); i >= 0 {
		return Path(i), nil
	}
	return 0, fmt.Errorf("path %q is unknown; known are %s", s, strings.Join(paths, ", "))
}

// SetPath chooses the path of what is computed from now on. Kernels is the default, and the others are for
// comparison.
func SetPath(p Path) {
	enter("path")
	C.hdas_set_path(C.int(p))
}
