package models_test

import (
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/torch"
	"hdas/torch/nn"
)

var (
	small = layer.Shape{C: 3, H: 32, W: 32}
	large = layer.Shape{C: 3, H: 224, W: 224}
)

func load(t *testing.T, name string) genotype.Genotype {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Published sizes: of the DARTS repository's networks, counted by its own classes, and of the
// H-DAS authors' program.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		genotype, preset, poolNorm string
		channels                   int64
		layers                     int
		parameters, macs, with     int64 // 0: not known
	}{
		{"DARTS_V1", models.CIFAR, "auto", 36, 20, 3169414, 500987520, 3645840},
		{"DARTS_V2", models.CIFAR, "auto", 36, 20, 3349342, 528359040, 3825768},
		{"PDARTS", models.CIFAR, "auto", 36, 20, 3433798, 532174464, 3910224},
		{"DARTS_V1", models.ImageNet, "auto", 48, 14, 4510432, 505864704, 5771208},
		{"DARTS_V2", models.ImageNet, "auto", 48, 14, 4718752, 529911552, 5979528},
		{"PDARTS", models.ImageNet, "auto", 48, 14, 4944352, 542819328, 6205128},
		{"Hc_DAS_cells", models.CIFAR, "auto", 36, 20, 3705742, 578282112, 0},
		{"Hc_DAS_cells", models.CIFAR, "on", 36, 20, 3707326, 578282112, 0},
	} {
		m := models.Macro{Preset: c.preset, Channels: c.channels, Layers: c.layers, Classes: 10, PoolNorm: c.poolNorm, Wiring: models.Summed}
		image := small
		if c.preset == models.ImageNet {
			m.Classes, image = 1000, large
		}
		p, err := models.NewPlan(load(t, c.genotype), m, image, models.Search{})
		if err != nil {
			t.Errorf("%s: %v", c.genotype, err)
			continue
		}
		if p.Cost.Parameters != c.parameters || p.Cost.MACs != c.macs {
			t.Errorf("%s, %s, pool_norm %s: %d parameters, %d MACs, not %d, %d", c.genotype, c.preset, c.poolNorm, p.Cost.Parameters, p.Cost.MACs, c.parameters, c.macs)
		}
		if with := p.Cost.Parameters + p.AuxiliaryCost.Parameters; c.with != 0 && with != c.with {
			t.Errorf("%s, %s: %d parameters with the auxiliary head, not %d", c.genotype, c.preset, with, c.with)
		}
	}
}

// All-skip stages over DARTS_V1's cells, C=36, 6,R,6,R,6: 4,689,156 with the auxiliary head, as the
// H-DAS authors' program counts.
func TestSizeOfSkipStages(t *testing.T) {
	g := load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")
	for i := range g.Stages {
		for n := range g.Stages[i].Nodes {
			for e := range g.Stages[i].Nodes[n].In {
				g.Stages[i].Nodes[n].In[e].Op = "skip_connect"
			}
		}
	}
	p, err := models.NewPlan(g, macro(36, 0), small, models.Search{})
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Cost.Parameters + p.AuxiliaryCost.Parameters; n != 4689156 {
		t.Errorf("%d parameters, not 4,689,156", n)
	}
}

func macro(channels int64, layers int) models.Macro {
	return models.Macro{Preset: models.CIFAR, Channels: channels, Layers: layers, Classes: 10, PoolNorm: "auto", Wiring: models.Summed}
}

// A plan counts what Build makes, and sees the shapes that the tensors have.
func TestPlanCountsWhatBuildMakes(t *testing.T) {
	for _, c := range []struct {
		genotype, preset string
		layers           int
	}{
		{"DARTS_V2", models.CIFAR, 2}, {"DARTS_V2", models.CIFAR, 3}, {"PDARTS", models.CIFAR, 5}, {"Hc_DAS_cells", models.CIFAR, 8},
		{"DARTS_V1", models.ImageNet, 4}, {"Hc_DAS_cells+Hs_DAS_ImageNet_stages", models.ImageNet, 0}, {"PDARTS+Hs_DAS_CIFAR_stages", models.CIFAR, 0},
	} {
		t.Run(c.genotype+"/"+c.preset, func(t *testing.T) {
			m, image := macro(4, c.layers), small
			m.Preset, m.Auxiliary = c.preset, true
			if c.preset == models.ImageNet {
				image = large
			}
			p, err := models.NewPlan(load(t, c.genotype), m, image, models.Search{})
			if err != nil {
				t.Fatal(err)
			}
			torchtest.Do(t, func(*torch.Scope) {
				s := nn.NewStore(torch.Options{})
				defer s.Free()
				n, err := models.Build(s.Root(), p, models.Decided{})
				if err != nil {
					t.Error(err)
					return
				}
				if got, want := s.Count(nil), p.Cost.Parameters+p.AuxiliaryCost.Parameters; got != want {
					t.Errorf("%d parameters were made, %d planned", got, want)
				}
				head := func(name string) bool { return strings.HasPrefix(name, "auxiliary_head.") }
				if got := s.Count(head); got != p.AuxiliaryCost.Parameters {
					t.Errorf("%d parameters in the auxiliary head, %d planned", got, p.AuxiliaryCost.Parameters)
				}
				logits, aux := n.Forward(&nn.Ctx{Train: true, DropPath: 0.3}, torch.Randn(torch.Options{}, 2, 3, image.H, image.W))
				if s := logits.Shape(); len(s) != 2 || s[0] != 2 || s[1] != 10 {
					t.Errorf("logits have shape %v", s)
				}
				if s := aux.Shape(); len(s) != 2 || s[0] != 2 || s[1] != 10 {
					t.Errorf("auxiliary logits have shape %v", s)
				}
			})
		})
	}
}

func TestPlanErrors(t *testing.T) {
	g := load(t, "DARTS_V1")
	for name, c := range map[string]struct {
		g     genotype.Genotype
		m     models.Macro
		image layer.Shape
		words string
	}{
		"odd size":     {g, macro(4, 8), layer.Shape{C: 3, H: 30, W: 30}, "divide by 4"},
		"no layers":    {g, macro(4, 1), small, "at least 2"},
		"small head":   {g, models.Macro{Preset: models.CIFAR, Channels: 4, Layers: 8, Classes: 10, Auxiliary: true, PoolNorm: "auto", Wiring: models.Summed}, layer.Shape{C: 3, H: 28, W: 28}, "network.auxiliary=false"},
		"stages alone": {load(t, "Hs_DAS_CIFAR_stages"), macro(4, 0), small, "stages alone"},
		"stage output": {g, models.Macro{Preset: models.CIFAR, Channels: 4, Layers: 8, Classes: 10, PoolNorm: "auto", Wiring: models.Summed, StageOutput: models.Last}, small, "Rule 2"},
		"everything":   {g, models.Macro{Preset: "x", Channels: 0, Layers: 8, Classes: 0, PoolNorm: "y", Wiring: "z"}, small, "wiring"},
		"undecided":    {genotype.Genotype{Version: 1, Name: "u", Cells: map[string]genotype.DAG{"normal": {Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0}}}}, Out: []int{2}}, "reduce": g.Cells["reduce"]}}, macro(4, 8), small, "unknown"},
	} {
		if _, err := models.NewPlan(c.g, c.m, c.image, models.Search{}); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: error %v does not say %q", name, err, c.words)
		}
	}
}

// Every primitive, at both strides, with and without affine and pool norm: the shape that its
// description says, parameters as counted, a gradient that reaches the input, finite values, and
// the same output again.
func TestPrimitives(t *testing.T) {
	for _, name := range ops.Names() {
		for _, s := range []ops.Spec{{C: 4, Stride: 1}, {C: 4, Stride: 2}, {C: 4, Stride: 1, Affine: true, PoolNorm: true}, {C: 4, Stride: 2, Affine: true, PoolNorm: true}} {
			err := torch.Do(func(*torch.Scope) {
				l, err := ops.New(name, s)
				if err != nil {
					t.Fatal(err)
				}
				store := nn.NewStore(torch.Options{DType: torch.Float64})
				defer store.Free()
				m := l.New(store.Root())
				out, cost := l.Cost(layer.Shape{C: 4, H: 8, W: 8})
				if n := store.Count(nil); n != cost.Parameters {
					t.Errorf("%s %+v: %d parameters, %d counted", name, s, n, cost.Parameters)
				}
				x := torch.Randn(torch.Options{DType: torch.Float64}, 2, 4, 8, 8).SetRequiresGrad(true)
				y := m.Forward(&nn.Ctx{Train: true}, x)
				if got := y.Shape(); got[1] != out.C || got[2] != out.H || got[3] != out.W || out.H != 8/s.Stride {
					t.Errorf("%s %+v: output %v, planned %v", name, s, got, out)
				}
				if ops.IsNull(name) {
					return
				}
				again := m.Forward(&nn.Ctx{Train: true}, x)
				a, b := y.Float64s(), again.Float64s()
				for i := range a {
					if a[i] != b[i] || a[i]-a[i] != 0 {
						t.Fatalf("%s %+v: value %d is %v, then %v", name, s, i, a[i], b[i])
					}
				}
				g := torch.Grad(y.Mul(y).Mul(y).Sum(), []torch.Tensor{x})[0]
				if !g.Defined() || torch.Norm([]torch.Tensor{g}).Item() == 0 {
					t.Errorf("%s %+v: no gradient reaches the input", name, s)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
