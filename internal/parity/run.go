package parity

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"hdas/torch"
)

// exact is the environment variable that switches TF32 off in NVIDIA's libraries, so that float32 on a GPU is
// float32 on both sides.
const exact = "NVIDIA_TF32_OVERRIDE=0"

// Comparison compares this program with PyTorch.
type Comparison struct {
	Settings   Settings
	Tolerances Tolerances
	Python     Python
	// Self is the command that calls RunHDAS in a process of its own. The folder is appended as its last
	// argument.
	Self []string
}

// Run runs both sides on one case and returns the comparison.
func (c Comparison) Run(ctx context.Context, which Case) (r Result, err error) {
	t := newTask(which, c.Settings)
	folder, err := os.MkdirTemp("", "hdas-parity-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(folder)
	if err := torch.Do(func(*torch.Scope) error { return prepare(t, which.Genotype, folder) }); err != nil {
		return r, err
	}
	self := exec.CommandContext(ctx, c.Self[0], append(slices.Clone(c.Self[1:]), folder)...)
	self.Env = append(os.Environ(), exact)
	if err := child(self, "this program's side"); err != nil {
		return r, err
	}
	if err := c.Python.run(ctx, folder); err != nil {
		return r, err
	}
	a, am, err := read(folder, hdasSide)
	if err != nil {
		return r, err
	}
	b, bm, err := read(folder, pytorchSide)
	if err != nil {
		return r, err
	}
	r = Result{Case: which.Title(), With: "the twin", Groups: groups(a, b, c.Tolerances), Notes: bm.Notes}
	if c.Settings.Reference != "" {
		r.With = c.Settings.Reference
	}
	r.With = fmt.Sprintf("%s on PyTorch %s", r.With, bm.Version)
	for _, name := range []string{"training", First + " order", Second + " order"} {
		if len(am.Seconds[name]) > 0 && len(bm.Seconds[name]) > 0 {
			r.Paces = append(r.Paces, Pace{name, median(am.Seconds[name]), median(bm.Seconds[name]), am.Peak[name], bm.Peak[name]})
		}
	}
	return r, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
