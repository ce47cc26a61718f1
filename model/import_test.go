package model_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/datasets"
	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights"
)

const (
	chain  = "DARTS_V2"
	staged = "DARTS_V1+Hs_DAS_CIFAR_stages"
)

func origin(t *testing.T, name string) model.Origin {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := datasets.Describe("cifar10")
	if err != nil {
		t.Fatal(err)
	}
	return model.Origin{Genotype: g, Preset: plan.CIFAR, Dataset: info}
}

// do calls f inside torch.Do and fails if f leaves a tensor.
var do = torchtest.Try

// reference returns the checkpoint that DARTS' training script saved.
func reference(t *testing.T) weights.File {
	t.Helper()
	f, err := weights.Read(golden.Path("darts/cifar_checkpoint.pth.tar"), "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// state returns the state dict of a golden file as a file of weights, and the golden file.
func state(t *testing.T, name string) (weights.File, golden.File) {
	t.Helper()
	f := golden.Read(t, name)
	var params []nn.Param
	for name, v := range f.Under("state.", nil) {
		params = append(params, nn.Param{Name: name, Tensor: v})
	}
	slices.SortFunc(params, func(a, b nn.Param) int { return strings.Compare(a.Name, b.Name) })
	return file(t, model.Arrays(params)), f
}

// file returns the result of reading a PyTorch file with those tensors.
func file(t *testing.T, entries []weights.Entry) weights.File {
	t.Helper()
	var out bytes.Buffer
	if err := weights.WriteTorch(&out, "x", entries); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(out.Bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// importTo imports a file into a checkpoint.
func importTo(t *testing.T, path string, f weights.File, o model.Origin) model.Description {
	t.Helper()
	c, d, err := model.Import(f, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Write(path, c); err != nil {
		t.Fatal(err)
	}
	return d
}

// A network that is imported from a file of each program gives the same logits as in that program. Its
// size follows from its tensors, and its checkpoint alone suffices to rebuild it.
func TestImportedLogitsAreTheOthers(t *testing.T) {
	for name, c := range map[string]struct {
		genotype string
		preset   plan.Preset
		layers   int
		classes  int64
		read     func(t *testing.T) (weights.File, golden.File)
	}{
		"darts": {chain, plan.CIFAR, 20, 10, func(t *testing.T) (weights.File, golden.File) {
			return reference(t), golden.Read(t, "darts/cifar.safetensors")
		}},
		"imagenet": {chain, plan.ImageNet, 14, 20, func(t *testing.T) (weights.File, golden.File) { return state(t, "darts/imagenet.safetensors") }},
		"hdas":     {staged, plan.CIFAR, 20, 10, func(t *testing.T) (weights.File, golden.File) { return state(t, "hdas/derived.safetensors") }},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "imported.safetensors")
			do(t, func() error {
				f, want := c.read(t)
				o := origin(t, c.genotype)
				o.Preset = c.preset
				if c.preset == plan.ImageNet {
					o.Dataset, _ = datasets.Describe("imagenet")
				}
				d := importTo(t, path, f, o)
				if m := d.Macro; m.Channels != 4 || m.Layers != c.layers || m.Classes != c.classes || !m.Auxiliary || m.PoolNorm != "auto" || len(d.Classes) != int(c.classes) {
					t.Errorf("read off the tensors: %+v", d)
				}
				// In float32 as in models' test of the same networks, which are ill-conditioned.
				for dtype, tolerance := range map[torch.DType]float64{torch.Float64: 1e-8, torch.Float32: 1e-3} {
					m, _, err := model.Load(path, torchtest.Options(dtype))
					if err != nil {
						return err
					}
					torch.NoGrad(func() {
						golden.Check(t, "eval.logits", m.Logits(&nn.Ctx{}, want.Get(t, "input").To(dtype)), want.Get(t, "eval.logits"), tolerance)
					})
					m.Free()
				}
				return nil
			})
		})
	}
}

// Exported tensors equal the imported ones, bit for bit, under the names of both programs.
func TestExportGivesBackWhatWasImported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "imported.safetensors")
	same := func(t *testing.T, want weights.File, names string) {
		t.Helper()
		params, err := model.Export(path, false, names)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]weights.Entry{}
		for _, e := range model.Arrays(params) {
			got[e.Name] = e
		}
		for _, e := range want.Entries {
			g, ok := got[e.Name]
			delete(got, e.Name)
			if !ok || g.DType != e.DType || !slices.Equal(g.Shape, e.Shape) || !bytes.Equal(g.Bytes(), e.Bytes()) {
				t.Errorf("%s came back as another", e.Name)
			}
		}
		for name, g := range got { // PyTorch wants numbers of batches, which the file may lack
			if !strings.HasSuffix(name, weights.Tracked) || g.DType != torch.Int64 || len(g.Shape) != 0 || !bytes.Equal(g.Bytes(), make([]byte, 8)) {
				t.Errorf("%s is new", name)
			}
		}
	}
	t.Run("darts", func(t *testing.T) {
		do(t, func() error {
			want := reference(t)
			importTo(t, path, want, origin(t, chain))
			same(t, want, model.NamesDARTS)
			// In the order of the reference, too.
			params, err := model.Export(path, false, model.NamesDARTS)
			for i, p := range params {
				if p.Name != want.Entries[i].Name {
					t.Fatalf("tensor %d is %s, not %s", i, p.Name, want.Entries[i].Name)
				}
			}
			return err
		})
	})
	t.Run("hdas", func(t *testing.T) {
		do(t, func() error {
			want, _ := state(t, "hdas/derived.safetensors")
			importTo(t, path, want, origin(t, staged))
			same(t, want, model.NamesHDAS)
			return nil
		})
	})
	t.Run("float16, whose cells are there twice", func(t *testing.T) {
		do(t, func() error {
			f, _ := state(t, "hdas/derived.safetensors")
			var entries []weights.Entry
			for _, e := range f.Entries {
				e.Array = weights.NewArray(torch.Float16, e.Shape, make([]byte, len(e.Bytes())/2))
				entries = append(entries, e)
			}
			want := file(t, entries)
			for _, e := range entries {
				if strings.HasPrefix(e.Name, "cells.") {
					entries = append(entries, weights.Entry{Name: "bigDAG1." + e.Name, Array: e.Array})
				}
			}
			importTo(t, path, file(t, entries), origin(t, staged))
			same(t, want, model.NamesHDAS)
			return nil
		})
	})
}

// Every tensor that does not fit is named at once.
func TestImportNamesEveryFault(t *testing.T) {
	do(t, func() error {
		f := reference(t)
		var entries []weights.Entry
		for _, e := range f.Entries {
			switch e.Name {
			case "stem.0.weight", "cells.3.preprocess0.op.2.bias":
				continue
			case "classifier.weight":
				e.Array = weights.NewArray(e.DType, []int64{10, 32}, e.Bytes()[:10*32*4])
			case "cells.0.preprocess1.op.1.weight":
				e.Array = weights.NewArray(e.DType, []int64{2, 24, 1, 1}, e.Bytes())
			}
			entries = append(entries, e)
		}
		entries = append(entries, weights.Entry{Name: "cells.99.extra", Array: weights.NewArray(torch.Float32, []int64{1}, make([]byte, 4))})
		_, _, err := model.Import(file(t, entries), origin(t, chain))
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{
			"DARTS_V2", "C=4, 20 cells, 10 classes", "5 tensors do not fit",
			"stem.0.weight [12 3 3 3] is missing", "cells.3.preprocess0.op.2.bias [4] is missing",
			"classifier.weight has shape [10 32], not [10 64]", "cells.0.preprocess1.op.1.weight has shape [2 24 1 1], not [4 12 1 1]",
			"cells.99.extra [1] is not a parameter of the network",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.2000v\ndoes not say %q", err, want)
			}
		}
		return nil
	})
}

func TestImportRefuses(t *testing.T) {
	do(t, func() error {
		f := reference(t)
		o := origin(t, chain)
		resnet := file(t, []weights.Entry{{Name: "conv1.weight", Array: weights.NewArray(torch.Float32, []int64{1}, make([]byte, 4))}})
		if _, _, err := model.Import(resnet, o); err == nil || !strings.HasSuffix(err.Error(), `of the H-DAS authors; it begins with ["conv1.weight"]`) {
			t.Errorf("another kind of network: %v", err)
		}
		o.Classes = []string{"one", "two"}
		if _, _, err := model.Import(f, o); err == nil || !strings.Contains(err.Error(), "2 names of classes for a network of 10") {
			t.Errorf("too few names: %v", err)
		}
		o = origin(t, chain)
		o.Dataset.Classes = nil
		_, d, err := model.Import(f, o)
		if err != nil || d.Classes[9] != "9" {
			t.Errorf("names of a data set without any: %v, %v", d.Classes, err)
		}
		// A file that claims huge tensors without holding them must not cause huge allocations.
		huge := file(t, []weights.Entry{
			{Name: "cells.0.preprocess1.op.2.weight", Array: weights.NewArray(torch.Float32, []int64{4000}, make([]byte, 16000))},
			{Name: "classifier.bias", Array: weights.NewArray(torch.Float32, []int64{10}, make([]byte, 40))},
		})
		before := torch.Live()
		if _, _, err := model.Import(huge, origin(t, chain)); err == nil || torch.Live() != before {
			t.Errorf("%d tensors made; error %.100v", torch.Live()-before, err)
		}
		if _, _, err := model.Import(weights.File{}, origin(t, chain)); err == nil {
			t.Error("no tensors make a network")
		}
		return nil
	})
}
