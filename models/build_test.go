package models_test

import (
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
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

func macro(channels int64, layers int) plan.Macro {
	return plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, Classes: 10, PoolNorm: "auto", Wiring: plan.Summed}
}

// A plan has the parameters that Build makes, and predicts the shapes of the tensors.
func TestPlanCountsWhatBuildMakes(t *testing.T) {
	for _, c := range []struct {
		genotype string
		preset   plan.Preset
		layers   int
	}{
		{"DARTS_V2", plan.CIFAR, 2}, {"DARTS_V2", plan.CIFAR, 3}, {"PDARTS", plan.CIFAR, 5}, {"Hc_DAS_cells", plan.CIFAR, 8},
		{"DARTS_V1", plan.ImageNet, 4}, {"Hc_DAS_cells+Hs_DAS_ImageNet_stages", plan.ImageNet, 0}, {"PDARTS+Hs_DAS_CIFAR_stages", plan.CIFAR, 0},
	} {
		t.Run(c.genotype+"/"+string(c.preset), func(t *testing.T) {
			m, image := macro(4, c.layers), small
			m.Preset, m.Auxiliary = c.preset, true
			if c.preset == plan.ImageNet {
				image = large
			}
			torchtest.Do(t, func(*torch.Scope) {
				b := build(t, load(t, c.genotype), m, image)
				defer b.Free()
				s, p, n := b.Store, b.plan, b.net
				if got, want := s.Count(nil), p.Cost.Parameters+p.AuxiliaryCost.Parameters; got != want {
					t.Errorf("%d parameters were made, %d planned", got, want)
				}
				head := func(name string) bool { return strings.HasPrefix(name, "auxiliary_head.") }
				if got := s.Count(head); got != p.AuxiliaryCost.Parameters {
					t.Errorf("%d parameters in the auxiliary head, %d planned", got, p.AuxiliaryCost.Parameters)
				}
				logits, aux := n.Forward(&nn.Ctx{Train: true, DropPath: 0.3}, torch.Randn(torchtest.Options(torch.Float32), 2, 3, image.H, image.W))
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

// A pass holds no more states of a deep network than of a shallow one.
func TestStatesAreFreed(t *testing.T) {
	held := func(name string, layers int, train bool) (n int64) {
		torchtest.Do(t, func(*torch.Scope) {
			b := build(t, load(t, name), macro(2, layers), small)
			defer b.Free()
			x := torch.Zeros(torchtest.Options(torch.Float32), 2, 3, 32, 32)
			before := torch.Live()
			b.net.Forward(&nn.Ctx{Train: train}, x)
			n = torch.Live() - before
		})
		return n
	}
	for _, train := range []bool{false, true} {
		few := held("DARTS_V2", 8, train)
		for name, layers := range map[string]int{"DARTS_V2": 14, "PDARTS+Hs_DAS_CIFAR_stages": 0} {
			if n := held(name, layers, train); n > few {
				t.Errorf("%s, train %t: %d tensors are left, and %d of a network of 8 cells", name, train, n, few)
			}
		}
	}
}
