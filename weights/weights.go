// Package weights reads and writes the weights of other programs: files of PyTorch and safetensors,
// and the names that tensors have in them. It is plain Go and trusts no file: what it makes of one
// is bounded by the file's size, and nothing that a file names is run.
package weights

import (
	"fmt"
	"slices"
	"strings"

	"hdas/internal/filekind"
	"hdas/torch/dtype"
	"hdas/weights/safetensors"
)

// Array is a tensor in a file. Its elements stay where the file has them.
type Array struct {
	DType   dtype.DType
	Shape   []int64
	data    []byte  // from the first element on, little-endian
	strides []int64 // in elements; nil: row by row without gaps
}

// NewArray is an array of elements that lie row by row, little-endian; their number must be the
// shape's.
func NewArray(d dtype.DType, shape []int64, data []byte) Array {
	return Array{DType: d, Shape: shape, data: data}
}

// Bytes are the elements row by row, little-endian: those of the file, or a copy where they lie
// otherwise there.
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

// bytes is the size of all elements.
func (a Array) bytes() int64 {
	n := a.DType.Size()
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// same reports whether both are the same elements, without copying: of a shared storage, or equal
// by value and row by row.
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

// File is what a file holds of one network.
type File struct {
	Entries []Entry  // in the file's order, named without what wraps all of it ("module.")
	Key     string   // where in the file they were, as in "state_dict"; empty: at its top
	Notices []string // what was passed over, a line each, for the user
	size    int64    // in bytes
}

// Read reads the weights in a file of PyTorch (.pt, .pth, .pth.tar: zip or the older form) or of
// safetensors, told apart by their content. Where a file of PyTorch has several dicts of tensors,
// key says which, as dotted keys; empty takes the one that is a network's by its name or size. The
// arrays share the file's memory.
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

// Parse is Read of a file's content.
func Parse(data []byte, key string) (f File, err error) {
	switch {
	case isZip(data):
		f, err = readZip(data, key)
	case isLegacy(data):
		f, err = readLegacy(data, key)
	case isTar(data):
		err = unsupported("a tar archive, as PyTorch before 0.1.10 wrote; load it there and save it again")
	case key != "" && filekind.Of(data) == "":
		err = unsupported("no file of PyTorch, so it has nothing under the key %q", key)
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

// isTar looks for the mark of a tar archive.
func isTar(data []byte) bool { return len(data) > 262 && string(data[257:262]) == "ustar" }

// wrappers are the modules that PyTorch and programs put around a network.
var wrappers = []string{"module.", "_orig_mod.", "model."}

// tidy takes the names of wrappers that all tensors are in off their names.
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
		if kind := filekind.Of(data); kind != "" { // asked here, as a safetensors file may begin with any bytes
			return File{}, unsupported("it is %s", kind)
		}
		class := ErrUnsupported
		if len(data) > 8 && data[8] == '{' {
			class = ErrDamaged
		}
		return File{}, fmt.Errorf("%w: neither a file of PyTorch nor a whole safetensors file: %w", class, err)
	}
	f := File{Entries: make([]Entry, len(s.Tensors))}
	for i, t := range s.Tensors {
		f.Entries[i] = Entry{t.Name, NewArray(t.DType, t.Shape, t.Bytes())}
	}
	return f, nil
}
