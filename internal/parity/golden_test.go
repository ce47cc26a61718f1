package parity

import (
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/models"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// What this program's side makes of the networks and searches with options equals what PyTorch made
// of its own: see internal/golden/options.py.
func TestGoldenOptions(t *testing.T) {
	const staged = "DARTS_V1+Hs_DAS_CIFAR_stages"
	for _, c := range []struct{ file, network, genotype, preset string }{
		{"paired", "paired", staged, models.CIFAR},
		{"paired-imagenet", "paired", staged, models.ImageNet},
		{"paired-last", "paired-last", staged, models.CIFAR},
		{"paired-last-imagenet", "paired-last", staged, models.ImageNet},
		{"cell-partial", "cell-partial", "", models.CIFAR},
		{"distribution-shared", "distribution-shared", "DARTS_V1", models.CIFAR},
		{"stage-raw", "stage-raw", "DARTS_V1", models.CIFAR},
		{"stage-shared", "stage-shared", "DARTS_V1", models.CIFAR},
		{"joint", "joint", "", models.CIFAR},
		{"joint-partial", "joint-partial", "", models.CIFAR},
	} {
		t.Run(c.file, func(t *testing.T) {
			s, which := small(5), Case{Network: c.network}
			s.Preset, s.Channels, s.Batch = c.preset, 4, 4
			if c.genotype != "" {
				which.Genotype = load(t, c.genotype)
			}
			want, err := tensors(golden.Path("options/" + c.file + ".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			failure := torch.Do(func(*torch.Scope) {
				if err = prepare(newTask(which, s), which.Genotype, folder); err == nil {
					err = refill(folder, float64(classes(c.preset)))
				}
			})
			if failure != nil || err != nil {
				t.Fatal(failure, err)
			}
			if err := Ours(folder); err != nil {
				t.Fatal(err)
			}
			got, _, err := read(folder, ours)
			if err != nil {
				t.Fatal(err)
			}
			for name := range got {
				if strings.HasPrefix(name, "weight") || strings.HasPrefix(name, "statistics") {
					delete(got, name) // of which the file has none
				}
			}
			for _, g := range groups(got, want, Bars{Values: 1e-9, Steps: 1e-9}) {
				t.Logf("%s: %.1e", g.Name, float64(g.Difference))
				if g.Failed {
					t.Errorf("%s: %s differs by %.1e of its largest value", g.Name, g.Worst, float64(g.Difference))
				}
			}
		})
	}
}

// refill gives to every tensor of a comparison's input the noise of its name.
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
			v = torch.FromInt64(v.AddScalar(1).MulScalar(classes/2).Int64s(), shape...)
		}
		filled = append(filled, nn.Param{Name: name, Tensor: v})
	}
	return run.WriteTensors(inputFile(folder), filled, nil)
}
