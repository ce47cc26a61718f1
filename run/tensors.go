package run

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/nlpodyssey/safetensors"

	"hdas/torch"
	"hdas/torch/nn"
)

// The element types that a file can hold, by safetensors' names.
var dtypes = map[safetensors.DType]torch.DType{
	safetensors.BOOL: torch.Bool, safetensors.U8: torch.Uint8, safetensors.I64: torch.Int64,
	safetensors.F16: torch.Float16, safetensors.BF16: torch.BFloat16,
	safetensors.F32: torch.Float32, safetensors.F64: torch.Float64,
}

// ReadTensors reads a safetensors file, checked against its own header, and the texts in it. The
// tensors, on the CPU, belong to the innermost scope; it runs inside torch.Do.
func ReadTensors(path string) (map[string]torch.Tensor, map[string]string, error) {
	arrays, texts, err := readArrays(path)
	if err != nil {
		return nil, nil, err
	}
	tensors, err := toTensors(arrays)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, texts, nil
}

// WriteTensors writes a safetensors file, the same bytes for the same content: beside it first,
// then synced and renamed, so that there is the old file or the new one, whole. The order of the
// tensors does not count; their names must differ. It runs inside torch.Do.
func WriteTensors(path string, tensors []nn.Param, texts map[string]string) error {
	arrays, err := toArrays(tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Replace(path, func(w io.Writer) error { return writeArrays(w, arrays, texts) })
}

// array is a tensor as safetensors sees it, its View.
type array struct {
	dtype safetensors.DType
	shape []uint64
	size  uint64        // in bytes
	data  func() []byte // row by row, little-endian; a tensor's is copied when its turn comes
}

func (a array) DType() safetensors.DType { return a.dtype }
func (a array) Shape() []uint64          { return a.shape }
func (a array) DataLen() uint64          { return a.size }
func (a array) Data() []byte             { return a.data() }

func writeArrays(w io.Writer, arrays map[string]array, texts map[string]string) error {
	for key, text := range texts {
		if !utf8.ValidString(key) || !utf8.ValidString(text) {
			return fmt.Errorf("text %q is not UTF-8", key)
		}
	}
	return safetensors.SerializeToWriter(arrays, texts, w)
}

// readArrays reads a file once; the arrays share its memory.
func readArrays(path string) (map[string]array, map[string]string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	n, header, err := safetensors.ReadMetadata(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a whole safetensors file: %w", path, err)
	}
	arrays := map[string]array{}
	for name, info := range header.Tensors() {
		data := file[8+n:][info.DataOffsets[0]:info.DataOffsets[1]]
		arrays[name] = array{info.DType, info.Shape, uint64(len(data)), func() []byte { return data }}
	}
	return arrays, header.Metadata(), nil
}

func toArrays(tensors []nn.Param) (map[string]array, error) {
	arrays := map[string]array{}
	for _, p := range tensors {
		name, t := p.Name, p.Tensor
		switch _, twice := arrays[name]; {
		case twice:
			return nil, fmt.Errorf("two tensors are named %q", name)
		case name == "__metadata__" || !utf8.ValidString(name):
			return nil, fmt.Errorf("a safetensors file cannot hold a tensor named %q", name)
		case !t.Defined():
			return nil, fmt.Errorf("tensor %q is undefined", name)
		}
		a := array{shape: []uint64{}, size: uint64(t.Numel() * t.DType().Size()), data: t.Bytes}
		for _, d := range t.Shape() {
			a.shape = append(a.shape, uint64(d))
		}
		ok := false
		for dtype, d := range dtypes {
			if d == t.DType() {
				a.dtype, ok = dtype, true
			}
		}
		if !ok {
			return nil, fmt.Errorf("tensor %q has elements of %v; a file can hold %v", name, t.DType(), supported())
		}
		arrays[name] = a
	}
	return arrays, nil
}

// toTensors makes the tensors of arrays; on an error, none is left.
func toTensors(arrays map[string]array) (map[string]torch.Tensor, error) {
	tensors := map[string]torch.Tensor{}
	var at string
	var fault error
	failure := torch.Do(func(s *torch.Scope) {
		for _, at = range slices.Sorted(maps.Keys(arrays)) {
			a := arrays[at]
			dtype, ok := dtypes[a.dtype]
			if !ok {
				fault = fmt.Errorf("elements of %v; supported are %v", a.dtype, supported())
				return
			}
			shape := make([]int64, len(a.shape))
			for i, d := range a.shape {
				shape[i] = int64(d) // libtorch refuses what has become negative
			}
			tensors[at] = torch.FromBytes(a.data(), dtype, shape...)
		}
		for _, t := range tensors {
			s.Return(t)
		}
	})
	if failure != nil {
		fault = failure
	}
	if fault != nil {
		return nil, fmt.Errorf("tensor %q: %w", at, fault)
	}
	return tensors, nil
}

func supported() []safetensors.DType { return slices.Sorted(maps.Keys(dtypes)) }
