package train_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/train"
)

// The steps of internal/golden/training.py: AdamW and SGD, layer decay, no decay of norms and biases, clipping,
// averaged weights, frozen norms. With these, a batch in parts is the large batch that PyTorch learned from.
func TestGoldenTrainings(t *testing.T) {
	base := configs.DefaultTrainSection()
	base.Optimizer, base.Beta1, base.Beta2, base.Eps = configs.AdamWOptimizer, 0.9, 0.999, 1e-8
	adamw, frozen, sgd := base, base, base
	adamw.Beta2, adamw.Eps, adamw.ClipBy, adamw.Clip = 0.99, 1e-6, configs.ClipValue, 0.02
	adamw.BackboneLR, adamw.LayerDecay, adamw.NormDecay, adamw.WeightDecay, adamw.EMA = 0.5, 0.7, false, 0.05, configs.EMA{Decay: 0.9, Warmup: true}
	frozen.ClipBy, frozen.WeightDecay, frozen.FreezeNorm, frozen.EMA = configs.ClipNone, 0.01, true, configs.EMA{Decay: 0.8}
	sgd.Optimizer, sgd.Momentum, sgd.Nesterov, sgd.ClipBy, sgd.Clip = configs.SGDOptimizer, 0.9, true, configs.ClipNorm, 0.5
	sgd.BackboneLR, sgd.LayerDecay, sgd.NormDecay, sgd.WeightDecay, sgd.FreezeNorm, sgd.EMA = 0.1, 0.8, false, 0.1, true, configs.EMA{Decay: 0.99, Warmup: true}
	for _, c := range []struct {
		name   string
		config configs.TrainSection
		parts  []int64 // images of each part of a batch
	}{
		{"adamw", adamw, []int64{6}},
		{"frozen", frozen, []int64{6}}, {"frozen", frozen, []int64{2, 2, 2}}, {"frozen", frozen, []int64{4, 2}},
		{"sgd", sgd, []int64{3, 3}},
	} {
		t.Run(fmt.Sprint(c.name, c.parts), func(t *testing.T) {
			if err := torch.Do(func(*torch.Scope) error { trained(t, c.name, c.config, c.parts); return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func trained(t *testing.T, name string, c configs.TrainSection, parts []int64) {
	f := golden.Read(t, "training.safetensors")
	g, err := genotype.Published("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	m := plan.Macro{Preset: plan.CIFAR, Channels: 2, Layers: 4, Classes: 3, PoolNorm: "auto", Wiring: plan.Summed}
	p, err := plan.New(g, m, layer.Shape{C: 3, H: 16, W: 16}, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.NewStore(torchtest.Options(torch.Float64))
	defer weights.Free()
	net, err := models.Build(weights, p)
	if err != nil {
		t.Fatal(err)
	}
	torch.NoGrad(func() {
		for p := range weights.All() {
			p.Tensor.Copy_(golden.Weight(p.Name, p.Tensor.Shape()...))
		}
	})
	s := train.NewStepper(net, weights, c)
	defer s.Free()
	all := slices.Collect(weights.All())
	average := optim.NewAverage(all, c.EMA.Decay, c.EMA.Warmup)
	defer average.Free()
	losses := f.Get(t, name+"/loss").Float64s()
	for step, rate := range []float64{0.01, 0.02, 0.005, 0.01} {
		s.Stepped = func() { average.Update(step + 1) }
		images := golden.Noise(fmt.Sprintf("images.%d", step), 6, 3, 16, 16)
		labels := make([]int64, 6)
		for i, v := range golden.Noise(fmt.Sprintf("labels.%d", step), 6).Float64s() {
			labels[i] = int64((1 + v) / 2 * 3)
		}
		var from int64
		loss, _ := s.Accumulate(&nn.Ctx{Train: true, FrozenNorms: c.FreezeNorm}, rate, len(parts), func(i int) train.Part {
			first, n := from, parts[i]
			from += n
			return train.Part{In: []torch.Tensor{images.Narrow(0, first, n), torchtest.Int64s(labels[first:first+n], n)}, Share: float64(n) / 6, Loss: func(in []torch.Tensor, logits torch.Tensor) torch.Tensor {
				return torch.CrossEntropy(logits, in[1], 0)
			}}
		}, func(_, _ torch.Tensor) {})
		golden.Check(t, fmt.Sprintf("loss of step %d", step), loss.Reshape(1), torchtest.Float64s(losses[step:step+1], 1), 1e-10)
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b nn.Param) int { return strings.Compare(a.Name, b.Name) })
	every7th := func(params []nn.Param) torch.Tensor {
		var kept []float64
		n := 0
		for _, p := range params {
			for _, v := range p.Tensor.Float64s() {
				if n%7 == 0 {
					kept = append(kept, v)
				}
				n++
			}
		}
		return torchtest.Float64s(kept, int64(len(kept)))
	}
	golden.Check(t, "weights", every7th(all), f.Get(t, name+"/weights"), 1e-10)
	before := every7th(all).Float64s()
	average.Swap()
	golden.Check(t, "averages", every7th(all), f.Get(t, name+"/averages"), 1e-10)
	average.Swap()
	if !slices.Equal(every7th(all).Float64s(), before) {
		t.Error("other weights after two swaps")
	}
}
