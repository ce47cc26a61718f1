package export_test

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"hdas/export"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch/dtype"
)

// planned returns the plan of a genotype's network.
func planned(t *testing.T, name string, c genotype.Candidates, change func(*plan.Macro)) (genotype.Genotype, plan.Network) {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	m := plan.Macro{Preset: plan.ImageNet, Channels: 4, Layers: 5, Classes: 7, PoolNorm: plan.PoolNormAuto, Wiring: plan.Summed}
	change(&m)
	p, err := plan.New(g, m, layer.Shape{C: 3, H: 224, W: 224}, c)
	if err != nil {
		t.Fatal(err)
	}
	return g, p
}

// A graph reads what earlier nodes or parameters give, and each of these is read. Its parameters are those of the network without the
// auxiliary head, and have the sizes of their shapes.
func TestGraphIsWhole(t *testing.T) {
	for _, name := range []string{"DARTS_V2", "PDARTS", "DARTS_V1+Hs_DAS_CIFAR_stages"} {
		for _, fold := range []bool{false, true} {
			_, p := planned(t, name, genotype.Candidates{}, func(m *plan.Macro) { m.Auxiliary = true })
			g, err := export.NewGraph(p, fold)
			if err != nil {
				t.Fatal(err)
			}
			unread := map[string]bool{}
			define := func(name string) {
				if _, there := unread[name]; there {
					t.Errorf("%s is there twice", name)
				}
				unread[name] = true
			}
			sizes, read := map[string]int64{}, map[string]bool{}
			for _, w := range p.Params() {
				sizes[w.Name] = w.Numel()
			}
			define(export.Input)
			for _, w := range g.Parameters {
				define(w.Name)
				if w.Integers != nil {
					continue
				}
				values := w.Values(func(name string) []float64 { read[name] = true; return slices.Repeat([]float64{1}, int(sizes[name])) })
				if n := (layer.Param{Shape: w.Shape}).Numel(); int64(len(values)) != n || n == 0 {
					t.Errorf("%s has %d values, not %d", w.Name, len(values), n)
				}
			}
			for _, n := range g.Nodes {
				for _, from := range n.Inputs {
					if _, there := unread[from]; !there {
						t.Errorf("%s reads %s, which is not there", n.Name, from)
					}
					unread[from] = false
				}
				define(n.Name)
			}
			for name, is := range unread {
				if is != (name == export.Output) {
					t.Errorf("%s: unread is %v", name, is)
				}
			}
			for _, w := range p.Params() {
				if read[w.Name] == strings.HasPrefix(w.Name, "auxiliary_head.") {
					t.Errorf("%s: read is %v", w.Name, read[w.Name])
				}
			}
		}
	}
}

// What does not fit into a model, and what is no derived network, is an error that says so.
func TestRefused(t *testing.T) {
	_, p := planned(t, "DARTS_V2", genotype.Candidates{}, func(*plan.Macro) {})
	write := func(p plan.Network, precision dtype.DType, value float64) string {
		g, err := export.NewGraph(p, false)
		if err != nil {
			t.Fatal(err)
		}
		m := export.Model{Graph: g, Name: "x", Image: p.Image, Classes: 7, Precision: precision}
		err = m.Write(io.Discard, func(name string) []float64 {
			return slices.Repeat([]float64{value}, 1<<20)
		})
		if err == nil {
			return ""
		}
		return err.Error()
	}
	_, huge := planned(t, "DARTS_V2", genotype.Candidates{}, func(m *plan.Macro) { m.Channels = 4096 })
	for want, got := range map[string]string{
		"stem0.0.weight has the value 65520, which does not fit into float16": write(p, dtype.Float16, 65520),
		"stem0.0.weight has the value 1e+39, which does not fit into float32": write(p, dtype.Float32, 1e39),
		"stem0.0.weight has the value NaN":                                    write(p, dtype.Float32, math.NaN()),
		"an ONNX file has at most 2 GB":                                       write(huge, dtype.Float32, 1),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	dense := genotype.DAG{Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0, Op: genotype.Any}, {From: 1, Op: genotype.Any}}}}, Out: []int{2}}
	super, err := plan.New(genotype.Genotype{Version: genotype.Version, Name: "x", Cells: map[string]genotype.DAG{"normal": dense, "reduce": dense}},
		p.Macro, p.Image, genotype.Candidates{Cell: ops.Cell})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.NewGraph(super, false); err == nil || !strings.Contains(err.Error(), "supernet") {
		t.Errorf("a supernet gives %v", err)
	}
}

// Files are recognised by their first bytes; other files are not taken for them.
func TestRecognised(t *testing.T) {
	g, p := planned(t, "DARTS_V2", genotype.Candidates{}, func(*plan.Macro) {})
	g.Name = "an \"\"\" odd \\ name\n"
	var module, model bytes.Buffer
	if err := (export.Module{Genotype: g, Plan: p}).Write(&module); err != nil {
		t.Fatal(err)
	}
	if err := (export.Model{Name: g.Name, Image: p.Image, Classes: 7}).Write(&model, nil); err != nil {
		t.Fatal(err)
	}
	if !export.IsModule(module.Bytes()) || export.IsModel(module.Bytes()) || !export.IsModel(model.Bytes()) || export.IsModule(model.Bytes()) {
		t.Errorf("%.300s\n%.100q", module.String(), model.String())
	}
	if first, _, _ := strings.Cut(module.String(), "\n"); strings.Count(first, `"""`) != 1 || strings.Contains(first, `\`) {
		t.Errorf("the docstring begins with %s", first)
	}
	for _, head := range []string{"", "\x08", "\x08\x08\x12", "\x08\x08\x12\xff", "\x08\x08\x12\x02ab", "\x08\x08\x12\x01a\x09", `"""A module of mine."""`, "import torch\n"} {
		if export.IsModel([]byte(head)) || export.IsModule([]byte(head)) {
			t.Errorf("%q is taken for an exported file", head)
		}
	}
}
