// Package weights reads and writes networks' parameters in the files of other programs: PyTorch
// checkpoints and safetensors files. It also translates the names of the tensors in them. It does not
// need libtorch. A malicious file causes an error: memory is bounded by the size of the file, and no code
// from a file is run.
package weights

import (
	"fmt"
	"slices"
	"strings"

	"hdas/internal/filekind"
	"hdas/torch/dtype"
	"hdas/weights/safetensors"
)

// Array is a tensor in a file. It refers to the file's memory and does not copy the elements.
type Array struct {
	DType   dtype.DType
	Shape   []int64
	data    []byte  // begins with the first element; little-endian
	strides []int64 // in elements; nil for row-major order without gaps
}

// NewArray returns an array of the elements in data, which are in row-major order and little-endian.
// Their number must match the shape.
func NewArray(d dtype.DType, shape []int64, data []byte) Array {
	return Array{DType: d, Shape: shape, data: data}
}

// Bytes returns the elements in row-major order, little-endian. The result shares the file's memory if
// the elements have that order there; else it is a copy.
func (a Array) Bytes() []byte {
	size, total := a.DType.Size(), a.bytes()
	if a.strides == nil || total == 0 {
		return a.data[:total]
	}
	out, index := make([]byte, 0, total), make([]int64, len(a.Shape))
	for at := int64(0); int64(len(out)) < total; {
		out = append(out, a.data[at*size:(at+1)*size]...)
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			at += a.strides[d]
			if index[d] < a.Shape[d] {
				break
			}
			at -= index[d] * a.strides[d]
			index[d] = 0
		}
	}
	return out
}

// bytes returns the size of all elements in bytes.
func (a Array) bytes() int64 {
	n := a.DType.Size()
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// same reports whether both arrays have the same elements, without copying them: they share memory, or
// both are in row-major order with equal values.
func (a Array) same(b Array) bool {
	if a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) {
		return false
	}
	if len(a.data) > 0 && len(b.data) > 0 && &a.data[0] == &b.data[0] && slices.Equal(a.strides, b.strides) {
		return true
	}
	return string(a.Bytes()) == string(b.Bytes())
}

// Entry is a named array.
type Entry struct {
	Name string
	Array
}

// File holds the tensors of one network in a file.
type File struct {
	Entries []Entry  // in the file's order; prefixes of modules around the network, such as "module.", are removed
	Key     string   // the key of the dict that holds them, as in "state_dict"; empty for the top
	Notices []string // parts of the file that were skipped, one line each
	size    int64    // of the file, in bytes; of compressed parts the size after decompression
}

// Read reads a network's tensors from a PyTorch file (.pt, .pth, .pth.tar; zip or the format before 1.6)
// or a safetensors file. It recognises the format by the content. key selects one of several dicts of
// tensors in a PyTorch file; keys of nested dicts are joined by dots. With an empty key, Read takes the
// dict that most probably is the network's. The arrays share the memory of the file's content.
func Read(path, key string) (File, error) {
	data, err := safetensors.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f, err := Parse(data, key)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Parse is like Read, for the content of a file.
func Parse(data []byte, key string) (f File, err error) {
	switch {
	case isZip(data):
		f, err = readZip(data, key)
	case isLegacy(data):
		f, err = readLegacy(data, key)
	case isTar(data):
		err = unsupported("a tar archive in the format of PyTorch before 0.1.10; load it with such a version and save it again")
	case key != "" && filekind.Of(data) == "":
		err = unsupported("not a PyTorch file, so it has nothing under the key %q", key)
	default:
		f, err = readSafetensors(data)
	}
	if err != nil {
		return File{}, err
	}
	if len(f.Entries) == 0 {
		return File{}, unsupported("it holds no tensors")
	}
	f.size += int64(len(data))
	f.passOver()
	return f, f.tidy()
}

// isTar reports whether data is a tar archive.
func isTar(data []byte) bool { return len(data) > 262 && string(data[257:262]) == "ustar" }

// wrappers lists the name prefixes of modules that wrap a network in PyTorch.
var wrappers = []string{"module.", "_orig_mod.", "model."}

// tidy removes the prefixes of wrappers that the names of all tensors have.
func (f *File) tidy() error {
	in := func(prefix string) bool {
		return !slices.ContainsFunc(f.Entries, func(e Entry) bool { return !strings.HasPrefix(e.Name, prefix) })
	}
	for at := 0; at >= 0; {
		if at = slices.IndexFunc(wrappers, in); at >= 0 {
			for i := range f.Entries {
				f.Entries[i].Name = strings.TrimPrefix(f.Entries[i].Name, wrappers[at])
			}
		}
	}
	f.unwrap()
	seen := map[string]bool{}
	for _, e := range f.Entries {
		if seen[e.Name] {
			return fmt.Errorf("two tensors are named %.100q", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}

func readSafetensors(data []byte) (File, error) {
	s, err := safetensors.Parse(data)
	if err != nil {
		class := ErrUnsupported
		if filekind.IsSafetensors(data) {
			class = ErrDamaged
		} else if kind := filekind.Name(data); kind != "" { // asked here, as a safetensors file may begin with any bytes
			if !strings.Contains(kind, ";") { // otherwise it says what to do
				kind += "; weights are read from PyTorch files (.pt, .pth, .pth.tar) and safetensors files"
			}
			return File{}, unsupported("it is %s", kind)
		}
		return File{}, fmt.Errorf("%w: neither a PyTorch file nor a complete safetensors file: %w", class, err)
	}
	f := File{Entries: make([]Entry, len(s.Tensors))}
	for i, t := range s.Tensors {
		f.Entries[i] = Entry{t.Name, NewArray(t.DType, t.Shape, t.Bytes())}
	}
	return f, nil
}
