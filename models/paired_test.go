package models_test

import (
	"hdas/models/plan"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/nn"
)

// chainOf is DARTS' chain of that many layers as a genotype with stages: every cell reads the last
// two states through skips.
func chainOf(cells genotype.Genotype, layers int) genotype.Genotype {
	g := cells
	g.Stages = nil
	for i := range 3 {
		n := (i+1)*layers/3 - i*layers/3
		if i > 0 {
			n-- // the reduction cell before
		}
		s := genotype.Stage{Cell: "normal", DAG: genotype.DAG{Out: []int{n, n + 1}}}
		for k := range n {
			s.Nodes = append(s.Nodes, genotype.Node{In: []genotype.Edge{{From: k + 1, Op: "skip_connect"}, {From: k, Op: "skip_connect"}}})
		}
		if i < 2 {
			s.Reduce = "reduce"
		}
		g.Stages = append(g.Stages, s)
	}
	return g
}

// A chain of skips in the paired wiring, with the last cell as output and without batch norm after
// pooling, is DARTS' network: the same parameters under the same names, sizes, and the same output.
func TestPairedChainIsDARTS(t *testing.T) {
	for _, c := range []struct {
		preset plan.Preset
		layers int
		side   int64
		cells  string
	}{
		{plan.CIFAR, 20, 16, "DARTS_V2"}, {plan.CIFAR, 8, 16, "PDARTS"}, {plan.CIFAR, 5, 16, "DARTS_V1"},
		{plan.ImageNet, 14, 64, "DARTS_V2"}, {plan.ImageNet, 8, 64, "PDARTS"},
	} {
		t.Run(string(c.preset)+"/"+c.cells, func(t *testing.T) {
			m := plan.Macro{Preset: c.preset, Channels: 4, Layers: c.layers, Classes: 10, PoolNorm: "off", Wiring: plan.Summed}
			image := layer.Shape{C: 3, H: c.side, W: c.side}
			cells := load(t, c.cells)
			err := torch.Do(func(*torch.Scope) error {
				chain := build(t, cells, m, image)
				defer chain.Free()
				m.Wiring, m.StageOutput = plan.Paired, plan.Last
				paired := build(t, chainOf(cells, c.layers), m, image)
				defer paired.Free()
				if paired.plan.Cost != chain.plan.Cost || paired.plan.AuxiliaryCost != chain.plan.AuxiliaryCost {
					t.Errorf("costs %v and %v, of a chain %v and %v", paired.plan.Cost, paired.plan.AuxiliaryCost, chain.plan.Cost, chain.plan.AuxiliaryCost)
				}
				if a, b := names(paired.Store), names(chain.Store); !slices.Equal(a, b) {
					t.Fatalf("parameters %v, of a chain %v", a, b)
				}
				values := map[string]torch.Tensor{}
				for p := range chain.All() {
					values[p.Name] = p.Tensor
				}
				if err := paired.Load(values); err != nil {
					t.Fatal(err)
				}
				x := torch.Randn(torchtest.Options(torch.Float32), 2, 3, c.side, c.side)
				for _, train := range []bool{true, false} {
					a, _ := paired.net.Forward(&nn.Ctx{Train: train}, x)
					b, _ := chain.net.Forward(&nn.Ctx{Train: train}, x)
					if !slices.Equal(a.Float64s(), b.Float64s()) {
						t.Errorf("train=%v: logits %v, of a chain %v", train, a.Float64s(), b.Float64s())
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

type built struct {
	*nn.Store
	plan plan.Network
	net  *models.Network
}

func build(t interface{ Fatal(...any) }, g genotype.Genotype, m plan.Macro, image layer.Shape) built {
	network, err := plan.New(g, m, image, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	b := built{nn.NewStore(torchtest.Options(torch.Float32)), network, nil}
	if b.net, err = models.Build(b.Store, network); err != nil {
		t.Fatal(err)
	}
	return b
}

func names(s *nn.Store) []string {
	var all []string
	for p := range s.All() {
		all = append(all, p.Name)
	}
	return all
}

// Any stages build in both wirings and both outputs, on either stem: the plan counts what is made,
// and the network runs. Only a paired cell cannot read more than two edges.
func TestWiringsOfAnyStages(t *testing.T) {
	cells := load(t, "DARTS_V2")
	rapid.Check(t, func(t *rapid.T) {
		g := cells
		g.Stages = nil
		wide := false
		for i := range 3 {
			n := rapid.IntRange(2, 4).Draw(t, "cells")
			s := genotype.Stage{Cell: "normal", DAG: genotype.DAG{Out: []int{n, n + 1}}}
			for k := range n {
				var node genotype.Node
				for range rapid.SampledFrom([]int{1, 2, 2, 2, 2, 2, 3}).Draw(t, "edges") {
					node.In = append(node.In, genotype.Edge{From: rapid.IntRange(0, k+1).Draw(t, "from"),
						Op: rapid.SampledFrom([]string{"skip_connect", "max_pool_3x3", "avg_pool_3x3"}).Draw(t, "op")})
				}
				wide = wide || len(node.In) > 2
				s.Nodes = append(s.Nodes, node)
			}
			if i < 2 {
				s.Reduce = "reduce"
			}
			g.Stages = append(g.Stages, s)
		}
		m := plan.Macro{Preset: plan.CIFAR, Channels: 2, Classes: 3, PoolNorm: rapid.SampledFrom([]plan.PoolNorm{"auto", "on", "off"}).Draw(t, "pool_norm"), Wiring: plan.Summed}
		image := layer.Shape{C: 3, H: 8, W: 8}
		if rapid.Bool().Draw(t, "imagenet") {
			m.Preset, image = plan.ImageNet, layer.Shape{C: 3, H: 32, W: 32}
		}
		if rapid.Bool().Draw(t, "paired") {
			m.Wiring, m.StageOutput = plan.Paired, rapid.SampledFrom([]plan.StageOutput{plan.LastTwo, plan.Last}).Draw(t, "output")
		}
		if m.Wiring == plan.Paired && wide {
			if _, err := plan.New(g, m, image, genotype.Candidates{}); err == nil || !strings.Contains(err.Error(), "2 inputs") {
				t.Fatalf("three edges into two inputs: %v", err)
			}
			return
		}
		torchtest.Do(t, func(*torch.Scope) {
			b := build(t, g, m, image)
			defer b.Free()
			if n := b.Count(nil); n != b.plan.Cost.Parameters {
				t.Fatalf("%d parameters were made, %d planned", n, b.plan.Cost.Parameters)
			}
			logits, _ := b.net.Forward(&nn.Ctx{Train: true}, torch.Randn(torchtest.Options(torch.Float32), 2, image.C, image.H, image.W))
			if shape := logits.Shape(); !slices.Equal(shape, []int64{2, 3}) {
				t.Fatalf("logits %v", shape)
			}
			torch.Grad(logits.Sum(), nn.Tensors(b.Weights()))
		})
	})
}
