package search

import (
	"fmt"
	"hdas/models/plan"
	"testing"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// A supernet whose softmax is one-hot is the network derived from it: same weights, same logits in
// training and, after that, in evaluation.
func TestOneHotSupernetIsTheDerivedNetwork(t *testing.T) {
	for _, k := range []configs.Kind{configs.CellSearch, configs.StageSearch} {
		t.Run(string(k), func(t *testing.T) {
			c, m, s := little(t, k)
			within(t, func() {
				torch.Seed(7)
				n := supernetOf(t, s, c, m, tiny)
				defer n.Free()
				weights := oneHot(n)
				// All edges of the dense genotype stay, decided: the other weights are zero.
				g := decided(t, s, weights)
				for _, train := range []bool{true, false} {
					x := sample(4).Images
					want, net := derived(t, g, n, m, x, train)
					got := n.Logits(&nn.Ctx{Train: train}, x)
					if d := difference(got, want); d > 1e-9 {
						t.Errorf("train=%v: logits differ by %g", train, d)
					}
					net.Free()
				}
			})
		})
	}
}

// oneHot makes every softmax choose one operation: 100 against 0 is 1 - 4e-44.
func oneHot(n *Supernet) map[string][]int {
	chosen := map[string][]int{}
	for _, d := range n.Arch.dags {
		values := make([]float64, 0, d.Rows()*len(d.Ops))
		for row := range d.Rows() {
			k := 1 + row%(len(d.Ops)-1) // anything but none
			chosen[d.Name] = append(chosen[d.Name], k)
			for j := range d.Ops {
				values = append(values, map[bool]float64{true: 100}[j == k])
			}
		}
		p, _ := n.Arch.Store.Get("alpha." + d.Name)
		torch.NoGrad(func() { p.Tensor.Copy_(torchtest.Float64s(values, p.Tensor.Shape()...)) })
	}
	return chosen
}

func decided(t *testing.T, s space.Space, chosen map[string][]int) genotype.Genotype {
	t.Helper()
	g := s.Dense
	g.Cells = map[string]genotype.DAG{}
	for name, d := range s.Dense.Cells {
		g.Cells[name] = d
	}
	g.Stages = append([]genotype.Stage(nil), s.Dense.Stages...)
	for _, d := range s.DAGs() {
		out, row := genotype.DAG{Out: d.Out}, 0
		for _, node := range d.Nodes {
			var in []genotype.Edge
			for _, e := range node.In {
				in = append(in, genotype.Edge{From: e.From, Op: d.Ops[chosen[d.Name][row]]})
				row++
			}
			out.Nodes = append(out.Nodes, genotype.Node{In: in})
		}
		if d.Stages == nil {
			g.Cells[d.Name] = out
		} else {
			g.Stages[d.Stages[0]].DAG = out
		}
	}
	return g
}

// derived runs the network of g with the supernet's weights. Its batch norms are affine, with
// scale 1 and shift 0, where the supernet's have none.
func derived(t *testing.T, g genotype.Genotype, n *Supernet, m plan.Macro, x torch.Tensor, train bool) (torch.Tensor, *nn.Store) {
	t.Helper()
	m.PoolNorm = "on" // as in a mixture
	network, err := plan.New(g, m, tiny, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(double)
	net, err := models.Build(store, network)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]map[string]int{}
	for _, d := range n.Arch.dags {
		columns[d.Name] = map[string]int{}
		for k, op := range d.Ops {
			columns[d.Name][op] = k
		}
	}
	values := map[string]torch.Tensor{}
	for p := range store.All() {
		values[p.Name] = p.Tensor
	}
	copied := 0
	place := func(prefix string, edges []plan.Edge) {
		for _, e := range edges {
			if columns[e.DAG] == nil {
				continue
			}
			from := fmt.Sprintf("%s._ops.%d._ops.%d.", prefix, e.Row, columns[e.DAG][e.Ops[0]])
			to := fmt.Sprintf("%s._ops.%d.", prefix, e.Row)
			for p := range n.Weights.All() {
				if len(p.Name) > len(from) && p.Name[:len(from)] == from {
					values[to+p.Name[len(from):]] = p.Tensor
					copied++
				}
			}
		}
	}
	for i, s := range network.Stages {
		cells := s.Cells
		if s.Reduce != nil {
			cells = append(append([]plan.Cell(nil), cells...), *s.Reduce)
		}
		for _, c := range cells {
			for _, read := range c.Read {
				place(fmt.Sprintf("stages.%d", i), read)
			}
			for _, node := range c.Nodes {
				place(fmt.Sprintf("cells.%d", c.Index), node)
			}
		}
	}
	if copied == 0 {
		t.Fatal("no weight of a mixture was copied")
	}
	for p := range n.Weights.All() {
		if _, shared := values[p.Name]; shared {
			values[p.Name] = p.Tensor
		}
	}
	load(t, store, values)
	logits, _ := net.Forward(&nn.Ctx{Train: train}, x)
	return logits, store
}
