// Package raw reads reference tensors as Go slices, for packages that do not use libtorch. A missing file
// fails the test.
package raw

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"testing"

	"hdas/torch/dtype"
	"hdas/weights/safetensors"
)

// File holds the tensors of a safetensors file.
type File struct {
	path    string
	tensors map[string]safetensors.Tensor
}

// Read reads a file. The path is relative to the folder of the test's package.
func Read(t testing.TB, path string) File {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	tensors := map[string]safetensors.Tensor{}
	for _, v := range f.Tensors {
		tensors[v.Name] = v
	}
	return File{path, tensors}
}

// Names returns the names of all tensors, sorted.
func (f File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Bytes returns the elements and the shape of a uint8 tensor.
func (f File) Bytes(t testing.TB, name string) (data []byte, shape []int) {
	t.Helper()
	return f.get(t, name, dtype.Uint8)
}

// Float32s returns the elements and the shape of a float32 tensor.
func (f File) Float32s(t testing.TB, name string) (data []float32, shape []int) {
	t.Helper()
	bytes, shape := f.get(t, name, dtype.Float32)
	for ; len(bytes) > 0; bytes = bytes[4:] {
		data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(bytes)))
	}
	return data, shape
}

func (f File) get(t testing.TB, name string, want dtype.DType) (data []byte, shape []int) {
	t.Helper()
	v, ok := f.tensors[name]
	if !ok {
		t.Fatalf("golden %s has no %s", f.path, name)
	}
	if v.DType != want {
		t.Fatalf("golden %s: %s is of %v, not %v", f.path, name, v.DType, want)
	}
	for _, n := range v.Shape {
		shape = append(shape, int(n))
	}
	return v.Bytes(), shape
}
