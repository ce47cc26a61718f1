package main

import (
	"slices"
	"time"

	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/search"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
	"hdas/train"
)

// phases is a clock that is read between the parts of a step.
type phases struct {
	last    time.Time
	seconds map[string]float64
}

// benchPhases are all parts, in the order that they are printed.
var benchPhases = []string{"alpha forward", "alpha backward", "forward", "backward", "optimizer"}

func (p *phases) end(name string) {
	now := time.Now()
	p.seconds[name] += now.Sub(p.last).Seconds()
	p.last = now
}

// workload makes what steps on a batch of random images, and what frees it.
type workload func(batch int64, again torch.Recompute) (step func(*phases), free func(), err error)

var workloads = map[string]workload{
	"darts":        searching(search.Cell, func(c *search.Config) { c.StageSpecific = false }),
	"cell":         searching(search.Cell, func(*search.Config) {}),
	"stage":        searching(search.Stage, func(*search.Config) {}),
	"distribution": searching(search.Distribution, func(*search.Config) {}),
	"train":        training("DARTS_V2", models.Macro{Preset: models.CIFAR, Channels: 36, Layers: 20, Classes: 10, Auxiliary: true}, 32, true),
	"imagenet":     training("DARTS_V2", models.Macro{Preset: models.ImageNet, Channels: 48, Layers: 14, Classes: 1000, Auxiliary: true}, 224, true),
	"eval":         training("DARTS_V2", models.Macro{Preset: models.CIFAR, Channels: 36, Layers: 20, Classes: 10}, 32, false),
}

func workloadNames() []string {
	return slices.Clone([]string{"darts", "cell", "stage", "distribution", "train", "imagenet", "eval"})
}

// searching is a bilevel step of first order of the paper's supernet, of 16 channels.
func searching(k search.Kind, change func(*search.Config)) workload {
	return func(batch int64, again torch.Recompute) (func(*phases), func(), error) {
		c := search.Default(k)
		change(&c)
		sp, err := c.Space()
		if err != nil {
			return nil, nil, err
		}
		m := models.Macro{Preset: models.CIFAR, Channels: 16, Layers: 8, Classes: 10, PoolNorm: "auto", Wiring: models.Summed}
		n, err := search.NewSupernet(sp, c, m, layer.Shape{C: 3, H: 32, W: 32}, torch.Options{})
		if err != nil {
			return nil, nil, err
		}
		n.Recompute = again
		sgd := optim.NewSGD(n.Weights.Weights(), torch.SGDOptions{Momentum: c.Weights.Momentum, WeightDecay: c.Weights.WeightDecay})
		adam := optim.NewAdam(n.Arch.Store.Weights(), torch.AdamOptions{Beta1: c.Alpha.Beta1, Beta2: c.Alpha.Beta2, Eps: 1e-8, WeightDecay: c.Alpha.WeightDecay})
		step := func(p *phases) {
			torch.Within(func(*torch.Scope) {
				images, labels := randomBatch(batch, 32, 10)
				losses, _ := n.ArchLoss(search.Sample{Images: images, Labels: labels})
				p.end("alpha forward")
				grads := torch.Grad(losses.Total, nn.Tensors(n.Arch.Store.Weights()))
				p.end("alpha backward")
				adam.Step(c.Alpha.LR, grads)
				p.end("optimizer")
			})
			torch.Within(func(*torch.Scope) {
				images, labels := randomBatch(batch, 32, 10)
				loss := torch.CrossEntropy(n.Logits(&nn.Ctx{Train: true, Recompute: again}, images, false), labels, 0)
				p.end("forward")
				learn(p, loss, n.Weights, sgd, c.Weights.LR, c.Weights.Clip)
			})
		}
		free := func() {
			n.Free()
			sgd.Free()
			adam.Free()
		}
		return step, free, nil
	}
}

// training is a step of training, or a forward pass in evaluation.
func training(name string, m models.Macro, size int64, learning bool) workload {
	m.PoolNorm, m.Wiring = "auto", models.Summed
	return func(batch int64, again torch.Recompute) (func(*phases), func(), error) {
		g, err := genotype.Load(name)
		if err != nil {
			return nil, nil, err
		}
		model, err := train.NewModel(g, train.Description{Macro: m, Image: layer.Shape{C: 3, H: size, W: size}}, torch.Options{})
		if err != nil {
			return nil, nil, err
		}
		sgd := optim.NewSGD(model.Weights.Weights(), torch.SGDOptions{Momentum: 0.9, WeightDecay: 3e-4})
		step := func(p *phases) {
			images, labels := randomBatch(batch, size, m.Classes)
			if !learning {
				torch.NoGrad(func() { model.Logits(&nn.Ctx{}, images) })
				p.end("forward")
				return
			}
			logits, aux := model.Net.Forward(&nn.Ctx{Train: true, DropPath: 0.1, Recompute: again}, images)
			loss := torch.CrossEntropy(logits, labels, 0).Add(torch.CrossEntropy(aux, labels, 0).MulScalar(0.4))
			p.end("forward")
			learn(p, loss, model.Weights, sgd, 0.025, 5)
		}
		free := func() {
			model.Free()
			sgd.Free()
		}
		return step, free, nil
	}
}

func learn(p *phases, loss torch.Tensor, weights *nn.Store, sgd *optim.SGD, rate, clip float64) {
	grads := torch.Grad(loss, nn.Tensors(weights.Weights()))
	p.end("backward")
	torch.ClipGradNorm(grads, clip)
	sgd.Step(rate, grads)
	loss.Item()
	p.end("optimizer")
}

func randomBatch(n, size, classes int64) (images, labels torch.Tensor) {
	l := make([]int64, n)
	for i := range l {
		l[i] = int64(i) % classes
	}
	return torch.Randn(torch.Options{}, n, 3, size, size), torch.FromInt64(l, n)
}
