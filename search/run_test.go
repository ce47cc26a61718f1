package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/datasetstest"
	"hdas/internal/runtest"
	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/setting"
	"hdas/torch"
)

// setup returns a search on few small images: two epochs of three steps.
func setup(t *testing.T, k configs.Kind) Setup {
	c, m, _ := little(t, k)
	m.Classes = 3
	c.Epochs, c.Batch = 2, 4
	first, second := datasets.Halves(datasetstest.Synthetic(24, 8), 5)
	loader := func(d datasets.Dataset, seed uint64, learn bool) *datasets.Loader {
		l := &datasets.Loader{Dataset: d, Batch: c.Batch, Seed: seed, Shuffle: learn}
		if learn {
			l.Transform = datasets.Transform{Padding: 1, Flip: true}
		}
		return l
	}
	return Setup{Options: torchtest.Options(torch.Float32), Graphs: true, Config: c, Macro: m, Seed: 11, Name: "found", Resolved: []byte("seed: 11\n"),
		Train: loader(first, 1, true), Valid: loader(second, 2, true), Test: loader(second, 0, false)}
}

// A search that is stopped after any step and resumed writes the same checkpoints, records and genotypes
// as an uninterrupted one, byte for byte.
func TestResumedSearchEqualsUnbroken(t *testing.T) {
	for name, change := range map[string]func(*configs.SearchSection){
		"cell": nil, "distribution": nil, "stage": nil, "joint": nil,
		"cell, second order and more": func(c *configs.SearchSection) {
			c.Order, c.EdgeNormalization, c.PartialChannels, c.Alpha.Warmup = configs.SecondOrder, true, 2, 1
			c.Epochs, c.Stop, c.MaxSkips = 3, configs.EarlyStop{Ratio: 0.1, Window: 1}, 1
			c.Nodes, c.StageSpecific = 1, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := torch.Live()
			steps := []int{1, 3, 4}
			if change != nil {
				steps = steps[2:] // it takes its time
			}
			setup := func() Setup {
				kind, _, _ := strings.Cut(name, ",")
				s := setup(t, configs.Kind(kind))
				if change != nil {
					change(&s.Config)
				}
				return s
			}
			unbroken := t.TempDir()
			search(t, setup(), unbroken, 0)
			for _, step := range steps {
				broken := filepath.Join(t.TempDir(), fmt.Sprintf("stopped-after-%d", step))
				search(t, setup(), broken, step)
				runtest.Same(t, unbroken, broken, "checkpoint.safetensors", "epochs.jsonl", "genotype.yaml", "genotype-best-supernet.yaml", "genotypes/epoch-001.yaml", "genotypes/epoch-002.yaml")
			}
			if n := torch.Live() - live; n != 0 {
				t.Errorf("%d tensors left alive", n)
			}
		})
	}
}

// The number of threads changes no bit of a search on the CPU, also where libtorch would divide sums among them: in the
// gradients of beta, which weighs the outputs of a stage, and of the weights of edges with partial channels.
func TestThreadsChangeNothing(t *testing.T) {
	torchtest.OnCPU(t)
	set := torchtest.Threads(t)
	digits, err := datasets.Spec{Name: "digits", Size: 32, PerClass: 4}.Open(datasets.Train)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cell", "cell, partial", "distribution", "stage", "joint"} {
		t.Run(name, func(t *testing.T) {
			by := func(threads int) string {
				set(threads)
				kind, partial, _ := strings.Cut(name, ",")
				s, folder := setup(t, configs.Kind(kind)), t.TempDir()
				s.Config.Epochs, s.Config.Batch, s.Macro.Classes = 1, 20, 10
				if partial != "" {
					s.Config.PartialChannels, s.Config.EdgeNormalization = 2, true
				}
				for _, l := range []*datasets.Loader{s.Train, s.Valid, s.Test} {
					l.Dataset, l.Batch = digits, 20
				}
				search(t, s, folder, 0)
				return folder
			}
			one := by(1)
			for _, threads := range []int{2, 3} {
				runtest.Same(t, one, by(threads), "checkpoint.safetensors", "epochs.jsonl")
			}
		})
	}
}

// The architecture does not change in the warm-up epochs and changes after them.
func TestWarmup(t *testing.T) {
	s := setup(t, configs.StageSearch)
	s.Config.Alpha.Warmup = 1
	begin, err := start(s)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	torch.Do(func(*torch.Scope) error { want = snapshot(begin.net, false); return nil })
	begin.Free()
	folder := t.TempDir()
	search(t, s, folder, 0)
	for i, line := range strings.Split(strings.TrimSpace(string(runtest.Content(t, folder, "epochs.jsonl"))), "\n") {
		var e Epoch
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		for name, alpha := range e.Alpha {
			if same := slices.Equal(alpha, want[name]); same != (i == 0) {
				t.Errorf("after epoch %d %s is as it began: %v", e.Epoch, name, same)
			}
		}
	}
}

// search runs a search to its end. If stop is positive, it stops after that many steps and resumes.
func search(t *testing.T, s Setup, folder string, stop int) {
	t.Helper()
	r := runtest.ToEnd(t, folder, stop, func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (Result, error) {
		return Run(ctx, s, d, observe)
	})
	if err := r.Genotype.Validate(genotype.Ops{}); err != nil {
		t.Error(err)
	}
	if r.Epoch.Epoch != s.Config.Epochs {
		t.Errorf("the result is epoch %d's", r.Epoch.Epoch)
	}
}

// Invalid settings of a Go program are refused like those of a file, before any tensor is made.
func TestRefusedSettings(t *testing.T) {
	live := torch.Live()
	for key, set := range map[string]func(*Setup){
		"search.order":            func(s *Setup) { s.Config.Order = "frist" },
		"search.delta":            func(s *Setup) { s.Config.Delta = math.NaN() },
		"search.weights.clip":     func(s *Setup) { s.Config.Weights.Clip = 0 },
		"search.weights.momentum": func(s *Setup) { s.Config.Weights.Momentum = 1 },
		"search.cells":            func(s *Setup) { s.Config.Cells = "NOPE" },
		"search.lengths":          func(s *Setup) { s.Config.Lengths = []int{1, 2} },
	} {
		s := setup(t, configs.StageSearch)
		set(&s)
		_, _, measured := s.Probe()
		_, run := Run(context.Background(), s, nil, nil)
		for _, err := range []error{measured, run} {
			var f *setting.Fault
			if !errors.As(err, &f) || f.Key != key {
				t.Errorf("%v is no fault of %s", err, key)
			}
		}
	}
	s := setup(t, configs.CellSearch)
	s.Config.Order, s.Autocast, s.Config.PartialChannels = configs.SecondOrder, torch.BFloat16, 64
	if faults := setting.All(s.validate()); len(faults) != 2 || faults[0].Key != "search.partial_channels" || faults[1].Key != "search.order" {
		t.Errorf("%v", faults)
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}
