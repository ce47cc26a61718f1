package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"

	"hdas/torch/dtype"
)

// A Tensor belongs to the Scope that was innermost when it was made and is freed when that
// closes, unless kept. The zero Tensor is undefined: an optional argument left out. Tensors are
// used inside Do only; copies of a Tensor value are one and the same tensor.
type Tensor struct{ h *handle }

type handle struct {
	c     lib.Ctensor // nil once freed
	owner *Scope      // nil when kept
}

func (h *handle) free() {
	if h.c != nil {
		lib.AtFree(h.c)
		h.c = nil
		live.Add(-1)
	}
}

// adopt gives the C tensor c, which may be nil, to the innermost scope.
func adopt(c lib.Ctensor) Tensor {
	if c == nil {
		return Tensor{}
	}
	h := &handle{c: c, owner: current}
	live.Add(1)
	made.Add(1)
	current.owned = append(current.owned, h)
	return Tensor{h}
}

// c is the C handle of t, which libtorch would follow even if it were nil.
func (t Tensor) c() lib.Ctensor {
	if t.h == nil {
		panic("torch: undefined tensor where one is needed")
	}
	if t.h.c == nil {
		panic("torch: tensor used after it was freed; Keep or Return it from its scope")
	}
	return t.h.c
}

// optional is c for an argument that may be left out: nil when t is undefined.
func (t Tensor) optional() lib.Ctensor {
	if t.h == nil {
		return nil
	}
	return t.c()
}

func (t Tensor) ht() C.ht { return C.ht(unsafe.Pointer(t.c())) }

func hts(ts []Tensor) []C.ht {
	out := make([]C.ht, len(ts))
	for i, t := range ts {
		out[i] = t.ht()
	}
	return out
}

// Defined reports whether t is a tensor at all.
func (t Tensor) Defined() bool { return t.h != nil }

// Free frees a kept tensor. Freeing twice, or the undefined tensor, does nothing.
func (t Tensor) Free() {
	if t.h != nil {
		t.h.free()
	}
}

// Shape is the size of every dimension, outermost first; empty for a scalar.
func (t Tensor) Shape() []int64 {
	shape := make([]int64, lib.AtDim(t.c()))
	if len(shape) > 0 {
		lib.AtShape(t.c(), unsafe.Pointer(&shape[0]))
	}
	return shape
}

// Size is the size of dimension d; negative d counts from the last.
func (t Tensor) Size(d int) int64 {
	shape := t.Shape()
	if d < 0 {
		d += len(shape)
	}
	return shape[d]
}

// Numel is the number of elements.
func (t Tensor) Numel() int64 { return numel(t.Shape()) }

func numel(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// DType returns the type of t's elements. A type of libtorch that package dtype does not list is a
// fault of the program and panics.
func (t Tensor) DType() DType {
	number := lib.AtScalarType(t.c())
	d, ok := dtype.FromNumber(number)
	if !ok {
		panic(fmt.Sprintf("torch: libtorch's element type %d is not supported", number))
	}
	return d
}

// Device is where t's elements lie.
func (t Tensor) Device() Device { return Device(int32(lib.AtDevice(t.c())) + 1) }

func (t Tensor) String() string {
	switch {
	case t.h == nil:
		return "undefined tensor"
	case t.h.c == nil:
		return "freed tensor"
	}
	return fmt.Sprintf("%v %v on %v", t.DType(), t.Shape(), t.Device())
}

// FromFloat32 copies data, in row-major order, into a new tensor on the CPU.
func FromFloat32(data []float32, shape ...int64) Tensor { return from(data, Float32, shape) }

// FromFloat64 is FromFloat32 for float64.
func FromFloat64(data []float64, shape ...int64) Tensor { return from(data, Float64, shape) }

// FromInt64 is FromFloat32 for int64.
func FromInt64(data []int64, shape ...int64) Tensor { return from(data, Int64, shape) }

// FromBytes makes a CPU tensor of the elements whose native-endian bytes are data.
func FromBytes(data []byte, dtype DType, shape ...int64) Tensor {
	return fromRaw(unsafe.Pointer(unsafe.SliceData(data)), len(data), dtype, shape)
}

func from[T any](data []T, dtype DType, shape []int64) Tensor {
	var zero T
	return fromRaw(unsafe.Pointer(unsafe.SliceData(data)), len(data)*int(unsafe.Sizeof(zero)), dtype, shape)
}

func fromRaw(data unsafe.Pointer, bytes int, dtype DType, shape []int64) Tensor {
	const op = "from_data"
	enter(op)
	if want := numel(shape) * dtype.Size(); want != int64(bytes) {
		panic(&Error{Op: op, Shapes: [][]int64{shape}, Err: fmt.Errorf("%d bytes of %v given, %d needed", bytes, dtype, want)})
	}
	var out C.ht
	d, n := dims(shape)
	check(op, nil, C.hdas_from_data(&out, data, (*C.int64_t)(&d[0]), C.int(n), C.int(dtype.Number())))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// Bytes copies t's elements, in row-major order and native byte order.
func (t Tensor) Bytes() []byte {
	data := make([]byte, t.Numel()*t.DType().Size())
	t.read(unsafe.Pointer(unsafe.SliceData(data)), len(data))
	return data
}

// Float64s copies t's elements, in row-major order, whatever their type.
func (t Tensor) Float64s() []float64 {
	enter("to_data")
	data := make([]float64, t.Numel())
	scoped(func(*Scope) {
		t.To(Float64).read(unsafe.Pointer(unsafe.SliceData(data)), 8*len(data))
	})
	return data
}

// Int64s copies t's elements, in row-major order, whatever their type.
func (t Tensor) Int64s() []int64 {
	enter("to_data")
	data := make([]int64, t.Numel())
	scoped(func(*Scope) {
		t.To(Int64).read(unsafe.Pointer(unsafe.SliceData(data)), 8*len(data))
	})
	return data
}

func (t Tensor) read(data unsafe.Pointer, bytes int) {
	enter("to_data")
	check("to_data", []Tensor{t}, C.hdas_to_data(t.ht(), data, C.size_t(bytes)))
}

// Item is the value of a tensor of one element. On CUDA it waits for all work before it.
func (t Tensor) Item() float64 {
	if t.Numel() != 1 {
		panic(&Error{Op: "item", Shapes: [][]int64{t.Shape()}, Err: fmt.Errorf("%d elements, not one", t.Numel())})
	}
	return t.Float64s()[0]
}

// Clone copies t, inside the graph.
func (t Tensor) Clone() Tensor {
	enter("clone")
	var out C.ht
	check("clone", []Tensor{t}, C.hdas_clone(&out, t.ht()))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// Upload is t, which lies on the CPU, on device d: to a CUDA device by way of pinned memory, while
// the host goes on. t may be freed at once.
func (t Tensor) Upload(d Device) Tensor {
	if !d.IsCUDA() {
		return t.ToDevice(d)
	}
	enter("to")
	var out C.ht
	check("to", []Tensor{t}, C.hdas_upload(&out, t.ht(), C.int(d.c())))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
