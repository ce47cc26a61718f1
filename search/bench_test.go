package search

import (
	"slices"
	"testing"
	"time"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

// The clipping and the step of SGD, for the weights of DARTS' supernet (C=16, 8 cells) and of its network
// (C=36, 20 cells).
func BenchmarkWeightStep(b *testing.B) {
	c := configs.DefaultSearchSection(configs.CellSearch)
	s, err := c.Space()
	if err != nil {
		b.Fatal(err)
	}
	g, err := genotype.Load("DARTS_V2")
	if err != nil {
		b.Fatal(err)
	}
	image := tiny
	image.H, image.W = 32, 32
	for _, net := range []struct {
		name string
		make func() (plan.Network, error)
	}{
		{"supernet", func() (plan.Network, error) { return plan.New(s.Dense, macro(16, 8), image, s.Candidates) }},
		{"derived", func() (plan.Network, error) { return plan.New(g, macro(36, 20), image, genotype.Candidates{}) }},
	} {
		b.Run(net.name, func(b *testing.B) {
			err := torch.Do(func(*torch.Scope) error {
				p, err := net.make()
				if err != nil {
					return err
				}
				store := nn.NewStore(torchtest.Options(torch.Float32))
				defer store.Free()
				if _, err := models.Build(store, p); err != nil {
					return err
				}
				params := store.Weights()
				l := optim.Learner{Params: nn.Tensors(params), Clip: 5,
					Optimizer: optim.NewSGD(params, torch.SGDOptions{Momentum: 0.9, WeightDecay: 3e-4})}
				defer l.Free()
				var n int64
				for _, p := range params {
					n += p.Tensor.Numel()
				}
				b.Logf("%d tensors, %d elements", len(params), n)
				var seconds []float64
				for b.Loop() {
					torch.Within(func(*torch.Scope) {
						grads := make([]torch.Tensor, len(params))
						for i, p := range params {
							grads[i] = torch.Ones(torchtest.Options(torch.Float32), p.Tensor.Shape()...)
						}
						start := time.Now()
						l.Step([]float64{0.025}, grads)
						seconds = append(seconds, time.Since(start).Seconds())
					})
				}
				slices.Sort(seconds)
				b.ReportMetric(1000*seconds[0], "ms-least")
				b.ReportMetric(1000*seconds[len(seconds)/2], "ms-median")
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
