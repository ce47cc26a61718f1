package models

import (
	"testing"

	"hdas/internal/golden"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/nn"
)

// pieces are the cells of data/pieces/make.py: every kind of edge, a state read twice, and an
// output that leaves a node out.
func pieces() genotype.Genotype {
	node := func(edges ...genotype.Edge) genotype.Node { return genotype.Node{In: edges} }
	type e = genotype.Edge
	return genotype.Genotype{Version: genotype.Version, Name: "pieces", Cells: map[string]genotype.DAG{
		"normal": {Out: []int{2, 4}, Nodes: []genotype.Node{
			node(e{From: 0, Op: "sep_conv_3x3"}, e{From: 1, Op: "max_pool_3x3"}),
			node(e{From: 1, Op: "skip_connect"}, e{From: 2, Op: "dil_conv_5x5"}),
			node(e{From: 3, Op: "avg_pool_3x3"}, e{From: 3, Op: "skip_connect"})}},
		"reduce": {Out: []int{3, 4}, Nodes: []genotype.Node{
			node(e{From: 0, Op: "max_pool_3x3"}, e{From: 1, Op: "skip_connect"}),
			node(e{From: 1, Op: "avg_pool_3x3"}, e{From: 2, Op: "skip_connect"}),
			node(e{From: 0, Op: "dil_conv_3x3"}, e{From: 3, Op: "sep_conv_5x5"})}},
	}}
}

func plan(t *testing.T, preset, poolNorm string, image layer.Shape) Plan {
	t.Helper()
	m := Macro{Preset: preset, Channels: 2, Layers: 6, Classes: 10, Auxiliary: true, PoolNorm: poolNorm, Wiring: Summed}
	p, err := NewPlan(pieces(), m, image, Search{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A normal cell, a reduction cell and the normal one behind it, with and without batch norm behind
// poolings; by every path.
func TestGoldenCells(t *testing.T) {
	for kind, poolNorm := range map[string]string{"bare": "off", "norm": "on"} {
		p := plan(t, CIFAR, poolNorm, layer.Shape{C: 3, H: 32, W: 32})
		for name, cell := range map[string]Cell{
			"normal": p.Stages[0].Cells[1], "reduction": *p.Stages[0].Reduce, "behind": p.Stages[1].Cells[0],
		} {
			cell.Read = [2][]Edge{handOn(0), handOn(1)} // the two inputs alone
			for path := torch.Kernels; path <= torch.Modules; path++ {
				err := torch.Do(func(*torch.Scope) {
					torch.SetPath(path)
					defer torch.SetPath(torch.Kernels)
					f := golden.Read(t, "pieces/cells.safetensors")
					golden.Piece(t, f, name+"."+kind, []string{"first", "second"}, 1e-10, func(s *nn.Store) golden.Forward {
						m, err := buildCell(s.Root(), s.Root().In("stage"), cell, Decided{})
						if err != nil {
							t.Fatal(err)
						}
						return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor { return m.forward(c, in) }
					})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// Both auxiliary heads.
func TestGoldenHeads(t *testing.T) {
	for preset, size := range map[string]int64{CIFAR: 32, ImageNet: 224} {
		p := plan(t, preset, "auto", layer.Shape{C: 3, H: size, W: size})
		err := torch.Do(func(*torch.Scope) {
			f := golden.Read(t, "pieces/heads.safetensors")
			golden.Piece(t, f, preset, []string{"input"}, 1e-10, func(s *nn.Store) golden.Forward {
				var head nn.Sequential
				for _, l := range p.Auxiliary {
					head = append(head, l.New(s.Root()))
				}
				for _, w := range s.Weights() {
					counted(w.Tensor)
				}
				return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor { return head.Forward(c, in[0]) }
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// counted fills a weight as data/pieces/make.py does.
func counted(w torch.Tensor) {
	v, offset := make([]float64, w.Numel()), 0.0
	if len(w.Shape()) == 1 {
		offset = 1
	}
	for i := range v {
		v[i] = (float64((i*7919+13)%2003)/2003-0.5)*0.1 + offset
	}
	torch.NoGrad(func() { w.Copy_(torch.FromFloat64(v, w.Shape()...)) })
}
