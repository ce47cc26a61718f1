// Package safetensors reads and writes safetensors files: a JSON header with the name, the type, the
// shape and the position of each tensor, followed by the elements of all tensors. A damaged or malicious
// file causes an error, and the memory that reading takes is bounded by the size of the file.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"hdas/torch/dtype"
)

// Tensor is a tensor in a file.
type Tensor struct {
	Name  string
	DType dtype.DType
	Shape []int64
	// Bytes returns the elements in row-major order, little-endian. Write calls it for one tensor after
	// the other, so that not all copies have to be in memory at once.
	Bytes func() []byte
}

// Size returns the number of bytes of the elements, computed from type and shape.
func (t Tensor) Size() int64 {
	n := t.DType.Size()
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is the content of a file.
type File struct {
	Tensors []Tensor // sorted by name if returned by Read or Parse
	Texts   map[string]string
}

// entry is the description of a tensor in a header.
type entry struct {
	DType   string  `json:"dtype"`
	Shape   numbers `json:"shape"`
	Offsets numbers `json:"data_offsets"` // begin and end of its elements, relative to the end of the header
	name    string
	dtype   dtype.DType
}

// textsKey is the header's key of the metadata; no tensor can have this name.
const textsKey = "__metadata__"

// Write writes a file. Equal content gives equal bytes; the order of f.Tensors does not matter.
func Write(w io.Writer, f File) error {
	tensors := slices.Clone(f.Tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int { // larger element types first, so that all elements are aligned
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.DType, b.DType), strings.Compare(a.Name, b.Name))
	})
	header, err := f.header(tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		elements := t.Bytes()
		if int64(len(elements)) != t.Size() {
			return fmt.Errorf("tensor %q: %d bytes do not match the shape %v", t.Name, len(elements), t.Shape)
		}
		if _, err := w.Write(elements); err != nil {
			return err
		}
	}
	return nil
}

// header returns the bytes before the elements, for tensors in the given order.
func (f File) header(tensors []Tensor) ([]byte, error) {
	all := make(map[string]any, len(tensors)+1)
	if len(f.Texts) > mostTexts {
		return nil, fmt.Errorf("%d metadata entries; at most %d are allowed", len(f.Texts), mostTexts)
	}
	for key, text := range f.Texts {
		if !utf8.ValidString(key) || !utf8.ValidString(text) {
			return nil, fmt.Errorf("text %q is not UTF-8", key)
		}
	}
	end := int64(0)
	for _, t := range tensors {
		if all[t.Name] != nil {
			return nil, fmt.Errorf("two tensors are named %q", t.Name)
		}
		if t.Name == textsKey || !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("a safetensors file cannot hold a tensor named %q", t.Name)
		}
		if err := checkShape(t.Shape); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		all[t.Name] = entry{DType: t.DType.Safetensors(), Shape: append(numbers{}, t.Shape...), Offsets: numbers{end, end + t.Size()}}
		end += t.Size()
	}
	if len(f.Texts) > 0 {
		all[textsKey] = f.Texts
	}
	text, err := json.Marshal(all) // sorts the keys
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if n := int64(len(text)); n > largestHeader(8+n+end) {
		return nil, fmt.Errorf("a header of %d bytes, for %d tensors of %d bytes, is too large", n, len(tensors), end)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
