package models_test

import (
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models"
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
			p, err := plan.New(load(t, c.genotype), m, image, genotype.Candidates{})
			if err != nil {
				t.Fatal(err)
			}
			torchtest.Do(t, func(*torch.Scope) {
				s := nn.NewStore(torchtest.Options(torch.Float32))
				defer s.Free()
				n, err := models.Build(s, p)
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
