package model

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights"
)

// The naming schemes of exported tensors.
const (
	NamesDARTS = "darts" // the names of quark0/darts, which this program uses itself
	NamesHDAS  = "hdas"  // the names of the H-DAS authors' program
)

// Export returns the network's parameters and running statistics in a checkpoint, in the order of the
// network, under that naming scheme and with the types of the checkpoint; with averaged, their averages. Batch norms also get the
// num_batches_tracked that PyTorch expects: the imported number, or 0, since this program does not count
// batches. It runs inside torch.Do; the tensors belong to the innermost scope.
func Export(path string, averaged bool, names string) ([]nn.Param, error) {
	file, c, err := read(path, averaged)
	if err != nil {
		return nil, err
	}
	g, d, err := DescriptionOf(c.Meta)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	want, err := parameters(g, d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var out []nn.Param
	var all []string
	for _, w := range want {
		t, ok := c.State[weightsSection][w.Name]
		if !ok {
			return nil, fmt.Errorf("%s has no weights %s", file, w.Name)
		}
		out, all = append(out, nn.Param{Name: w.Name, Tensor: t}), append(all, w.Name)
		if norm, ok := strings.CutSuffix(w.Name, ".running_var"); ok {
			seen, kept := c.State[batches][norm+weights.Tracked]
			if !kept {
				seen = torch.FromInt64([]int64{0})
			}
			out = append(out, nn.Param{Name: norm + weights.Tracked, Tensor: seen})
		}
	}
	switch names {
	case NamesDARTS:
		return out, nil
	case NamesHDAS:
		for _, dag := range g.Cells {
			for _, n := range dag.Nodes {
				if len(n.In) != 2 {
					return nil, fmt.Errorf("%s: the H-DAS authors' program needs two edges at every node; a node of %s has %d", file, g.Name, len(n.In))
				}
			}
		}
		return rename(out, weights.ToHDAS(all))
	}
	return nil, fmt.Errorf("names %q are unknown; known are %s, %s", names, NamesDARTS, NamesHDAS)
}

// Forms lists the extensions of the files that ExportTo writes: safetensors, and PyTorch's torch.save.
var Forms = []string{".safetensors", ".pt"}

// ExportTo writes the tensors that Export returns to the file out, in the format of its extension, and
// returns their number.
func ExportTo(out, path string, averaged bool, names string) (n int, err error) {
	err = torch.Do(func(*torch.Scope) error {
		params, err := Export(path, averaged, names)
		if err != nil {
			return err
		}
		n = len(params)
		switch ext := filepath.Ext(out); ext {
		case ".safetensors":
			return run.WriteTensors(out, params, map[string]string{"format": "pt"})
		case ".pt":
			folder := strings.TrimSuffix(filepath.Base(out), ext)
			return run.Replace(out, func(w io.Writer) error { return weights.WriteTorch(w, folder, Arrays(params)) })
		}
		return fmt.Errorf("%s is none of the files that can be written: %s", out, strings.Join(Forms, ", "))
	})
	return n, err
}

func rename(params []nn.Param, turn func(string) string) ([]nn.Param, error) {
	var faults []error
	for i, p := range params {
		if params[i].Name = turn(p.Name); params[i].Name == "" {
			faults = append(faults, fmt.Errorf("%s: the H-DAS authors' program has no name for it", p.Name))
		}
	}
	return params, errors.Join(faults...)
}

// Arrays returns tensors as the entries of a file for another program.
func Arrays(params []nn.Param) []weights.Entry {
	entries := make([]weights.Entry, len(params))
	for i, p := range params {
		entries[i] = weights.Entry{Name: p.Name, Array: weights.NewArray(p.Tensor.DType(), p.Tensor.Shape(), p.Tensor.Bytes())}
	}
	return entries
}
