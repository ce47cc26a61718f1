package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// instance is a network that is exported in small.
type instance struct {
	name string
	genotype.Genotype
	plan.Macro
}

// networks returns a network of every kind: all published genotypes with both presets, all operations in cells and in stages,
// every wiring and output of stages, with and without batch norms after poolings, with and without an auxiliary head.
func networks(t *testing.T) []instance {
	t.Helper()
	var all []instance
	add := func(name string, g genotype.Genotype, change func(*plan.Macro)) {
		for _, preset := range plan.Presets {
			m := plan.Macro{Preset: preset, Channels: 4, Layers: 5, Classes: 7, PoolNorm: plan.PoolNormAuto, Wiring: plan.Summed}
			change(&m)
			all = append(all, instance{name + "-" + string(preset), g, m})
		}
	}
	for _, name := range genotype.Names() {
		g, err := genotype.Published(name)
		if err == nil && len(g.Cells) == 0 {
			g, err = genotype.Load("DARTS_V1+" + name)
		}
		if err != nil {
			t.Fatal(err)
		}
		add(name, g, func(*plan.Macro) {})
	}
	odd := odd(t)
	add("summed", odd, func(m *plan.Macro) { m.PoolNorm, m.Auxiliary = plan.PoolNormOff, true })
	add("paired", odd, func(m *plan.Macro) { m.Wiring, m.Auxiliary = plan.Paired, true })
	add("paired-last", odd, func(m *plan.Macro) { m.Wiring, m.StageOutput, m.Auxiliary = plan.Paired, plan.Last, true })
	odd.Stages = nil
	add("chain", odd, func(m *plan.Macro) { m.PoolNorm, m.Auxiliary = plan.PoolNormOn, true })
	return all
}

// odd returns a genotype with every operation, in normal and in reduction cells, and stages with single edges, edges that are not
// in the order of their states, and a state that is read twice.
func odd(t *testing.T) genotype.Genotype {
	t.Helper()
	var cell, stages strings.Builder
	names := ops.Names()
	for i := 0; i < len(names); i += 2 {
		fmt.Fprintf(&cell, "      - [%s: %d, %s: %d]\n", names[i], i%3, names[i+1], 1-i%2)
	}
	fmt.Fprintf(&cell, "      - [none: 0]\n    out: [2, 3, 4, 5, 6, 7]\n")
	for i := range 3 {
		stages.WriteString("  - cell: normal\n")
		if i < 2 {
			stages.WriteString("    reduce: reduce\n")
		}
		stages.WriteString("    nodes:\n      - [skip_connect: 0, avg_pool_3x3: 0]\n      - [max_pool_3x3: 2, none: 0]\n      - [max_pool_3x3: 0]\n      - [skip_connect: 4, avg_pool_3x3: 1]\n    out: [4, 5]\n")
	}
	g, err := genotype.Decode(strings.NewReader("version: 1\nname: odd\ncells:\n  normal:\n    nodes:\n" + cell.String() + "  reduce:\n    nodes:\n" + cell.String() + "stages:\n" + stages.String()))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// batch names the images of a network: small ones, unless its auxiliary head needs the size of the preset.
func (n instance) batch() string {
	size := map[plan.Preset]int64{plan.CIFAR: 16, plan.ImageNet: 64}[n.Preset]
	if n.Auxiliary {
		size = n.Preset.Size(false).Image
	}
	return fmt.Sprint(size)
}

// images returns the normalised images with that name, in float32.
func images(batch string) torch.Tensor {
	size, _ := strconv.ParseInt(batch, 10, 64)
	return golden.Noise("image", min(8, 512/size), 3, size, size).To(torch.Float32)
}

var classes = []string{"a", "<b>", "ü", "d,", `"\`, "f\n", "g"}

// save writes a checkpoint of the network in a precision, with float32 weights that are a function of their names, and returns its
// logits in that precision.
func (n instance) save(path string, precision torch.DType) (logits []float64, err error) {
	x := images(n.batch())
	d := model.Description{Macro: n.Macro, Image: layer.Shape{C: 3, H: x.Size(2), W: x.Size(3)}, Classes: classes,
		Mean: []float64{0.1, 0.2, 0.3}, Std: []float64{0.4, 0.5, 0.6}}
	m, err := model.New(n.Genotype, d, torchtest.Options(precision))
	if err != nil {
		return nil, err
	}
	defer m.Free()
	values := map[string]torch.Tensor{}
	for p := range m.Weights.All() {
		values[p.Name] = golden.Weight(p.Name, p.Tensor.Shape()...).To(torch.Float32)
	}
	if err := m.Weights.Load(values); err != nil {
		return nil, err
	}
	c, err := m.Checkpoint()
	if err == nil {
		err = run.Write(path, c)
	}
	torch.NoGrad(func() { logits = m.Logits(&nn.Ctx{}, x.To(precision)).Float64s() })
	return logits, err
}

// job is what the scripts read: the batch of each file, and the images of each batch.
type job struct {
	Models map[string]string `json:"models"`
	Images map[string][]any  `json:"images"`
}

func (j job) add(file, batch string) {
	j.Models[file] = batch
	if j.Images[batch] == nil {
		x := images(batch)
		j.Images[batch] = []any{x.Shape(), x.Float64s()}
	}
}

// run runs a script with a Python that scripts/setup.sh prepares, and decodes what it prints.
func (j job) run(t *testing.T, output any, python ...string) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("../scripts/setup.sh", python...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(text), &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("scripts/setup.sh %s: %v\n%s", strings.Join(python, " "), err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), output); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
}

// distance returns the root mean square of the differences of two lists, infinity if their lengths differ.
func distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum / float64(len(a)))
}

// onnx.checker accepts the ONNX model of every network, and the logits of onnxruntime differ from this program's in float64 (in the root
// mean square) by at most three times what its own in float32 do, with folded batch norms and without. Those of float16 models differ by some roundings.
func TestONNX(t *testing.T) {
	folder := t.TempDir()
	j := job{map[string]string{}, map[string][]any{}}
	type expected struct {
		exact []float64
		bar   float64
	}
	want := map[string]expected{}
	do(t, func() error {
		for _, n := range networks(t) {
			path := filepath.Join(folder, n.name)
			exact, err := n.save(path, torch.Float64)
			if err != nil {
				return err
			}
			own, err := n.save(path, torch.Float32)
			if err != nil {
				return err
			}
			size := distance(exact, make([]float64, len(exact)))
			export := func(ending string, precision torch.DType, fold bool, bar float64) error {
				file := path + ending
				j.add(file, n.batch())
				want[file] = expected{exact, bar}
				_, err := model.ExportONNX(file, path, false, precision, fold)
				return err
			}
			bar := 3 * distance(own, exact)
			err = export("-float32.onnx", torch.Float32, false, bar)
			if err == nil && (n.Auxiliary || n.Preset == plan.CIFAR) { // both apply to each operation by itself, whatever the network
				err = export("-folded.onnx", torch.Float32, true, bar)
			}
			if err == nil && (n.Auxiliary || n.Preset == plan.ImageNet) {
				err = export("-float16.onnx", torch.Float16, n.Auxiliary, half*size)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	var got map[string]struct {
		Logits   []float64
		Metadata map[string]string
	}
	j.run(t, &got, "onnx", "testdata/logits.py")
	for file, w := range want {
		d := distance(got[file].Logits, w.exact)
		t.Logf("%s: %.1e of %.1e", filepath.Base(file), d, w.bar)
		if !(d <= w.bar) {
			t.Errorf("%s: logits differ by %.1e, more than %.1e", filepath.Base(file), d, w.bar)
		}
	}
	meta := got[filepath.Join(folder, "DARTS_V2-imagenet-float32.onnx")].Metadata
	for key, want := range map[string]string{"classes": `["a","<b>","ü","d,","\"\\","f\n","g"]`, "mean": "[0.1,0.2,0.3]", "std": "[0.4,0.5,0.6]", "size": "[3,64,64]", "resize": "73", "interpolation": "bilinear"} {
		if meta[key] != want {
			t.Errorf("%s is %s, not %s", key, meta[key], want)
		}
	}
	if g, err := genotype.Decode(strings.NewReader(meta["genotype"])); err != nil || g.Name != "DARTS_V2" || len(meta) != 7 {
		t.Errorf("genotype %s, %v; keys %v", g.Name, err, meta)
	}
}

// half is the largest difference of a float16 model's logits, relative to their size: 16 roundings.
const half = 16.0 / (1 << 11)

// A search's checkpoint, averages that are not there and weights that do not fit are one line each, and nothing is written. Averages that fit are
// taken in the place of weights that do not.
func TestExportsRefused(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	n := networks(t)[0]
	do(t, func() error {
		if _, err := n.save(at("trained"), torch.Float32); err != nil {
			return err
		}
		c, err := run.Read(at("trained"))
		if err != nil {
			return err
		}
		var params, averages []nn.Param
		for name, w := range c.State["weights"] {
			averages = append(averages, nn.Param{Name: name, Tensor: w})
			if name == "classifier.bias" {
				w = w.AddScalar(1e5)
			}
			params = append(params, nn.Param{Name: name, Tensor: w})
		}
		large := run.Checkpoint{Meta: c.Meta, State: map[string][]nn.Param{"weights": params, model.AverageSection: averages}}
		search := run.Checkpoint{Meta: c.Meta, State: map[string][]nn.Param{"weights": averages}}
		search.Meta.Kind = "search"
		return errors.Join(run.Write(at("large"), large), run.Write(at("search"), search))
	})
	for file, words := range map[string]string{"large": "classifier.bias has the value", "search": "is the checkpoint of a search, which holds no trained network", "absent": "no run folder and no checkpoint"} {
		_, err := model.ExportONNX(at("x.onnx"), at(file), false, torch.Float16, false)
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", file, err)
		}
		if err := model.ExportModule(at("x.py"), at(file)); (err == nil) != (file == "large") {
			t.Errorf("module of %s: %v", file, err)
		}
	}
	if _, err := model.ExportONNX(at("x.onnx"), at("trained"), true, torch.Float16, false); err == nil || !strings.Contains(err.Error(), "has no averaged weights") {
		t.Error(err)
	}
	if _, err := model.ExportONNX(at("averaged"), at("large"), true, torch.Float16, false); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(at("*.onnx*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

var beside = flag.Bool("pytorch", false, "compare exported modules by PyTorch, which is prepared, in place of its stand-in on numpy")

// The PyTorch module of every network loads the exported weights strictly and computes the same logits in float64.
func TestModules(t *testing.T) {
	folder := t.TempDir()
	j := job{map[string]string{}, map[string][]any{}}
	want := map[string][]float64{}
	do(t, func() error {
		for _, n := range networks(t) {
			path := filepath.Join(folder, n.name)
			exact, err := n.save(path, torch.Float64)
			if err != nil {
				return err
			}
			if err := model.ExportModule(path+".py", path); err != nil {
				return err
			}
			if _, err := model.ExportTo(path+".pt", path, false, model.NamesDARTS); err != nil {
				return err
			}
			j.add(path, n.batch())
			want[path] = exact
		}
		return nil
	})
	python := []string{"onnx", "testdata/modules.py", "testdata/numpy"}
	if *beside {
		python = []string{"pytorch", "testdata/modules.py"}
	}
	var got map[string]struct {
		Logits  []float64
		Classes []string
	}
	j.run(t, &got, python...)
	for path, exact := range want {
		if !slices.Equal(got[path].Classes, classes) {
			t.Errorf("%s: classes %q", filepath.Base(path), got[path].Classes)
		}
		if d := distance(got[path].Logits, exact) / distance(exact, make([]float64, len(exact))); !(d <= 1e-9) {
			t.Errorf("%s: logits differ by %.1e of their size", filepath.Base(path), d)
		}
	}
}
