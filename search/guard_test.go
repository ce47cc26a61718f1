package search

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/internal/runtest"
	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
)

// The eigenvalue equals that of the full Hessian, whose columns are central differences of gradients.
// Computing it changes nothing.
func TestEigenvalue(t *testing.T) {
	c, m, _ := little(t, configs.CellSearch)
	c.StageSpecific, c.Nodes, c.CellPrimitives = false, 1, []string{"none", "skip_connect", "avg_pool_3x3"}
	within(t, func() {
		torch.Seed(4)
		n := supernetOf(t, mustSpace(t, c), c, m, tiny)
		defer n.Free()
		valid := sample(6)
		before := snapshot(n, true)
		n.Eigenvalue(valid)
		unchanged(t, before, snapshot(n, true))

		got := n.eigenvalue(valid, 1e-7, eigenvalueMost) // too short for kinks
		h := hessian(n, valid)
		v := make([]float64, len(h))
		for i := range v {
			v[i] = float64(i%3) + 1
		}
		want := 0.0
		for range 2000 {
			next, norm := make([]float64, len(v)), 0.0
			for i := range h {
				for j := range v {
					next[i] += h[i][j] * v[j]
				}
				norm += next[i] * next[i]
			}
			want = 0
			for i := range v {
				want += v[i] * next[i]
			}
			for i := range v {
				v[i] = next[i] / math.Sqrt(norm)
			}
		}
		if math.Abs(got-want) > 0.02*math.Abs(want) {
			t.Errorf("eigenvalue %v, of the whole Hessian %v", got, want)
		}
	})
}

func hessian(n *Supernet, valid Sample) [][]float64 {
	const h = 1e-7
	slope := func() (all []float64) {
		l := n.ArchLoss(valid)
		params := n.Arch.Store.Weights()
		inputs := make([]torch.Tensor, len(params))
		for i, p := range params {
			inputs[i] = p.Tensor
		}
		for _, g := range torch.Grad(l.Classification, inputs) {
			all = append(all, g.Float64s()...)
		}
		return all
	}
	var rows [][]float64
	for _, p := range n.Arch.Store.Weights() {
		values := p.Tensor.Float64s()
		for j := range values {
			at := func(v float64) []float64 {
				moved := append([]float64(nil), values...)
				moved[j] = v
				torch.NoGrad(func() { p.Tensor.Copy_(torchtest.Float64s(moved, p.Tensor.Shape()...)) })
				return slope()
			}
			up, down := at(values[j]+h), at(values[j]-h)
			at(values[j])
			for i := range up {
				up[i] = (up[i] - down[i]) / (2 * h)
			}
			rows = append(rows, up)
		}
	}
	return rows
}

func TestStopIsDue(t *testing.T) {
	s := configs.EarlyStop{Ratio: 0.75, Window: 2}
	for _, c := range []struct {
		values []float64
		due    bool
	}{
		{nil, false}, {[]float64{1, 2, 9}, false}, {[]float64{1, 1, 1, 1}, false}, {[]float64{1, 1, 1.3, 1.3}, false},
		{[]float64{1, 1, 1.4, 1.4}, true}, {[]float64{9, 1, 1, 1.4, 1.4}, true}, {[]float64{2, 2, 1, 1}, false}, {[]float64{-1, -1, 1, 1}, false},
	} {
		if due(s, c.values) != c.due {
			t.Errorf("%v: due %v", c.values, !c.due)
		}
	}
}

// A search whose eigenvalue grows ends early, with the genotype of Window epochs before; when resumed, it
// has ended. The record of every epoch has an eigenvalue, entropies and skips.
func TestEarlyStop(t *testing.T) {
	s := setup(t, configs.CellSearch)
	s.Config.Epochs, s.Config.Stop = 30, configs.EarlyStop{Ratio: 0.999, Window: 1}
	s.Config.Alpha.LR = 0.3
	folder := t.TempDir()
	search := func(open func(string) (*run.Dir, error)) Result {
		d, err := open(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r, err := Run(context.Background(), s, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := search(run.Create)
	if r.Epoch.StopAt == 0 || r.Epoch.Epoch >= s.Config.Epochs || r.Epoch.StopAt != r.Epoch.Epoch-1 {
		t.Fatalf("ended with epoch %d, stopped at %d", r.Epoch.Epoch, r.Epoch.StopAt)
	}
	before := runtest.Content(t, folder, fmt.Sprintf("genotypes/epoch-%03d.yaml", r.Epoch.StopAt))
	if string(before) != string(runtest.Content(t, folder, "genotype.yaml")) {
		t.Error("the genotype is not that of the window before")
	}
	var values []float64
	for _, line := range strings.Split(strings.TrimSpace(string(runtest.Content(t, folder, "epochs.jsonl"))), "\n") {
		var e Epoch
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Eigenvalue == nil || len(e.Entropy) != 5 || len(e.Skips) != 5 {
			t.Fatalf("epoch %d: %+v", e.Epoch, e)
		}
		for dag, h := range e.Entropy {
			if h <= 0 || h > math.Log(float64(len(s.Config.CellPrimitives))) {
				t.Errorf("entropy %v of %s", h, dag)
			}
		}
		values = append(values, *e.Eigenvalue)
		if due := due(s.Config.Stop, values); due != (e.StopAt > 0) {
			t.Errorf("epoch %d: due %v, stopped at %d", e.Epoch, due, e.StopAt)
		}
	}
	checkpoint := runtest.Content(t, folder, "checkpoint.safetensors")
	if again := search(run.Open); again.Epoch.Epoch != r.Epoch.Epoch || string(runtest.Content(t, folder, "checkpoint.safetensors")) != string(checkpoint) {
		t.Error("resumed, it has gone on")
	}
}

// A loss of NaN ends the search with an error that names the step, the parts of the loss and the last
// good checkpoint.
func TestDivergedSearch(t *testing.T) {
	s := setup(t, configs.DistributionSearch)
	s.Config.Epochs, s.Config.CheckpointSteps, s.Config.Weights.LR, s.Config.Weights.WeightDecay = 4, 1, 1e3, 1e3
	d, err := run.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = Run(context.Background(), s, d, nil)
	if err == nil {
		t.Fatal("it went on")
	}
	for _, words := range []string{"epoch 1, step", "classification", "depth", "complexity", "training loss", "NaN", "search.weights.lr", "last good checkpoint", d.Path("checkpoint.safetensors")} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
	if _, err := os.Stat(d.Path("checkpoint.safetensors")); err != nil {
		t.Error(err)
	}
}

// A measured theta is stored in the checkpoint, so that a resumed search uses the same one.
func TestLatencyComesBack(t *testing.T) {
	s := setup(t, configs.DistributionSearch)
	s.Config.Theta, s.Config.Epochs = configs.ThetaLatency, 1
	folder := t.TempDir()
	theta := func(open func(string) (*run.Dir, error)) []float64 {
		d, err := open(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		tk, err := start(s)
		if err != nil {
			t.Fatal(err)
		}
		defer tk.Free()
		tk.dir = d
		if err := torch.Do(func(*torch.Scope) error { _, _, err := tk.join(); return err }); err != nil {
			t.Fatal(err)
		}
		return tk.net.theta
	}
	first := theta(run.Create)
	sum := 0.0
	for _, v := range first {
		if v <= 0 {
			t.Errorf("latencies %v", first)
		}
		sum += v / float64(len(first))
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("latencies %v have the mean %v", first, sum)
	}
	if second := theta(run.Open); !slices.Equal(first, second) {
		t.Errorf("%v, then %v", first, second)
	}
}
