package parity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hdas/internal/torchtest"
	"hdas/models/plan"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/models/genotype"
	"hdas/torch"
	"hdas/torch/versions"
)

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		got, want []float64
		least     float64
		d         float64
	}{
		{[]float64{1, -2}, []float64{1, -2}, 0, 0},
		{[]float64{1, -3}, []float64{1, -4}, 0, 0.25},
		{[]float64{0, 0}, []float64{0, 0}, 0, 0},
		{[]float64{1e-9}, []float64{0}, 0, math.Inf(1)},
		{[]float64{1e-9}, []float64{2e-9}, 1e-3, 1e-6}, // zero but for rounding
		{[]float64{1}, []float64{1, 2}, 0, math.Inf(1)},
		{nil, []float64{1}, 0, math.Inf(1)},
		{[]float64{math.NaN()}, []float64{1}, 0, math.Inf(1)},
		{[]float64{1}, []float64{math.NaN()}, 0, math.Inf(1)},
		{[]float64{math.Inf(1)}, []float64{math.Inf(1)}, 0, math.Inf(1)},
	} {
		if d := difference(c.got, c.want, c.least); math.Abs(d-c.d) > 1e-12 && d != c.d {
			t.Errorf("difference of %v and %v is %v, not %v", c.got, c.want, d, c.d)
		}
	}
}

// The difference of a group is that of its worst tensor, which is named. A tensor that one side lacks
// counts as an infinite difference.
func TestGroups(t *testing.T) {
	a := values{"weight gradients": {"x": {1, 2}, "y": {1, 1}}, "loss": {"loss": {3}}, "weights after, second order": {"x": {1}}, "weights after, first order": {"x": {1}}}
	b := values{"weight gradients": {"x": {1, 2}, "y": {1, 1 + 1e-6}}, "loss": {"loss": {3}}, "weights after, second order": {"x": {1 + 1e-9}, "z": {1}}, "weights after, first order": {"x": {1}}}
	got := groups(a, b, TolerancesFor("float64", 0))
	var names []string
	for _, g := range got {
		names = append(names, g.Name)
	}
	if s := strings.Join(names, "; "); s != "loss; weight gradients; weights after, first order; weights after, second order" {
		t.Errorf("order %s", s)
	}
	for i, want := range []Group{
		{Name: "loss", Tensors: 1, Worst: "loss", Tolerance: 1e-8},
		{Name: "weight gradients", Tensors: 2, Worst: "y", Tolerance: 1e-8, Difference: 1e-6, Failed: true},
		{Name: "weights after, first order", Tensors: 1, Worst: "x", Tolerance: 1e-7},
		{Name: "weights after, second order", Tensors: 2, Worst: "z", Tolerance: 1e-7, Difference: number(math.Inf(1)), Failed: true},
	} {
		g := got[i]
		if d := float64(g.Difference - want.Difference); math.Abs(d) < 1e-11 {
			g.Difference = want.Difference
		}
		if g != want {
			t.Errorf("got %+v, want %+v", got[i], want)
		}
	}
	if text, err := json.Marshal(got); err != nil || !strings.Contains(string(text), `"difference":null`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestTolerances(t *testing.T) {
	for _, c := range []struct {
		precision string
		tolerance float64
		group     string
		bar       float64
	}{
		{"float64", 0, "eval logits", 1e-8}, {"float64", 0, "alpha gradients, first order", 1e-7}, {"float64", 0, "losses of the steps", 1e-7},
		{"float32", 0, "loss", 1e-3}, {"float32", 0, "weight gradients", 0}, {"float32", 0, "weights after", 0},
		{"float32", 0.5, "weight gradients", 0.5}, {"float64", 1e-3, "weights after", 1e-3},
	} {
		if got := TolerancesFor(c.precision, c.tolerance).of(c.group); got != c.bar {
			t.Errorf("%s of %s at most %v, want %v", c.group, c.precision, got, c.bar)
		}
	}
}

func small(layers int) Settings {
	return Settings{Preset: plan.CIFAR, Channels: 2, Layers: layers, Batch: 2, Steps: 2, Orders: []string{First, Second}, Precision: "float64", Device: torchtest.Device().String(), Threads: 1}
}

func load(t *testing.T, name string) genotype.Genotype {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// This program's side writes the groups that the table knows, with the same values in every run, and
// leaves no tensors.
func TestRunHDAS(t *testing.T) {
	for _, c := range []struct {
		Case
		groups int
	}{
		{Case{Chain, load(t, "DARTS_V2")}, 8}, {Case{Staged, load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")}, 8}, {Case{Network: Cell}, 12},
	} {
		t.Run(c.Network, func(t *testing.T) {
			s, live := small(5), torch.Live()
			if err := Fits(c.Case, s); err != nil {
				t.Fatal(err)
			}
			var runs [2]values
			for i := range runs {
				folder := t.TempDir()
				err := torch.Do(func(*torch.Scope) error { return prepare(newTask(c.Case, s), c.Genotype, folder) })
				if err != nil {
					t.Fatal(err)
				}
				if err := RunHDAS(folder); err != nil {
					t.Fatal(err)
				}
				var m measured
				if runs[i], m, err = read(folder, hdasSide); err != nil {
					t.Fatal(err)
				}
				for name, seconds := range m.Seconds {
					if _, ok := m.Peak[name]; !ok || len(seconds) != s.Steps || seconds[0] <= 0 {
						t.Errorf("%s: %v seconds, %d bytes", name, seconds, m.Peak[name])
					}
				}
			}
			all := groups(runs[0], runs[1], Tolerances{Values: 1e-12, Steps: 1e-12})
			if len(all) != c.groups {
				t.Errorf("%d groups, not %d", len(all), c.groups)
			}
			for _, g := range all {
				if rank(g.Name) >= 2*len(groupOrder) || g.Failed {
					t.Errorf("%+v", g)
				}
			}
			if n := torch.Live() - live; n != 0 {
				t.Errorf("%d tensors left alive", n)
			}
		})
	}
}

// The error for a Python names what it lacks and what to do.
func TestFind(t *testing.T) {
	python := func(answer string) string {
		file := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+answer+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return file
	}
	has := func(python, torch, numpy, safetensors string) string {
		return fmt.Sprintf(`echo '{"python": %q, "torch": %q, "numpy": %q, "safetensors": %q}'`, python, torch, numpy, safetensors)
	}
	for _, c := range []struct{ path, words string }{
		{filepath.Join(t.TempDir(), "none"), "no Python"},
		{python("echo it is broken >&2; exit 3"), "exit status 3: it is broken"},
		{python("echo Python 2.7"), `is no Python 3: it answered "Python 2.7"`},
		{python(has("3.13", "", "", "")), "is Python 3.13 and has no PyTorch"},
		{python(has("3.11", "2.0.1", "1.24.4", "0.4.5")), "has PyTorch 2.0.1, and the supported versions are 2.1.2, "},
		{python(has("3.11", "broken: no libcudart", "1.24.4", "0.4.5")), "PyTorch is broken: no libcudart"},
		{python(has("3.11", "2.1.2", "", "0.4.5")), "has no numpy"},
		{python(has("3.11", "2.1.2", "1.24.4", "")), "has no safetensors"},
	} {
		_, err := Find(context.Background(), c.path)
		if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "make parity") {
			t.Errorf("error %v does not say %q and make parity", err, c.words)
		}
	}
	good := python(has("3.11", "2.1.2+cu121", "1.24.4", "0.4.5"))
	if p, err := Find(context.Background(), good); err != nil || p.Path != good || p.Torch != "2.1.2+cu121" {
		t.Errorf("%+v, %v", p, err)
	}

	// Every supported version can be compared with.
	for _, v := range versions.Supported {
		if p, err := Find(context.Background(), python(has("3.11", v.Number, "2.4.0", "0.5.0"))); err != nil || p.Torch != v.Number {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// The default is the Python that make parity prepared, if it is complete: the one with the program's
// version of libtorch, else the newest.
func TestPreparedPython(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HDAS_CACHE", home)
	mine := versions.Supported[1].Number
	is := func(want string) {
		t.Helper()
		if want != "python3" {
			want = filepath.Join(home, "pytorch-"+want, "bin", "python")
		}
		if got := preparedPython(mine + "+cpu"); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	is("python3")
	for _, i := range []int{0, len(versions.Supported) - 1, 1} {
		folder := filepath.Join(home, "pytorch-"+versions.Supported[i].Number)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			is("python3") // without the stamp
		}
		if err := os.WriteFile(filepath.Join(folder, "complete.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		is(versions.Supported[i].Number)
	}
}

// Every workload can be measured at its own size; beside PyTorch all but the loader, and beside quark0/darts its own searches.
func TestWorkloads(t *testing.T) {
	for _, name := range WorkloadNames() {
		for _, batch := range []int64{2, 16, 64} {
			if err := (Timing{}).Check(name, Size{Batch: batch, Threads: 1, Recompute: "none", Precision: "float32", Device: "auto"}); err != nil {
				t.Errorf("%s, batch %d: %v", name, batch, err)
			}
		}
	}
	twin, reference := Timing{Twin: true}.Names(), Timing{Reference: "darts"}.Names()
	if len(twin) != len(Workloads)-1 || slices.Contains(twin, "loader") || !slices.Equal(reference, []string{"darts", "darts-second-order"}) {
		t.Errorf("%q beside the twin, %q beside quark0/darts", twin, reference)
	}
}

func TestFits(t *testing.T) {
	reference := func(s Settings) Settings { s.Reference = "darts"; return s }
	odd := small(8)
	odd.Channels = 3
	for _, c := range []struct {
		Case
		Settings
		words string
	}{
		{Case{Network: Cell}, small(4), "at least 5"},
		{Case{Network: Stage}, reference(small(8)), "has no stage network"},
		{Case{Chain, load(t, "Hc_DAS_cells")}, reference(small(8)), "normal1"},
		{Case{Chain, load(t, "FairDARTS_a")}, reference(small(8)), "nodes of two edges"},
		{Case{Chain, load(t, "DARTS_V2")}, small(1), "at least 2"},
		{Case{Network: "joint"}, reference(small(8)), "has no joint network"},
		{Case{Network: "cell-partial"}, odd, "3 channels of the cell-partial supernet do not divide by 2"},
	} {
		if err := Fits(c.Case, c.Settings); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("error %v does not say %q", err, c.words)
		}
	}
	for _, c := range []Case{{Chain, load(t, "DARTS_V2")}, {Network: Cell}} {
		if err := Fits(c, reference(small(8))); err != nil {
			t.Error(err)
		}
	}
	checkout := t.TempDir() // with the files by which the program of the H-DAS authors is known
	for _, name := range []string{"genotypes.py", "models/search_stage.py", "models/augment_stage.py", "models/architect.py"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(checkout, "models"), 0o777), os.WriteFile(filepath.Join(checkout, name), nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckReference(checkout); err != nil {
		t.Error(err)
	}
	of := small(8)
	of.Reference = checkout
	staged := load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")
	for _, c := range []Case{{Staged, staged}, {Stage, load(t, "DARTS_V1")}, {Distribution, load(t, "PDARTS")}} {
		if err := Fits(c, of); err != nil {
			t.Error(err)
		}
		if task := newTask(c, of); !c.derived() && (task.Search.Of.Delta != 0 || task.Search.Of.Gamma != 0 || !slices.Equal(task.Orders, []string{First})) {
			t.Errorf("%+v", task)
		}
	}
	for words, c := range map[string]Case{
		"has no chain network": {Chain, load(t, "DARTS_V2")}, "has no cell network": {Network: Cell}, "6, 6 and 6 cells": {Staged, load(t, "DARTS_V1+Hs_DAS_ImageNet_stages")},
		"of the cells normal and reduce": {Stage, load(t, "Hc_DAS_cells")}, "nodes of two edges": {Stage, load(t, "FairDARTS_a")},
	} {
		if err := Fits(c, of); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v does not say %q", err, words)
		}
	}
	if err := CheckReference(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no checkout of quark0/darts") {
		t.Errorf("error %v", err)
	}
}
