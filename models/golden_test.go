package models_test

import (
	"hdas/models/plan"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/nn"
)

// The numbers of the reference networks: see internal/golden/data/README.md. In float64 logits,
// loss and every recorded gradient agree to 1e-8; in float32 logits to 1e-3, for the gradients of
// these randomly weighted networks are ill-conditioned.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file, genotype string
		macro          plan.Macro
		rename         func(f golden.File) func(string) string
	}{
		{"darts/cifar.safetensors", "DARTS_V2", plan.Macro{Preset: plan.CIFAR, Layers: 20, Classes: 10}, nil},
		{"darts/imagenet.safetensors", "DARTS_V2", plan.Macro{Preset: plan.ImageNet, Layers: 14, Classes: 20}, nil},
		{"hdas/derived.safetensors", "DARTS_V1+Hs_DAS_CIFAR_stages", plan.Macro{Preset: plan.CIFAR, Classes: 10}, golden.File.HDAS},
	} {
		c.macro.Channels, c.macro.Auxiliary, c.macro.PoolNorm, c.macro.Wiring = 4, true, "auto", plan.Summed
		for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
			t.Run(c.file+"/"+dtype.String(), func(t *testing.T) {
				err := torch.Do(func(*torch.Scope) error {
					equal(t, golden.Read(t, c.file), c.genotype, c.macro, dtype, c.rename)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func equal(t *testing.T, f golden.File, name string, m plan.Macro, dtype torch.DType, names func(golden.File) func(string) string) {
	var rename func(string) string
	if names != nil {
		rename = names(f)
	}
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	x := f.Get(t, "input").To(dtype)
	plan, err := plan.New(g, m, layer.Shape{C: 3, H: x.Size(2), W: x.Size(3)}, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(torchtest.Options(dtype))
	defer store.Free()
	net, err := models.Build(store, plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Load(f.Under("state.", rename)); err != nil {
		t.Fatal(err)
	}
	logitTolerance, gradTolerance := 1e-8, 1e-8
	if dtype == torch.Float32 {
		logitTolerance = 1e-3
	}
	torch.NoGrad(func() {
		logits, aux := net.Forward(&nn.Ctx{}, x)
		golden.Check(t, "eval.logits", logits, f.Get(t, "eval.logits"), logitTolerance)
		if aux.Defined() {
			t.Error("auxiliary logits outside training")
		}
	})
	logits, aux := net.Forward(&nn.Ctx{Train: true}, x)
	labels := f.Get(t, "labels")
	loss := torch.CrossEntropy(logits, labels, 0).Add(torch.CrossEntropy(aux, labels, 0).MulScalar(0.4))
	golden.Check(t, "train.logits", logits, f.Get(t, "train.logits"), logitTolerance)
	golden.Check(t, "train.aux", aux, f.Get(t, "train.aux"), logitTolerance)
	golden.Check(t, "train.loss", loss, f.Get(t, "train.loss"), logitTolerance)
	if dtype == torch.Float32 {
		return
	}
	weights := store.Weights()
	grads := torch.Grad(loss, nn.Tensors(weights))
	want, checked := f.Under("grad.", rename), 0
	for i, w := range weights {
		if g, ok := want[w.Name]; ok {
			golden.Check(t, "gradient of "+w.Name, grads[i], g, gradTolerance)
			checked++
		}
	}
	if checked != len(want) || checked == 0 {
		t.Errorf("%d gradients of %d checked", checked, len(want))
	}
}
