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

// ReadTensors returns the tensors of a safetensors file by name, and its metadata. The tensors are on
// the CPU and belong to the innermost scope. It runs inside torch.Do.
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

// WriteTensors writes tensors and metadata to a safetensors file, completely or not at all (see
// Replace). The same content gives the same bytes, in whichever order the tensors come. Their names
// must differ. It runs inside torch.Do.
func WriteTensors(path string, tensors []nn.Param, texts map[string]string) error {
	arrays, err := toArrays(tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Replace(path, func(w io.Writer) error {
		return safetensors.Write(w, safetensors.File{Tensors: arrays, Texts: texts})
	})
}

// toArrays returns the entries of a file for tensors, sorted by name, with copies of their elements, which are
// read from the device once.
func toArrays(tensors []nn.Param) ([]safetensors.Tensor, error) {
	for _, p := range tensors {
		if !p.Tensor.Defined() {
			return nil, fmt.Errorf("tensor %q is undefined", p.Name)
		}
	}
	arrays := make([]safetensors.Tensor, len(tensors))
	torch.Within(func(*torch.Scope) {
		for i, t := range torch.ToCPU(nn.Tensors(tensors)) {
			elements := t.Bytes()
			arrays[i] = safetensors.Tensor{Name: tensors[i].Name, DType: t.DType(), Shape: t.Shape(), Bytes: func() []byte { return elements }}
		}
	})
	slices.SortFunc(arrays, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return arrays, nil
}

// toTensors returns tensors with the content of a file's entries. They belong to the innermost scope;
// on an error all of them are freed.
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
