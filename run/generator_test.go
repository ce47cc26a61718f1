package run_test

import (
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
)

// A checkpoint restores the generator of its device. If it is resumed on a device of another kind, the run says
// that it draws other samples; a generator without a state begins anew from seed and epoch, so that it does
// not repeat what an earlier epoch has drawn.
func TestGeneratorsOfAnotherMachine(t *testing.T) {
	torchtest.OnCPU(t)
	do(t, func() error {
		torch.Seed(5)
		torch.Randn(torchtest.Options(torch.Float32), 3)
		state := run.Generators(torchtest.Device())["cpu"]
		draw := func() string { return string(torch.Randn(torchtest.Options(torch.Float32), 8).Bytes()) }
		want := draw()
		resume := func(epoch int, states map[string][]byte) (drawn, notes string) {
			t.Helper()
			c := run.Loaded{Meta: run.Meta{Seed: 5, Epoch: epoch, Generators: states}}
			if err := c.SetGenerators(torchtest.Device(), func(text string) { notes += text + "\n" }); err != nil {
				t.Error(err)
			}
			return draw(), notes
		}
		if drawn, notes := resume(2, map[string][]byte{"cpu": state}); drawn != want || notes != "" {
			t.Errorf("the same device draws other samples, or says %q", notes)
		}
		if drawn, notes := resume(2, map[string][]byte{"cpu": state, "cuda:3": state}); drawn != want || strings.Count(notes, "\n") != 1 || !strings.Contains(notes, "on a CUDA device before") {
			t.Errorf("from a GPU to the CPU: notes %q", notes)
		}
		second, notes := resume(2, map[string][]byte{"cuda:3": state})
		if !strings.Contains(notes, "generator of cpu, which begins anew from the run's seed and epoch 3") {
			t.Errorf("without a state: notes %q", notes)
		}
		if third, _ := resume(3, nil); third == second {
			t.Error("two epochs begin with the same samples")
		}
		if again, _ := resume(2, nil); again != second {
			t.Error("the same epoch begins with other samples")
		}
		for _, name := range []string{"", "cuda:", "cuda:x", "mps"} {
			if err := (run.Loaded{Meta: run.Meta{Generators: map[string][]byte{name: state}}}).SetGenerators(torchtest.Device(), nil); err == nil || !strings.Contains(err.Error(), "unknown device") {
				t.Errorf("%q: %v", name, err)
			}
		}
		return nil
	})
}
