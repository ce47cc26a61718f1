package models

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/internal/looptest"
	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
)

// everyOperation computes one cell of every operation by the kernels, on inputs that are the same in each
// process, and returns its values, all its gradients and the running statistics after it, by name.
func everyOperation(t *testing.T, dtype torch.DType) map[string][]float64 {
	t.Helper()
	all := map[string][]float64{}
	err := torch.Do(func(*torch.Scope) error {
		o := torchtest.Options(dtype)
		torch.Seed(11)
		store := nn.NewStore(o)
		defer store.Free()
		const n, c = 7, 10 // neither is a whole number of vectors or a multiple of the threads
		x := []torch.Tensor{torch.Randn(o, n, c, 12, 10).SetRequiresGrad(true), torch.Randn(o, n, c, 12, 10).SetRequiresGrad(true)}
		names := []string{"skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"}
		scales := torch.Randn(o, 3, int64(len(names))).SetRequiresGrad(true)
		g := graph{builder: builder{store: store}, Graph: torch.Graph{Inputs: 2, States: 5, Out: []int{2, 3, 4}}}
		// The sums are half the size of the inputs: the first two read an input, the last the first sum.
		for from, stride := range []int64{2, 2, 1} {
			to := len(x) + from
			for i, name := range names {
				rounds, err := ops.New(name, ops.Spec{C: c, Stride: stride, Affine: i%2 == 0, PoolNorm: true})
				if err != nil {
					t.Error(err)
					return nil
				}
				e := plan.Entry{At: fmt.Sprintf("%d.%s", to, name), Rounds: rounds}
				g.make(layer.Under(e.At, rounds.Params()))
				g.Terms = append(g.Terms, torch.Term{From: from, To: to, Rounds: g.bind(e), Scale: &torch.Scale{Element: int64(from*len(names) + i)}})
			}
		}
		torch.NoGrad(func() {
			for p := range store.All() {
				p.Tensor.Copy_(torch.Randn(o, p.Tensor.Shape()...).MulScalar(0.3))
			}
		})
		y := g.compile().Run(x, torch.Pass{Scales: []torch.Tensor{scales}})
		all["value"] = y.Float64s()
		asked, names := append([]torch.Tensor{scales}, x...), []string{"scales", "input 0", "input 1"}
		for _, p := range store.Weights() {
			asked, names = append(asked, p.Tensor), append(names, p.Name)
		}
		for i, g := range torch.Grad(y.Mul(torch.Randn(o, y.Shape()...)).Sum(), asked) {
			all["gradient of "+names[i]] = g.Float64s()
		}
		for p := range store.All() {
			if !p.Trainable {
				all[p.Name] = p.Tensor.Float64s()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The result of a cell has the same bits for every number of threads.
func TestCellOnAnyThreads(t *testing.T) {
	torchtest.OnCPU(t)
	threads := torchtest.Threads(t)
	for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
		threads(1)
		want := everyOperation(t, dtype)
		for _, n := range []int{2, 3, 7} {
			threads(n)
			got := everyOperation(t, dtype)
			for name, v := range want {
				if !slices.Equal(got[name], v) {
					t.Errorf("%v: %s by %d threads is not that by one", dtype, name, n)
				}
			}
		}
	}
}

// resultsFile is the environment variable that makes TestCellInEachInstructionSet write its cells to
// that file, for the same test in another process.
const resultsFile = "HDAS_TEST_CELL_RESULTS"

// The results of a cell in different instruction sets differ only by rounding. A process chooses the set
// once, so this test runs itself in a new process for each set.
func TestCellInEachInstructionSet(t *testing.T) {
	torchtest.OnCPU(t)
	type results struct {
		Set   string
		Cells map[string]map[string][]float64 // by type and name
	}
	compute := func() results {
		r := results{Cells: map[string]map[string][]float64{}}
		if err := torch.Do(func(*torch.Scope) error { r.Set = torch.InstructionSet(); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			r.Cells[dtype.String()] = everyOperation(t, dtype)
		}
		return r
	}
	if file := os.Getenv(resultsFile); file != "" {
		text, err := json.Marshal(compute())
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	all := map[string]results{}
	for _, set := range looptest.Sets() {
		file := filepath.Join(t.TempDir(), set)
		if out, err := again(t, set, file); err != nil {
			t.Fatalf("%s: %v: %s", set, err, out)
		}
		text, err := os.ReadFile(file)
		var r results
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Set != set {
			t.Errorf("HDAS_TEST_ISA=%s uses %s", set, r.Set)
		}
		all[set] = r
	}
	for set, r := range all {
		for dtype, want := range all["plain"].Cells {
			got := r.Cells[dtype]
			if len(got) < 30 || !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
				t.Fatalf("%s: %d results", set, len(got))
			}
			for name, v := range want {
				// Gradients in float32 are those of TestProgramEqualsOperationsOneByOne.
				tolerance := map[string]float64{"float32": 1e-5, "float64": 1e-10}[dtype]
				if dtype == "float32" && strings.HasPrefix(name, "gradient") {
					tolerance = 3e-2
				}
				diff, size := 0.0, max(1, largest(v))
				for i := range v {
					diff = max(diff, math.Abs(got[name][i]-v[i]))
				}
				if !(diff <= tolerance*size) {
					t.Errorf("%s, %s: %s differs from plain's by %g, of %g", set, dtype, name, diff, size)
				}
			}
		}
	}
}

// An unknown or unsupported instruction set is an error that lists the supported ones.
func TestUnknownInstructionSet(t *testing.T) {
	torchtest.OnCPU(t)
	names := []string{"", "AVX2", "sse"}
	if !slices.Contains(looptest.Sets(), "avx512") {
		names = append(names, "avx512")
	}
	for _, name := range names {
		out, err := again(t, name, filepath.Join(t.TempDir(), "none"))
		if err == nil || !strings.Contains(out, "HDAS_TEST_ISA: instruction set") || !strings.Contains(out, strings.Join(looptest.Sets(), ", ")) {
			t.Errorf("HDAS_TEST_ISA=%q: %v: %s", name, err, out)
		}
	}
}

// again runs TestCellInEachInstructionSet in a process of its own, in that set, and returns what it
// prints.
func again(t *testing.T, set, file string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^TestCellInEachInstructionSet$", "-test.count=1")
	c.Env = append(os.Environ(), "HDAS_TEST_ISA="+set, fmt.Sprintf("%s=%s", resultsFile, file))
	out, err := c.CombinedOutput()
	return string(out), err
}
