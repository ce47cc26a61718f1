package parity

import (
	"hdas/models/plan"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// For networks and searches with options, the results of this program equal those that PyTorch computed:
// see internal/golden/options.py. One of the networks and one of the searches is computed by every path.
func TestGoldenOptions(t *testing.T) {
	none, v1, figure8 := genotype.Genotype{}, load(t, "DARTS_V1"), load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")
	crossed := crossed(t, v1)
	for _, c := range []struct {
		file, network string
		genotype.Genotype
		preset plan.Preset
		last   kernel.Path // of the paths
	}{
		{"paired", "paired", figure8, plan.CIFAR, kernel.Kernels},
		{"paired-crossed", "paired", crossed, plan.CIFAR, kernel.Grouped},
		{"paired-imagenet", "paired", crossed, plan.ImageNet, kernel.Kernels},
		{"paired-last", "paired-last", figure8, plan.CIFAR, kernel.Kernels},
		{"paired-last-crossed", "paired-last", crossed, plan.CIFAR, kernel.Kernels},
		{"paired-last-imagenet", "paired-last", crossed, plan.ImageNet, kernel.Kernels},
		{"cell-partial", "cell-partial", none, plan.CIFAR, kernel.Grouped},
		{"distribution-shared", "distribution-shared", v1, plan.CIFAR, kernel.Kernels},
		{"stage-raw", "stage-raw", v1, plan.CIFAR, kernel.Kernels},
		{"stage-shared", "stage-shared", v1, plan.CIFAR, kernel.Kernels},
		{"joint", "joint", none, plan.CIFAR, kernel.Kernels},
		{"joint-partial", "joint-partial", none, plan.CIFAR, kernel.Kernels},
	} {
		t.Run(c.file, func(t *testing.T) {
			s, which := small(5), Case{c.network, c.Genotype}
			s.Preset, s.Channels, s.Batch = c.preset, 4, 4
			want, err := tensors(golden.Path("options/" + c.file + ".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			err = torch.Do(func(*torch.Scope) error {
				if err := prepare(newTask(which, s), which.Genotype, folder); err != nil {
					return err
				}
				return refill(folder, float64(classes(c.preset)))
			})
			if err != nil {
				t.Fatal(err)
			}
			for path := kernel.Kernels; path <= c.last; path++ {
				equalGolden(t, folder, path, want)
			}
		})
	}
}

// equalGolden runs this program's side in a folder by a path, and compares the results with want.
func equalGolden(t *testing.T, folder string, path kernel.Path, want values) {
	t.Helper()
	if err := runHDAS(func(torch.Device, bool) kernel.Path { return path }, folder); err != nil {
		t.Fatal(err)
	}
	got, _, err := read(folder, hdasSide)
	if err != nil {
		t.Fatal(err)
	}
	for name := range got {
		if strings.HasPrefix(name, "weight") || strings.HasPrefix(name, "statistics") {
			delete(got, name) // of which the file has none
		}
	}
	for _, g := range groups(got, want, Tolerances{Values: 1e-9, Steps: 1e-9}) {
		t.Logf("path %d, %s: %.1e", path, g.Name, float64(g.Difference))
		if g.Failed {
			t.Errorf("path %d, %s: %s differs by %.1e of its largest value", path, g.Name, g.Worst, float64(g.Difference))
		}
	}
}

// crossed returns the stages of that name in options.py: an input that is read twice, a single edge, and
// edges that are not in the order of their states.
func crossed(t *testing.T, cells genotype.Genotype) genotype.Genotype {
	t.Helper()
	const nodes = `
    nodes:
      - [skip_connect: 0, avg_pool_3x3: 0]
      - [max_pool_3x3: 2, skip_connect: 0]
      - [max_pool_3x3: 0]
      - [skip_connect: 4, avg_pool_3x3: 1]
    out: [4, 5]
`
	const inner = "  - cell: normal\n    reduce: reduce" + nodes
	stages, err := genotype.Decode(strings.NewReader("version: 1\nname: crossed\nstages:\n" + inner + inner + "  - cell: normal" + nodes))
	if err != nil {
		t.Fatal(err)
	}
	g, err := genotype.Combine(cells, stages)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// refill replaces every tensor of a comparison's input by noise that depends on its name.
func refill(folder string, classes float64) error {
	input, _, err := run.ReadTensors(inputFile(folder))
	if err != nil {
		return err
	}
	var filled []nn.Param
	for name, v := range input {
		shape := v.Shape()
		if weight, ok := strings.CutPrefix(name, "state."); ok {
			v = golden.Weight(weight, shape...)
		} else if v = golden.Noise(strings.TrimPrefix(name, "arch."), shape...); filepath.Ext(name) == ".labels" {
			v = torchtest.Int64s(v.AddScalar(1).MulScalar(classes/2).Int64s(), shape...)
		}
		filled = append(filled, nn.Param{Name: name, Tensor: v})
	}
	return run.WriteTensors(inputFile(folder), filled, nil)
}
