package search

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/torch/optim"
)

var tiny = layer.Shape{C: 3, H: 8, W: 8}

// little is a search of each kind, small enough for finite differences.
func little(t *testing.T, k Kind) (Config, models.Macro, space.Space) {
	t.Helper()
	c := Default(k)
	c.Nodes = 2
	c.CellPrimitives = []string{"none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3"}
	c.Lengths, c.MinCells, c.Cells = []int{3, 2, 3}, 2, littleCells(t)
	if k == Distribution {
		c.Theta = ThetaFLOPs
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Space()
	if err != nil {
		t.Fatal(err)
	}
	return c, macro(4, 5), s
}

// littleCells are two cells of two nodes each, as a file.
func littleCells(t *testing.T) string {
	t.Helper()
	cell := genotype.DAG{Out: []int{2, 3}, Nodes: []genotype.Node{
		{In: []genotype.Edge{{From: 0, Op: "skip_connect"}, {From: 1, Op: "sep_conv_3x3"}}},
		{In: []genotype.Edge{{From: 0, Op: "dil_conv_3x3"}, {From: 2, Op: "skip_connect"}}},
	}}
	g := genotype.Genotype{Version: 1, Name: "little", Cells: map[string]genotype.DAG{"normal": cell, "reduce": cell}}
	var text bytes.Buffer
	file := filepath.Join(t.TempDir(), "little.yaml")
	if err := errors.Join(g.Encode(&text), os.WriteFile(file, text.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// learning runs f on a supernet of tiny images with its optimizers. No tensor may be left.
func learning(t *testing.T, s space.Space, c Config, m models.Macro, f func(n *Supernet, adam *optim.Adam, sgd *optim.SGD)) {
	t.Helper()
	within(t, func() {
		torch.Seed(7)
		n := supernetOf(t, s, c, m, tiny)
		defer n.Free()
		adam, sgd := optimizers(n)
		defer adam.Free()
		defer sgd.Free()
		f(n, adam, sgd)
	})
}

func sample(n int64) Sample {
	labels := make([]int64, n)
	for i := range labels {
		labels[i] = int64(i*7) % 10
	}
	return Sample{torch.Randn(double, n, tiny.C, tiny.H, tiny.W), torch.FromInt64(labels, n)}
}

// The hypergradient of each search and order is that of what it stands for at the current point,
// reached after several steps: central differences of the architecture's loss, every part
// included; at the second order with the weights where their next step leads, which depends on the
// architecture. It leaves weights and parameters as they were, bit for bit; running statistics too
// at the second order.
func TestHyperGradient(t *testing.T) {
	for _, k := range Kinds {
		t.Run(string(k), func(t *testing.T) {
			c, m, s := little(t, k)
			learning(t, s, c, m, func(n *Supernet, adam *optim.Adam, sgd *optim.SGD) {
				n.config.Alpha.LR = 0.1
				for range 4 {
					Step(n, FirstOrder, adam, sgd, 0.02, sample(8), sample(8))
				}
				train, valid := sample(8), sample(8)
				total := func() float64 {
					l, _ := n.ArchLoss(valid)
					return l.Total.Item()
				}

				before := snapshot(n, false)
				first, _ := FirstOrder(n, sgd, 0, Sample{}, valid)
				unchanged(t, before, snapshot(n, false))
				differences(t, n, first, 5, 1e-6, total)

				const lr = 1e-3 // unclipped gradients are large: a longer step leads anywhere
				before = snapshot(n, true)
				second, _ := Unrolled(n, sgd, lr, train, valid)
				unchanged(t, before, snapshot(n, true))
				apart := 0.0
				for i := range first {
					apart = math.Max(apart, difference(first[i], second[i]))
				}
				t.Logf("the second order is up to %.3g from the first", apart)
				if apart < 1e-2 {
					t.Errorf("the second order differs from the first by %g only: the comparison says nothing", apart)
				}
				// With DARTS' radius the finite difference is off by kinks of ReLU and max pooling; with
				// a small one it is the derivative itself, as long as none lies within it: this seed's.
				second, _ = unrolled(n, sgd, lr, train, valid, 1e-6)
				differences(t, n, second, 2, 1e-4, func() (v float64) {
					defer preserve(n.Weights)()
					_, grads, _ := n.WeightGrad(train)
					sgd.LookAhead(lr, grads)
					return total()
				})
			})
		})
	}
}

// Looking ahead by nothing is the first order.
func TestUnrolledWithoutStepIsFirstOrder(t *testing.T) {
	c, m, s := little(t, Stage)
	learning(t, s, c, m, func(n *Supernet, _ *optim.Adam, sgd *optim.SGD) {
		train, valid := sample(8), sample(8)
		first, _ := FirstOrder(n, sgd, 0, train, valid)
		second, _ := Unrolled(n, sgd, 0, train, valid)
		for i, g := range first {
			if d := difference(g, second[i]); d != 0 {
				t.Errorf("gradient %d differs by %g", i, d)
			}
		}
	})
}

// differences compares gradients with central differences of f, at that many places of each
// parameter.
func differences(t *testing.T, n *Supernet, grads []torch.Tensor, places int, tolerance float64, f func() float64) {
	t.Helper()
	const h = 1e-6
	for i, p := range n.Arch.Store.Weights() {
		values, g := p.Tensor.Float64s(), grads[i].Float64s()
		for j := 0; j < len(values); j += 1 + len(values)/places {
			at := func(v float64) float64 {
				moved := append([]float64(nil), values...)
				moved[j] = v
				torch.NoGrad(func() { p.Tensor.Copy_(torch.FromFloat64(moved, p.Tensor.Shape()...)) })
				return f()
			}
			want := (at(values[j]+h) - at(values[j]-h)) / (2 * h)
			at(values[j])
			if math.Abs(g[j]-want) > tolerance*math.Max(1, math.Abs(want)) {
				t.Errorf("%s[%d]: gradient %v, central difference %v", p.Name, j, g[j], want)
			}
		}
	}
}

// snapshot are all weights and architecture parameters, with the running statistics or without.
func snapshot(n *Supernet, statistics bool) map[string][]float64 {
	all := map[string][]float64{}
	for _, s := range []*nn.Store{n.Weights, n.Arch.Store} {
		for p := range s.All() {
			if p.Trainable || statistics {
				all[p.Name] = p.Tensor.Float64s()
			}
		}
	}
	return all
}

func unchanged(t *testing.T, before, after map[string][]float64) {
	t.Helper()
	for name, was := range before {
		if !slices.Equal(was, after[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

// A supernet whose softmax is one-hot is the network derived from it: same weights, same logits in
// training and, after that, in evaluation.
func TestOneHotSupernetIsTheDerivedNetwork(t *testing.T) {
	for _, k := range []Kind{Cell, Stage} {
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
					got := n.Logits(&nn.Ctx{Train: train}, x, false)
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
		torch.NoGrad(func() { p.Tensor.Copy_(torch.FromFloat64(values, p.Tensor.Shape()...)) })
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
func derived(t *testing.T, g genotype.Genotype, n *Supernet, m models.Macro, x torch.Tensor, train bool) (torch.Tensor, *nn.Store) {
	t.Helper()
	m.PoolNorm = "on" // as in a mixture
	plan, err := models.NewPlan(g, m, tiny, models.Search{})
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(double)
	net, err := models.Build(store.Root(), plan, models.Decided{})
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
	place := func(prefix string, edges []models.Edge) {
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
	for i, s := range plan.Stages {
		cells := s.Cells
		if s.Reduce != nil {
			cells = append(append([]models.Cell(nil), cells...), *s.Reduce)
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

func difference(a, b torch.Tensor) float64 {
	d, x, y := 0.0, a.Float64s(), b.Float64s()
	for i := range x {
		d = math.Max(d, math.Abs(x[i]-y[i]))
	}
	return d
}

// The depth loss of a stage worked out by hand: alphas 0 make every softmax 1/4, so an edge
// carries 3/4. Cells: d1 = 3/4, d2 = mean(3/4, 3/4, 3/4 (d1+1)), d3 likewise.
func TestDepthLossByHand(t *testing.T) {
	c := Default(Stage)
	c.Lengths = []int{3, 3, 3}
	atZero(t, c, func(n *Supernet) {
		a := 0.75
		d1 := a
		d2 := (a + a + a*(d1+1)) / 3
		d3 := (a + a*(d1+1) + a*(d2+1)) / 3 // window 3: states 1, 2, 3
		if got, want := n.Arch.depthLoss().Item(), -(d1+d2+d3)/3*3; math.Abs(got-want) > 1e-12 {
			t.Errorf("depth loss %v, not %v", got, want)
		}
	})
}

// With betas 0 each of 2 pairs weighs 1/2 and stands for 2 or 3 cells: 2.5 a stage; the cells that
// end a pair, i = 1 and 2 from 0, are deeper by 1 + i/2.
func TestDistributionLossesByHand(t *testing.T) {
	c := Default(Distribution)
	c.Lengths, c.MinCells = []int{3, 3, 3}, 2
	atZero(t, c, func(n *Supernet) {
		if got := n.Arch.complexityLoss(n.theta).Item(); math.Abs(got-7.5) > 1e-12 {
			t.Errorf("complexity loss %v, not 7.5", got)
		}
		a := 0.75
		d1 := a
		d2 := (a + a + a*(d1+1)) / 3 * (1 + 1*0.5)
		d3 := (a + a*(d1+1) + a*(d2+1)) / 3 * (1 + 2*0.5)
		if got, want := n.Arch.depthLoss().Item(), -(d1+d2+d3)/3*3; math.Abs(got-want) > 1e-12 {
			t.Errorf("depth loss %v, not %v", got, want)
		}
	})
}

// atZero runs f on a supernet whose architecture parameters are 0, so that every softmax is even.
func atZero(t *testing.T, c Config, f func(n *Supernet)) {
	t.Helper()
	within(t, func() {
		n := supernetOf(t, mustSpace(t, c), c, macro(2, 0), tiny)
		defer n.Free()
		for p := range n.Arch.Store.All() {
			torch.NoGrad(func() { p.Tensor.Zero_() })
		}
		n.Arch.softmax(false)
		f(n)
	})
}

func mustSpace(t *testing.T, c Config) space.Space {
	t.Helper()
	s, err := c.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The paper's sizes: DARTS' search supernet has 1,930,618 weights, the stage supernet over
// DARTS_V1's cells 878,538.
func TestSupernetSizes(t *testing.T) {
	cells := Default(Cell)
	cells.StageSpecific = false
	for _, c := range []struct {
		Config
		layers  int
		weights int64
	}{{cells, 8, 1930618}, {Default(Stage), 0, 878538}} {
		within(t, func() {
			n := supernetOf(t, mustSpace(t, c.Config), c.Config, macro(16, c.layers), cifar)
			defer n.Free()
			if got := n.Weights.Count(nil); got != c.weights {
				t.Errorf("%s supernet has %d weights, not %d", c.Kind, got, c.weights)
			}
		})
	}
}
