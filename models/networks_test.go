package models_test

import (
	"hdas/models/plan"
	"math"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/nn"
)

// measured holds the results of internal/golden/networks.py for a network.
type measured struct {
	Parameters    int64
	WithAuxiliary int64 `json:"with_auxiliary"`
	MACs          int64
	Logits        []float64
	Gradient      float64
}

func measurements(t *testing.T) map[string]map[plan.Preset]measured {
	t.Helper()
	var m map[string]map[plan.Preset]measured
	golden.ReadJSON(t, "networks.json", &m)
	for _, name := range genotype.Names() {
		if m[name] == nil && m["DARTS_V1+"+name] == nil {
			t.Errorf("%s is not in networks.json; run internal/golden/networks.py", name)
		}
	}
	return m
}

// The sizes of every published genotype with both presets equal those of PyTorch's modules exactly.
func TestSizesOfPublished(t *testing.T) {
	for name, presets := range measurements(t) {
		for preset, want := range presets {
			m, image := plan.Macro{Preset: preset, Channels: 36, Layers: 20, Classes: 10, PoolNorm: "auto", Wiring: plan.Summed}, small
			if preset == plan.ImageNet {
				m.Channels, m.Layers, m.Classes, image = 48, 14, 1000, large
			}
			p, err := plan.New(load(t, name), m, image, genotype.Candidates{})
			if err != nil {
				t.Error(err)
				continue
			}
			got := measured{Parameters: p.Cost.Parameters, WithAuxiliary: p.Cost.Parameters + p.AuxiliaryCost.Parameters, MACs: p.Cost.MACs}
			if got.Parameters != want.Parameters || got.WithAuxiliary != want.WithAuxiliary || got.MACs != want.MACs {
				t.Errorf("%s, %s: %+v, not %+v", name, preset, got, want)
			}
		}
	}
}

// Every published genotype in small, with the weights and images that networks.py has: logits and
// the norm of the gradient to 1e-9 in float64. Then one training pass with drop path, whose
// gradients are finite.
func TestNumbersOfPublished(t *testing.T) {
	for name, presets := range measurements(t) {
		for preset, want := range presets {
			m, size := macro(4, 5), int64(16)
			if m.Classes = 7; preset == plan.ImageNet {
				m.Preset, size = preset, 64
			}
			t.Run(name+"/"+string(preset), func(t *testing.T) {
				torchtest.Do(t, func(*torch.Scope) { numbers(t, name, m, size, want) })
			})
		}
	}
}

func numbers(t *testing.T, name string, m plan.Macro, size int64, want measured) {
	plan, err := plan.New(load(t, name), m, layer.Shape{C: 3, H: size, W: size}, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(torchtest.Options(torch.Float64))
	defer store.Free()
	net, err := models.Build(store, plan)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]torch.Tensor{}
	for p := range store.All() {
		values[p.Name] = golden.Weight(p.Name, p.Tensor.Shape()...)
	}
	if err := store.Load(values); err != nil {
		t.Fatal(err)
	}
	x := golden.Noise("image", 2, 3, size, size)
	what := name + ", " + string(m.Preset)
	logits, _ := net.Forward(&nn.Ctx{}, x)
	golden.Check(t, "logits of "+what, logits, torchtest.Float64s(want.Logits, 2, m.Classes), 1e-9)
	if norm := gradient(store, logits); math.Abs(norm-want.Gradient) > 1e-9*want.Gradient {
		t.Errorf("%s: gradient of norm %v, not %v", what, norm, want.Gradient)
	}
	logits, _ = net.Forward(&nn.Ctx{Train: true, DropPath: 0.2}, x)
	if norm := gradient(store, logits); math.IsNaN(norm) || math.IsInf(norm, 0) || norm == 0 {
		t.Errorf("%s: gradient of norm %v while training", what, norm)
	}
}

// gradient returns the gradient norm, over all weights, of half the sum of the squared logits.
func gradient(s *nn.Store, logits torch.Tensor) float64 {
	var there []torch.Tensor
	for _, g := range torch.Grad(logits.Mul(logits).Sum().MulScalar(0.5), nn.Tensors(s.Weights())) {
		if g.Defined() { // a node that nothing reads has none
			there = append(there, g)
		}
	}
	return torch.Norm(there).Item()
}
