package run

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights/safetensors"
)

// ReadTensors reads a safetensors file and returns its tensors by name, and its texts. The tensors,
// on the CPU, belong to the innermost scope. It runs inside torch.Do.
func ReadTensors(path string) (map[string]torch.Tensor, map[string]string, error) {
	f, err := safetensors.Read(path)
	if err != nil {
		return nil, nil, err
	}
	tensors, err := toTensors(f.Tensors)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, f.Texts, nil
}

// WriteTensors writes a safetensors file, the same bytes for the same content: beside it first,
// then synced and renamed, so that there is the old file or the new one, whole. The order of the
// tensors does not count; their names must differ. It runs inside torch.Do.
func WriteTensors(path string, tensors []nn.Param, texts map[string]string) error {
	arrays, err := toArrays(tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Replace(path, func(w io.Writer) error {
		return safetensors.Write(w, safetensors.File{Tensors: arrays, Texts: texts})
	})
}

// toArrays returns tensors as a file has them, sorted by name. Their elements are copied when they
// are written.
func toArrays(tensors []nn.Param) ([]safetensors.Tensor, error) {
	arrays := make([]safetensors.Tensor, len(tensors))
	for i, p := range tensors {
		if !p.Tensor.Defined() {
			return nil, fmt.Errorf("tensor %q is undefined", p.Name)
		}
		arrays[i] = safetensors.Tensor{Name: p.Name, DType: p.Tensor.DType(), Shape: p.Tensor.Shape(), Bytes: p.Tensor.Bytes}
	}
	slices.SortFunc(arrays, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return arrays, nil
}

// toTensors makes tensors of the arrays of a file. They belong to the innermost scope; on an error
// none is left.
func toTensors(arrays []safetensors.Tensor) (map[string]torch.Tensor, error) {
	tensors := make(map[string]torch.Tensor, len(arrays))
	name := ""
	err := torch.Do(func(s *torch.Scope) error {
		for _, a := range arrays {
			name = a.Name
			tensors[name] = torch.FromBytes(a.Bytes(), a.DType, a.Shape...)
		}
		for _, t := range tensors {
			s.Return(t)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return tensors, nil
}
