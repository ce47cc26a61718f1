// Package dtype lists the element types of tensors: their sizes, and their names and numbers in
// libtorch, in PyTorch's files and in safetensors files. It does not need libtorch.
package dtype

import "fmt"

// DType is the type of a tensor's elements. The zero value is Float32.
type DType uint8

// The element types. Networks compute in Float32 or Float64.
const (
	Float32 DType = iota
	Float64
	Float16
	BFloat16
	Int64
	Int32
	Int16
	Int8
	Uint8
	Bool
)

var table = [...]struct {
	name        string // PyTorch's
	size        int64  // bytes of an element
	number      int32  // libtorch's ScalarType
	safetensors string // the name in safetensors files
	storage     string // the storage class in PyTorch's files
}{
	Float32:  {"float32", 4, 6, "F32", "FloatStorage"},
	Float64:  {"float64", 8, 7, "F64", "DoubleStorage"},
	Float16:  {"float16", 2, 5, "F16", "HalfStorage"},
	BFloat16: {"bfloat16", 2, 15, "BF16", "BFloat16Storage"},
	Int64:    {"int64", 8, 4, "I64", "LongStorage"},
	Int32:    {"int32", 4, 3, "I32", "IntStorage"},
	Int16:    {"int16", 2, 2, "I16", "ShortStorage"},
	Int8:     {"int8", 1, 1, "I8", "CharStorage"},
	Uint8:    {"uint8", 1, 0, "U8", "ByteStorage"},
	Bool:     {"bool", 1, 11, "BOOL", "BoolStorage"},
}

// Known reports whether d is one of the constants above.
func (d DType) Known() bool { return int(d) < len(table) }

// String returns PyTorch's name, as in "float32".
func (d DType) String() string {
	if !d.Known() {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return table[d].name
}

// Size returns the size of one element in bytes.
func (d DType) Size() int64 { return table[d].size }

// Floating reports whether d is a floating-point type.
func (d DType) Floating() bool { return d <= BFloat16 }

// Number returns the type's ScalarType number in libtorch.
func (d DType) Number() int32 { return table[d].number }

// Safetensors returns the type's name in safetensors files, as in "F32".
func (d DType) Safetensors() string { return table[d].safetensors }

// Storage returns the name of the type's storage class in PyTorch's files, as in "FloatStorage".
func (d DType) Storage() string { return table[d].storage }

// FromNumber returns the type whose ScalarType number in libtorch is number; ok is false if there is
// none.
func FromNumber(number int32) (d DType, ok bool) {
	return find(func(d DType) bool { return d.Number() == number })
}

// FromSafetensors returns the type with the given name in safetensors files; ok is false if there is
// none.
func FromSafetensors(name string) (d DType, ok bool) {
	return find(func(d DType) bool { return d.Safetensors() == name })
}

// FromStorage returns the element type of PyTorch's storage class; ok is false if there is none.
func FromStorage(class string) (d DType, ok bool) {
	return find(func(d DType) bool { return d.Storage() == class })
}

func find(is func(DType) bool) (DType, bool) {
	for i := range table {
		if d := DType(i); is(d) {
			return d, true
		}
	}
	return 0, false
}
