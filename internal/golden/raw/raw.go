// Package raw reads golden tensors as plain slices, for the packages that have no libtorch. A file
// that is absent fails the test.
package raw

import (
	"encoding/binary"
	"math"
	"os"
	"testing"

	"github.com/nlpodyssey/safetensors"
)

// File holds the tensors of a safetensors file.
type File struct {
	path    string
	tensors safetensors.SafeTensors
}

// Read reads a file of the test's package.
func Read(t testing.TB, path string) File {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	s, err := safetensors.Deserialize(data)
	if err != nil {
		t.Fatalf("golden %s: %v", path, err)
	}
	return File{path, s}
}

// Names are all tensors'.
func (f File) Names() []string { return f.tensors.Names() }

// Bytes is a tensor of uint8, with its shape.
func (f File) Bytes(t testing.TB, name string) (data []byte, shape []int) {
	t.Helper()
	return f.get(t, name, safetensors.U8)
}

// Float32s is a tensor of float32, with its shape.
func (f File) Float32s(t testing.TB, name string) (data []float32, shape []int) {
	t.Helper()
	bytes, shape := f.get(t, name, safetensors.F32)
	for ; len(bytes) > 0; bytes = bytes[4:] {
		data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(bytes)))
	}
	return data, shape
}

func (f File) get(t testing.TB, name string, want safetensors.DType) (data []byte, shape []int) {
	t.Helper()
	v, ok := f.tensors.Tensor(name)
	if !ok {
		t.Fatalf("golden %s has no %s", f.path, name)
	}
	if v.DType() != want {
		t.Fatalf("golden %s: %s is of %v, not %v", f.path, name, v.DType(), want)
	}
	for _, n := range v.Shape() {
		shape = append(shape, int(n))
	}
	return v.Data(), shape
}
