package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hdas/datasets"
	"hdas/export"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
)

// Opset is the version of ONNX' standard operations in exported models.
const Opset = export.Opset

// ExportONNX writes the network of a checkpoint to the file out as an ONNX model, in evaluation and without
// the auxiliary head, and returns its number of operations. Weights, images and logits have the precision
// Float32 or Float16; with averaged, the weights are their averages. With fold, batch norms are multiplied into
// the convolutions before them.
func ExportONNX(out, path string, averaged bool, precision torch.DType, fold bool) (nodes int, err error) {
	err = torch.Do(func(*torch.Scope) error {
		s, err := open(path, averaged)
		if err != nil {
			return err
		}
		m, err := s.onnx(precision, fold)
		if err != nil {
			return err
		}
		nodes = len(m.Nodes)
		return run.Replace(out, func(w io.Writer) error {
			return m.Write(w, func(name string) []float64 { return s.weights[name].Float64s() })
		})
	})
	return nodes, err
}

// ExportModule writes the network of a checkpoint to the file out as the source of a PyTorch module, which
// loads the PyTorch file that ExportTo writes.
func ExportModule(out, path string) error {
	return torch.Do(func(*torch.Scope) error {
		s, err := open(path, false)
		if err != nil {
			return err
		}
		m := export.Module{Genotype: s.genotype, Plan: s.plan, Mean: s.Mean, Std: s.Std, Classes: s.Classes, View: "Photos are " + s.View().String() + "."}
		return run.Replace(out, m.Write)
	})
}

// stored is a network in a checkpoint: its description and its weights, which fit each other.
type stored struct {
	Description
	genotype genotype.Genotype
	plan     plan.Network
	weights  map[string]torch.Tensor
}

// open reads the network of a checkpoint or of a run's newest one. The tensors belong to the innermost scope.
func open(path string, averaged bool) (s stored, err error) {
	file, c, err := read(path, averaged)
	if err != nil {
		return s, err
	}
	s.weights = c.State[weightsSection]
	if s.genotype, s.Description, err = DescriptionOf(c.Meta); err == nil {
		err = s.check(s.genotype, s.weights)
	}
	if err == nil {
		s.plan, err = s.Plan(s.genotype)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// onnx returns the ONNX model of the network, with the metadata that docs/deployment.md lists.
func (s stored) onnx(precision torch.DType, fold bool) (export.Model, error) {
	var text bytes.Buffer
	if err := s.genotype.Encode(&text); err != nil {
		return export.Model{}, err
	}
	graph, err := export.NewGraph(s.plan, fold)
	m := export.Model{Graph: graph, Name: s.genotype.Name, Image: s.Image, Classes: s.Macro.Classes, Precision: precision}
	add := func(key, value string) { m.Metadata = append(m.Metadata, export.Property{Key: key, Value: value}) }
	if len(s.Classes) > 0 {
		add("classes", list(s.Classes))
	}
	if len(s.Mean) > 0 {
		add("mean", list(s.Mean))
		add("std", list(s.Std))
	}
	add("size", list([]int64{s.Image.C, s.Image.H, s.Image.W}))
	if v := s.View(); v.Resize > 0 {
		add("resize", strconv.Itoa(v.Resize))
	}
	add("interpolation", s.View().Filter.String())
	add("genotype", text.String())
	return m, err
}

// list returns a list of texts or numbers as JSON.
func list(of any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(of); err != nil {
		panic(err) // numbers that are not finite, which no checkpoint can hold
	}
	return strings.TrimSpace(b.String())
}

// View returns how image files become images of the network. A network that was trained on image files gets an
// image as in its evaluation (resized, then cropped); one that was trained on images of a fixed size gets the
// whole image.
func (d Description) View() datasets.View {
	size := int(d.Image.W)
	switch {
	case datasets.OfFiles(d.Data.Name):
		return d.Data.View()
	case d.Macro.Preset == plan.ImageNet:
		return datasets.Spec{Size: size}.View()
	}
	return datasets.View{Size: size}
}
