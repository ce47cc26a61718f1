package models

import (
	"fmt"
	"slices"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// pieces holds the cells of data/pieces/make.py: every kind of edge, a state that is read twice, and an
// output without one of the nodes.
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

func planned(t *testing.T, preset plan.Preset, poolNorm plan.PoolNorm, image layer.Shape) plan.Network {
	t.Helper()
	m := plan.Macro{Preset: preset, Channels: 2, Layers: 6, Classes: 10, Auxiliary: true, PoolNorm: poolNorm, Wiring: plan.Summed}
	p, err := plan.New(pieces(), m, image, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handOn returns an identity edge.
func handOn(from int) []plan.Edge {
	return []plan.Edge{{From: from, Ops: []string{"skip_connect"}, Spec: ops.Spec{Stride: 1}, Partial: 1}}
}

// by returns a context with the given path.
func by(c *nn.Ctx, path kernel.Path) *nn.Ctx {
	on := *c
	on.Path = path
	return &on
}

// A normal cell, a reduction cell and the normal cell after it, with and without batch norm after
// poolings, on every path.
func TestGoldenCells(t *testing.T) {
	for kind, poolNorm := range map[string]plan.PoolNorm{"bare": "off", "norm": "on"} {
		p := planned(t, plan.CIFAR, poolNorm, layer.Shape{C: 3, H: 32, W: 32})
		for name, cell := range map[string]plan.Cell{
			"normal": p.Stages[0].Cells[1], "reduction": *p.Stages[0].Reduce, "behind": p.Stages[1].Cells[0],
		} {
			cell.Read = [2][]plan.Edge{handOn(0), handOn(1)} // the two inputs alone
			for path := kernel.Kernels; path <= kernel.Grouped; path++ {
				err := torch.Do(func(*torch.Scope) error {
					f := golden.Read(t, "pieces/cells.safetensors")
					golden.Piece(t, f, name+"."+kind, []string{"first", "second"}, 1e-10, func(s *nn.Store) golden.Forward {
						b := builder{store: s}
						b.make(cell.Params())
						m, err := b.cell(cell)
						if err != nil {
							t.Fatal(err)
						}
						return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor { return m.forward(by(c, path), in) }
					})
					return nil
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
	for preset, size := range map[plan.Preset]int64{plan.CIFAR: 32, plan.ImageNet: 224} {
		p := planned(t, preset, "auto", layer.Shape{C: 3, H: size, W: size})
		err := torch.Do(func(*torch.Scope) error {
			f := golden.Read(t, "pieces/heads.safetensors")
			golden.Piece(t, f, string(preset), []string{"input"}, 1e-10, func(s *nn.Store) golden.Forward {
				var head nn.Sequential
				b := builder{store: s}
				for _, l := range p.Auxiliary {
					b.make(l.Params())
					head = append(head, b.module(l.Name, l.Layer))
				}
				for _, w := range s.Weights() {
					counted(w.Tensor)
				}
				return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor { return head.Forward(c, in[0]) }
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// counted fills a weight with the same values as data/pieces/make.py.
func counted(w torch.Tensor) {
	v, offset := make([]float64, w.Numel()), 0.0
	if len(w.Shape()) == 1 {
		offset = 1
	}
	for i := range v {
		v[i] = (float64((i*7919+13)%2003)/2003-0.5)*0.1 + offset
	}
	torch.NoGrad(func() { w.Copy_(torchtest.Float64s(v, w.Shape()...)) })
}

// Every primitive at both strides: as in a mixture, with scale and shift, and without the batch norm
// after a pooling, on every path.
func TestGoldenPrimitives(t *testing.T) {
	for path := kernel.Kernels; path <= kernel.Grouped; path++ {
		err := torch.Do(func(*torch.Scope) error {
			f := golden.Read(t, "pieces/ops.safetensors")
			unchecked := f.Cases()
			for _, name := range ops.Names() {
				for _, stride := range []int64{1, 2} {
					for kind, spec := range map[string]ops.Spec{
						"searched": {C: 2, Stride: stride, PoolNorm: true},
						"affine":   {C: 2, Stride: stride, Affine: true, PoolNorm: true},
						"bare":     {C: 2, Stride: stride, Affine: true},
					} {
						what := fmt.Sprintf("%s.%d.%s", name, stride, kind)
						rounds, err := ops.New(name, spec)
						if err != nil {
							t.Fatal(err)
						}
						if pool := len(rounds) == 1 && rounds[0].Kind().Pooling(); kind == "bare" && !pool {
							continue
						}
						delete(unchecked, what)
						golden.Piece(t, f, what, []string{"input"}, 1e-10, func(s *nn.Store) golden.Forward {
							b := builder{store: s}
							b.make(rounds.Params())
							m := b.entry(plan.Entry{Rounds: rounds})
							return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor {
								y := m.run(by(c, path), in)
								if ops.IsNull(name) {
									y = y.Detach() // the file has no gradient of zeros
								}
								return y
							}
						})
					}
				}
			}
			if len(unchecked) > 0 {
				t.Errorf("not checked: %v", unchecked)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A mixture of a cell's candidates and one of a stage's, at both strides: output, gradients in
// alpha, weights and input, and running statistics, on every path.
func TestGoldenMixtures(t *testing.T) {
	for name, candidates := range map[string][]string{"cell": ops.Cell, "stage": ops.Stage} {
		for _, stride := range []int64{1, 2} {
			for path := kernel.Kernels; path <= kernel.Grouped; path++ {
				err := torch.Do(func(*torch.Scope) error {
					f := golden.Read(t, "pieces/mixtures.safetensors")
					golden.Piece(t, f, fmt.Sprintf("%s.%d", name, stride), []string{"input", "alpha"}, 1e-10, func(s *nn.Store) golden.Forward {
						e := plan.Edge{Site: plan.Site{DAG: "normal", Row: 1}, Spec: ops.Spec{C: 2, Stride: stride, PoolNorm: true}, Ops: candidates, Partial: 1}
						m := edgeOf(t, s, e)
						return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor {
							with := by(c, path)
							with.Mix = &nn.Mix{Alpha: map[string]torch.Tensor{"normal": in[1].Softmax(-1)}}
							return m.run(with, in[:1])
						}
					})
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// edgeOf returns an edge and makes its parameters.
func edgeOf(t *testing.T, s *nn.Store, e plan.Edge) compiled {
	t.Helper()
	b := builder{store: s}
	candidates, err := e.Candidates()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range candidates {
		b.make(layer.Under(c.At, c.Params()))
	}
	m, err := b.edge(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An edge with partial channels equals that of PC-DARTS: half of the channels goes through the mixture, the
// other half bypasses it, through a max pooling at stride 2; all are multiplied by the edge's weight and
// shuffled.
func TestPartialMixture(t *testing.T) {
	err := torch.Do(func(*torch.Scope) error {
		o := torchtest.Options(torch.Float64)
		s := nn.NewStore(o)
		defer s.Free()
		e := plan.Edge{Site: plan.Site{DAG: "normal", Row: 1}, Spec: ops.Spec{C: 4, Stride: 1, PoolNorm: true}, Ops: []string{"none", "skip_connect"}, Partial: 2}
		edge := partialEdge{e, edgeOf(t, s, e), builder{store: s}.bypass(e)}
		w, weight := 0.3, 0.7
		c := &nn.Ctx{Mix: &nn.Mix{
			Alpha: map[string]torch.Tensor{"normal": torchtest.Float64s([]float64{9, 9, 9, w}, 2, 2)},
			Edge:  map[string]torch.Tensor{"normal": torchtest.Float64s([]float64{9, weight}, 2)}}}
		x := torchtest.Float64s([]float64{1, 2, 3, 4}, 1, 4, 1, 1)
		want := []float64{1 * w, 3 * weight, 2 * w, 4 * weight}
		if got := edge.run(c, x).Float64s(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, not %v", got, want)
		}
		e.Spec.C = 3
		if _, err := e.Candidates(); err == nil {
			t.Error("3 channels divide by 2")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// PC-DARTS' shuffle: 6 channels in 2 groups, 0 1 2 | 3 4 5, come out as 0 3 1 4 2 5.
func TestShuffleByHand(t *testing.T) {
	err := torch.Do(func(*torch.Scope) error {
		x := torchtest.Float64s([]float64{0, 1, 2, 3, 4, 5}, 1, 6, 1, 1)
		if got := shuffle(x, 2).Float64s(); !slices.Equal(got, []float64{0, 3, 1, 4, 2, 5}) {
			t.Errorf("%v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
