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

// A Tensor is a reference to a libtorch tensor; copies of the Go value refer to the same tensor. It is
// owned by the Scope that was innermost when it was made, which frees it when it closes; see Keep and
// Return for exceptions. The zero Tensor is undefined and stands for an omitted optional argument.
// Use tensors only inside Do.
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

// adopt makes the innermost scope the owner of the C tensor c and returns it as a Tensor; for nil it
// returns the undefined tensor.
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

// c returns the C handle of t. It panics if t is undefined or freed, because libtorch does not check
// its pointers.
func (t Tensor) c() lib.Ctensor {
	if t.h == nil {
		panic("torch: undefined tensor where one is needed")
	}
	if t.h.c == nil {
		panic("torch: tensor used after it was freed; Keep or Return it from its scope")
	}
	return t.h.c
}

// optional returns the C handle of an optional argument: nil if t is undefined.
func (t Tensor) optional() lib.Ctensor {
	if t.h == nil {
		return nil
	}
	return t.c()
}

// ht returns the C handle of t as the type that shim.h uses.
func (t Tensor) ht() C.ht { return C.ht(unsafe.Pointer(t.c())) }

func hts(ts []Tensor) []C.ht {
	out := make([]C.ht, len(ts))
	for i, t := range ts {
		out[i] = t.ht()
	}
	return out
}

// Handles returns the at::Tensors of ts, for C++ of other packages. They are valid while the tensors are. It panics if one is
// undefined or was freed.
func Handles(ts []Tensor) []unsafe.Pointer {
	enter("handles")
	out := make([]unsafe.Pointer, len(ts))
	for i, t := range ts {
		out[i] = unsafe.Pointer(t.c())
	}
	return out
}

// Defined reports whether t refers to a tensor; it is false for the zero Tensor.
func (t Tensor) Defined() bool { return t.h != nil }

// Free frees t at once, whether it is kept or owned by a scope. It does nothing if t is undefined or
// already freed.
func (t Tensor) Free() {
	if t.h != nil {
		t.h.free()
	}
}

// Shape returns the sizes of all dimensions, outermost first; it is empty for a scalar.
func (t Tensor) Shape() []int64 {
	shape := make([]int64, lib.AtDim(t.c()))
	if len(shape) > 0 {
		lib.AtShape(t.c(), unsafe.Pointer(&shape[0]))
	}
	return shape
}

// Size returns the size of dimension d; a negative d counts from the end, -1 being the last.
func (t Tensor) Size(d int) int64 {
	shape := t.Shape()
	if d < 0 {
		d += len(shape)
	}
	return shape[d]
}

// Numel returns the number of elements.
func (t Tensor) Numel() int64 { return numel(t.Shape()) }

func numel(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// DType returns the type of t's elements. It panics if package dtype does not list that type.
func (t Tensor) DType() DType {
	number := lib.AtScalarType(t.c())
	d, ok := dtype.FromNumber(number)
	if !ok {
		panic(fmt.Sprintf("torch: libtorch's element type %d is not supported", number))
	}
	return d
}

// Device returns the device that holds t's elements.
func (t Tensor) Device() Device { return Device(int32(lib.AtDevice(t.c())) + 1) }

// String returns t's type, shape and device, without its elements.
func (t Tensor) String() string {
	switch {
	case t.h == nil:
		return "undefined tensor"
	case t.h.c == nil:
		return "freed tensor"
	}
	return fmt.Sprintf("%v %v on %v", t.DType(), t.Shape(), t.Device())
}

// FromFloat32 returns a new float32 tensor of that shape on the CPU with a copy of data, which is in
// row-major order. It panics with *Error if the number of elements does not match the shape.
func FromFloat32(data []float32, shape ...int64) Tensor { return CPU.FromFloat32(data, shape...) }

// FromFloat64 is like FromFloat32, for float64.
func FromFloat64(data []float64, shape ...int64) Tensor { return CPU.FromFloat64(data, shape...) }

// FromInt64 is like FromFloat32, for int64.
func FromInt64(data []int64, shape ...int64) Tensor { return CPU.FromInt64(data, shape...) }

// FromFloat32 is like the function FromFloat32, for a tensor on d. For a CUDA device it copies data to pinned
// memory and returns before the elements are on the device; data may change at once.
func (d Device) FromFloat32(data []float32, shape ...int64) Tensor {
	return from(d, data, Float32, shape)
}

// FromFloat64 is like FromFloat32, for float64.
func (d Device) FromFloat64(data []float64, shape ...int64) Tensor {
	return from(d, data, Float64, shape)
}

// FromInt64 is like FromFloat32, for int64.
func (d Device) FromInt64(data []int64, shape ...int64) Tensor { return from(d, data, Int64, shape) }

// FromBytes returns a new tensor of that type and shape on the CPU. data holds its elements in
// row-major order and native byte order. It panics with *Error if the number of bytes does not match.
func FromBytes(data []byte, dtype DType, shape ...int64) Tensor {
	return fromRaw(CPU, unsafe.Pointer(unsafe.SliceData(data)), len(data), dtype, shape)
}

func from[T any](d Device, data []T, dtype DType, shape []int64) Tensor {
	var zero T
	return fromRaw(d, unsafe.Pointer(unsafe.SliceData(data)), len(data)*int(unsafe.Sizeof(zero)), dtype, shape)
}

func fromRaw(device Device, data unsafe.Pointer, bytes int, dtype DType, shape []int64) Tensor {
	const op = "from_data"
	enter(op)
	if want := numel(shape) * dtype.Size(); want != int64(bytes) {
		panic(&Error{Op: op, Shapes: [][]int64{shape}, Err: fmt.Errorf("%d bytes of %v given, %d needed", bytes, dtype, want)})
	}
	var out C.ht
	d, n := dims(shape)
	check(op, nil, C.hdas_from_data(&out, data, (*C.int64_t)(&d[0]), C.int(n), C.int(dtype.Number()), C.int(device.c())))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}

// Bytes returns a copy of t's elements in row-major order and native byte order.
func (t Tensor) Bytes() []byte {
	data := make([]byte, t.Numel()*t.DType().Size())
	t.read(unsafe.Pointer(unsafe.SliceData(data)), len(data))
	return data
}

// Float64s returns a copy of t's elements, of any type, converted to float64, in row-major order.
func (t Tensor) Float64s() []float64 {
	enter("to_data")
	data := make([]float64, t.Numel())
	scoped(func(*Scope) {
		t.To(Float64).read(unsafe.Pointer(unsafe.SliceData(data)), 8*len(data))
	})
	return data
}

// Int64s returns a copy of t's elements, of any type, converted to int64, in row-major order.
func (t Tensor) Int64s() []int64 {
	enter("to_data")
	data := make([]int64, t.Numel())
	scoped(func(*Scope) {
		t.To(Int64).read(unsafe.Pointer(unsafe.SliceData(data)), 8*len(data))
	})
	return data
}

// read copies t's elements to data, which must have room for exactly that many bytes.
func (t Tensor) read(data unsafe.Pointer, bytes int) {
	enter("to_data")
	check("to_data", []Tensor{t}, C.hdas_to_data(t.ht(), data, C.size_t(bytes)))
}

// Item returns the value of a tensor with one element, and panics with *Error for any other. On CUDA
// it waits until the value is computed.
func (t Tensor) Item() float64 {
	if t.Numel() != 1 {
		panic(&Error{Op: "item", Shapes: [][]int64{t.Shape()}, Err: fmt.Errorf("%d elements, not one", t.Numel())})
	}
	return t.Float64s()[0]
}

// Clone returns a copy of t with elements of its own. Gradients flow through the copy to t.
func (t Tensor) Clone() Tensor {
	enter("clone")
	var out C.ht
	check("clone", []Tensor{t}, C.hdas_clone(&out, t.ht()))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
