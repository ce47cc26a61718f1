package model_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/datasets"
	"hdas/internal/torchtest"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// network returns the description of a small chain with those classes.
func network(classes ...string) model.Description {
	m := plan.Macro{Preset: plan.CIFAR, Channels: 2, Layers: 3, PoolNorm: "auto", Wiring: plan.Summed}
	return model.Describe(m, datasets.Info{Name: "x", Classes: classes, Channels: 3, Height: 8, Width: 8}, datasets.Spec{})
}

// begin writes the checkpoint of a network with new weights and returns its path.
func begin(t *testing.T, g genotype.Genotype, d model.Description, change func(m *model.Model)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.safetensors")
	do(t, func() error {
		m, err := model.New(g, d, torchtest.Options(torch.Float32))
		if err != nil {
			return err
		}
		defer m.Free()
		torch.NoGrad(func() { change(m) })
		c, err := m.Checkpoint()
		if err != nil {
			return err
		}
		return run.Write(path, c)
	})
	return path
}

// A network takes the weights of a checkpoint. Its classifier is kept, row by row, if the classes are the same by
// name, and otherwise made anew; an auxiliary head that the checkpoint has not is new.
func TestTake(t *testing.T) {
	g, err := genotype.Published(chain)
	if err != nil {
		t.Fatal(err)
	}
	path := begin(t, g, network("a", "b", "c"), func(m *model.Model) {
		for p := range m.Weights.All() {
			p.Tensor.Zero_().AddScalar_(2)
		}
		bias, _ := m.Weights.Get("classifier.bias")
		bias.Tensor.Copy_(torchtest.Float32s([]float32{1, 2, 3}, 3))
	})
	s, err := model.ReadStart(path)
	if err != nil || !strings.HasPrefix(s.Digest, "sha256:") {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, c := range []struct {
		d    model.Description
		anew []string
		bias []float64 // nil: new
	}{
		{network("c", "a", "b"), nil, []float64{3, 1, 2}},
		{network("a", "b", "d"), []string{"classifier.weight", "classifier.bias"}, nil},
		{network("a", "b"), []string{"classifier.weight", "classifier.bias"}, nil},
	} {
		do(t, func() error {
			m, err := model.New(g, c.d, torchtest.Options(torch.Float32))
			if err != nil {
				return err
			}
			defer m.Free()
			if err := s.Fits(g, c.d); err != nil {
				t.Error(err)
			}
			taken, err := m.Take(s)
			if err != nil {
				return err
			}
			slices.Sort(taken.Anew)
			slices.Sort(c.anew)
			if !slices.Equal(taken.Anew, c.anew) || len(taken.Left) != 0 {
				t.Errorf("%v: %+v", c.d.Classes, taken)
			}
			for p := range m.Weights.All() {
				v := p.Tensor.Float64s()
				if p.Name == "classifier.bias" && c.bias != nil && !slices.Equal(v, c.bias) {
					t.Errorf("bias %v, not %v", v, c.bias)
				}
				if !strings.HasPrefix(p.Name, "classifier.") && (v[0] != 2 || v[len(v)-1] != 2) {
					t.Errorf("%s was not taken", p.Name)
				}
				if p.Name == "classifier.weight" && (v[0] == 2) != (c.bias != nil) {
					t.Errorf("%v: the classifier's weights are %v", c.d.Classes, v[:3])
				}
			}
			return nil
		})
	}
}

// The averaged weights are taken where they are asked for, and a checkpoint without them is an error.
func TestTakeAveraged(t *testing.T) {
	g, err := genotype.Published(chain)
	if err != nil {
		t.Fatal(err)
	}
	d := network("a", "b")
	path := filepath.Join(t.TempDir(), "c.safetensors")
	take := func(s model.Start) (first float64, taken model.Taken, err error) {
		err = torch.Do(func(*torch.Scope) error {
			m, err := model.New(g, d, torchtest.Options(torch.Float32))
			if err != nil {
				return err
			}
			defer m.Free()
			taken, err = m.Take(s)
			first = m.Weights.Weights()[0].Tensor.Float64s()[0]
			return err
		})
		return first, taken, err
	}
	do(t, func() error {
		m, err := model.New(g, d, torchtest.Options(torch.Float32))
		if err != nil {
			return err
		}
		defer m.Free()
		c, err := m.Checkpoint()
		if err != nil {
			return err
		}
		for p := range m.Weights.All() {
			c.State[model.AverageSection] = append(c.State[model.AverageSection], nn.Param{Name: p.Name, Tensor: torch.Full(torchtest.Options(torch.Float32), 7, p.Tensor.Shape()...)})
		}
		return run.Write(path, c)
	})
	s, err := model.ReadStart(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s.Averaged = range []bool{false, true} {
		if v, taken, err := take(s); err != nil || (v == 7) != s.Averaged || strings.Contains(taken.String(), "averaged tensors") != s.Averaged {
			t.Errorf("averaged %v: %v, %s, %v", s.Averaged, v, taken, err)
		}
	}
	plain, err := model.ReadStart(begin(t, g, d, func(*model.Model) {}))
	if err != nil {
		t.Fatal(err)
	}
	plain.Averaged = true
	if _, _, err := take(plain); err == nil || !strings.Contains(err.Error(), "no averaged weights") {
		t.Errorf("averages that there are not: %v", err)
	}
}

// What cannot be taken is an error that says why: another genotype or size, weights that are no numbers, the
// checkpoint of a search, no checkpoint.
func TestCannotStart(t *testing.T) {
	g, err := genotype.Published(chain)
	if err != nil {
		t.Fatal(err)
	}
	other, err := genotype.Published("PDARTS")
	if err != nil {
		t.Fatal(err)
	}
	d := network("a", "b")
	s, err := model.ReadStart(begin(t, g, d, func(*model.Model) {}))
	if err != nil {
		t.Fatal(err)
	}
	wide, grey := d, d
	wide.Macro.Channels = 4
	grey.Image = layer.Shape{C: 1, H: 8, W: 8}
	for words, err := range map[string]error{
		"is not the network to train, PDARTS": s.Fits(other, d),
		"(C=2), which is not":                 s.Fits(g, wide),
		"images with 3 channels":              s.Fits(g, grey),
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
	bad, err := model.ReadStart(begin(t, g, d, func(m *model.Model) {
		w := m.Weights.Weights()[0].Tensor
		w.Copy_(torch.Full(torchtest.Options(torch.Float32), math.NaN(), w.Shape()...))
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := torch.Do(func(*torch.Scope) error {
		m, err := model.New(g, d, torchtest.Options(torch.Float32))
		if err != nil {
			return err
		}
		defer m.Free()
		_, err = m.Take(bad)
		return err
	}); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("weights that are NaN: %v", err)
	}
	search := filepath.Join(t.TempDir(), "s.safetensors")
	do(t, func() error { return run.Write(search, run.Checkpoint{Meta: run.Meta{Kind: "search", Config: "x: 1"}}) })
	if _, err := model.ReadStart(search); err == nil || !strings.Contains(err.Error(), "train its genotype first") {
		t.Errorf("the checkpoint of a search: %v", err)
	}
	if _, err := model.ReadStart(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("an empty folder: %v", err)
	}
}
