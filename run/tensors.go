package run

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	_, header, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no whole safetensors file: %w", path, err)
	}
	file, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no whole safetensors file: %w", path, err)
	}
	tensors := map[string]torch.Tensor{}
	for _, v := range file.Tensors() {
		view := v.TensorView
		dtype, ok := dtypes[view.DType()]
		if !ok {
			return nil, nil, fmt.Errorf("%s: tensor %s has the element type %v, which is not supported", path, v.Name, view.DType())
		}
		shape := make([]int64, len(view.Shape()))
		for i, d := range view.Shape() {
			shape[i] = int64(d)
		}
		tensors[v.Name] = torch.FromBytes(view.Data(), dtype, shape...)
	}
	return tensors, header.Metadata(), nil
}

// WriteTensors writes a safetensors file, the same bytes for the same content: beside it first,
// then synced and renamed, so that there is the old file or the new one, whole. It runs inside
// torch.Do.
func WriteTensors(path string, tensors []nn.Param, texts map[string]string) error {
	views := map[string]view{}
	for _, p := range tensors {
		views[p.Name] = view{p.Tensor}
	}
	return replace(path, func(w io.Writer) error { return safetensors.SerializeToWriter(views, texts, w) })
}

// view lets safetensors read a tensor when its turn comes, one copy at a time.
type view struct{ torch.Tensor }

func (v view) DType() safetensors.DType {
	for name, d := range dtypes {
		if d == v.Tensor.DType() {
			return name
		}
	}
	panic(fmt.Sprintf("run: no safetensors name for %v", v.Tensor.DType()))
}

func (v view) Shape() []uint64 {
	shape := []uint64{}
	for _, d := range v.Tensor.Shape() {
		shape = append(shape, uint64(d))
	}
	return shape
}

func (v view) Data() []byte    { return v.Bytes() }
func (v view) DataLen() uint64 { return uint64(v.Numel() * v.Tensor.DType().Size()) }

// replace writes a file beside path, syncs it and renames it to path.
func replace(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// unfinished ends the names of files that are being written.
const unfinished = ".unfinished"

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
