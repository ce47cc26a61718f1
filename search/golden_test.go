package search

import (
	"fmt"
	"hdas/configs"
	"hdas/models/plan"
	"slices"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

var (
	double = torchtest.Options(torch.Float64)
	cifar  = layer.Shape{C: 3, H: 32, W: 32}
)

func macro(channels int64, layers int) plan.Macro {
	return plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, Classes: 10, PoolNorm: "auto", Wiring: plan.Summed}
}

// The three bilevel steps of quark0/darts' search, first order and second: see
// internal/golden/data/README.md.
func TestGoldenSteps(t *testing.T) {
	for order, prefix := range map[configs.Order]string{configs.FirstOrder: "order1.", configs.SecondOrder: "order2."} {
		t.Run(string(order), func(t *testing.T) { goldenSteps(t, orders[order], prefix) })
	}
}

func goldenSteps(t *testing.T, hyper HyperGrad, prefix string) {
	c := configs.DefaultSearchSection(configs.CellSearch)
	c.StageSpecific, c.Weights.WeightDecay = false, 3e-4
	within(t, func() {
		f := golden.Read(t, "darts/search.safetensors")
		n := supernet(t, c, macro(4, 8))
		defer n.Free()
		load(t, n.Weights, f.Under("state.", nil))
		load(t, n.Arch.Store, map[string]torch.Tensor{"alpha.normal": f.Get(t, "alpha.normal"), "alpha.reduce": f.Get(t, "alpha.reduce")})
		learn := bilevel(n)
		defer learn.Free()

		inputs, labels := f.Get(t, "inputs").To(torch.Float64), f.Get(t, "labels")
		for step := range int64(3) {
			half := func(h int64) Sample {
				return Sample{Images: inputs.Select(0, step).Select(0, h), Labels: labels.Select(0, step).Select(0, h)}
			}
			train, valid := half(0), half(1)
			learn.Order = func(b *Bilevel, rate float64, train, valid Sample) ([]torch.Tensor, Losses) {
				grads, losses := hyper(b, rate, train, valid)
				for i, p := range n.Arch.Store.Weights() {
					golden.Check(t, fmt.Sprintf("step %d, gradient of %s", step, p.Name), grads[i], f.Get(t, fmt.Sprintf("%sstep%d.grad.%s", prefix, step, p.Name)), 1e-7)
				}
				return grads, losses
			}
			loss := learn.Step(0.025, true, train, valid).Train
			golden.Check(t, fmt.Sprintf("step %d, training loss", step), loss, f.Get(t, fmt.Sprintf("%sstep%d.train_loss", prefix, step)), 1e-7)
		}
		after := f.Under(prefix+"after.", nil)
		golden.Check(t, "norm of the weights", torch.Norm(nn.Tensors(n.Weights.Weights())), after["weights_norm"], 1e-7)
		delete(after, "weights_norm")
		for name, want := range after {
			p, ok := n.Weights.Get(name)
			if !ok {
				p, ok = n.Arch.Store.Get(name)
			}
			if !ok {
				t.Errorf("no parameter %s", name)
				continue
			}
			golden.Check(t, name+" after three steps", p.Tensor, want, 1e-7)
		}
	})
}

// bilevel has DARTS' optimizers.
func bilevel(n *Supernet) *Bilevel {
	n.config.Weights.WeightDecay = 3e-4
	return NewBilevel(n)
}

// The H-DAS authors' stage and distribution supernets while training.
func TestGoldenStages(t *testing.T) {
	for _, k := range []configs.Kind{configs.StageSearch, configs.DistributionSearch} {
		t.Run(string(k), func(t *testing.T) {
			within(t, func() {
				f := golden.Read(t, "hdas/"+string(k)+"_search.safetensors")
				n := supernet(t, configs.DefaultSearchSection(k), macro(4, 0))
				defer n.Free()
				weights := f.Under("state.", f.HDAS())
				load(t, n.Weights, weights)
				load(t, n.Arch.Store, archOf(t, f, "state.", n))
				images := f.Get(t, "input").To(torch.Float64)
				loss := n.ArchLoss(Sample{Images: images, Labels: f.Get(t, "labels")})
				golden.Check(t, "train.logits", n.Logits(n.learning(Sample{}), images), f.Get(t, "train.logits"), 1e-8)
				golden.Check(t, "train.loss", loss.Classification, f.Get(t, "train.loss"), 1e-8)
				params := n.Arch.Store.Weights()
				stem, _ := n.Weights.Get("stem.0.weight")
				grads := torch.Grad(loss.Classification, append(nn.Tensors(params), stem.Tensor))
				want := archOf(t, f, "grad.", n)
				for i, p := range params {
					golden.Check(t, "gradient of "+p.Name, grads[i], want[p.Name], 1e-8)
				}
				golden.Check(t, "gradient of the stem", grads[len(params)], f.Get(t, "grad.stem.0.weight"), 1e-8)
			})
		})
	}
}

// archOf collects the authors' matrices, one a cell, into one a stage.
func archOf(t *testing.T, f golden.File, prefix string, n *Supernet) map[string]torch.Tensor {
	arch, cell := map[string]torch.Tensor{}, 0
	for s, d := range n.Arch.dags {
		var rows []float64
		for range d.Nodes {
			rows = slices.Concat(rows, golden.HDASAlpha(f.Get(t, fmt.Sprintf("%salpha_DAG.%d", prefix, cell)).Float64s()))
			cell++
		}
		arch["alpha."+d.Name] = torchtest.Float64s(rows, int64(d.Rows()), int64(len(d.Ops)))
		if n.Arch.space.MinCells > 0 {
			arch["beta."+d.Name] = f.Get(t, fmt.Sprintf("%salpha_concat.%d", prefix, s)).Reshape(-1)
		}
	}
	return arch
}

func within(t *testing.T, f func()) {
	t.Helper()
	torchtest.Do(t, func(*torch.Scope) { f() })
}

func supernet(t *testing.T, c configs.SearchSection, m plan.Macro) *Supernet {
	t.Helper()
	s, err := c.Space()
	if err != nil {
		t.Fatal(err)
	}
	return supernetOf(t, s, c, m, cifar)
}

func supernetOf(t *testing.T, s space.Space, c configs.SearchSection, m plan.Macro, image layer.Shape) *Supernet {
	t.Helper()
	n, err := NewSupernet(s, c, m, image, double)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func load(t *testing.T, s *nn.Store, values map[string]torch.Tensor) {
	t.Helper()
	if err := s.Load(values); err != nil {
		t.Fatal(err)
	}
}
