package parity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/models/plan"
	"hdas/run"
	"os"
	"slices"
	"strings"
	"time"

	"hdas/models/genotype"
	"hdas/torch"
	"hdas/torch/dtype"
	"hdas/torch/kernel"
)

// Workload is a kind of step whose time and memory can be measured on batches of random images.
type Workload struct {
	Name, About string
	network     string
	genotype    string // of a derived network, or of the cells of a search
	preset      plan.Preset
	channels    int64
	layers      int    // of a chain
	plain       bool   // a cell search of the cells normal and reduce (DARTS) instead of stage-specific ones
	order       string // of a search; empty: First
	evaluate    bool   // a forward pass without gradients
	loader      bool   // no network: loads an epoch of the embedded digits as RGB of 32x32 with the augmentation for CIFAR
}

// Workloads lists all workloads, at the sizes of the paper.
var Workloads = []Workload{
	{Name: "darts", About: "search step of DARTS", network: Cell, preset: plan.CIFAR, channels: 16, layers: 8, plain: true},
	{Name: "cell", About: "search step of Hc-DAS", network: Cell, preset: plan.CIFAR, channels: 16, layers: 8},
	{Name: "distribution", About: "search step of Hs-DAS, first part", network: Distribution, genotype: "DARTS_V1", preset: plan.CIFAR, channels: 16},
	{Name: "stage", About: "search step of Hs-DAS, second part", network: Stage, genotype: "DARTS_V1", preset: plan.CIFAR, channels: 16},
	{Name: "darts-second-order", About: "search step of DARTS, second order", network: Cell, preset: plan.CIFAR, channels: 16, layers: 8, plain: true, order: Second},
	{Name: "stage-second-order", About: "search step of Hs-DAS, second part, second order", network: Stage, genotype: "DARTS_V1", preset: plan.CIFAR, channels: 16, order: Second},
	{Name: "train", About: "training step on CIFAR", network: Chain, genotype: "DARTS_V2", preset: plan.CIFAR, channels: 36, layers: 20},
	{Name: "amoebanet", About: "training step on CIFAR of AmoebaNet's cells", network: Chain, genotype: "AmoebaNet", preset: plan.CIFAR, channels: 36, layers: 20},
	{Name: "imagenet", About: "training step on ImageNet", network: Chain, genotype: "DARTS_V2", preset: plan.ImageNet, channels: 48, layers: 14},
	{Name: "imagenet-staged", About: "training step on ImageNet of Hs-DAS' stages", network: Staged, genotype: "PDARTS+Hs_DAS_ImageNet_stages", preset: plan.ImageNet, channels: 39},
	{Name: "eval", About: "evaluation of a batch of CIFAR", network: Chain, genotype: "DARTS_V2", preset: plan.CIFAR, channels: 36, layers: 20, evaluate: true},
	{Name: "loader", About: "epoch of CIFAR's augmentation, a worker for each thread", loader: true},
}

// WorkloadNames returns the names of all workloads.
func WorkloadNames() []string { return namesOf(Workloads) }

// Names returns the names of the workloads that can be measured like this.
func (t Timing) Names() []string {
	return namesOf(slices.DeleteFunc(slices.Clone(Workloads), func(w Workload) bool { return w.loader && t.Twin || !w.plain && t.Reference != "" }))
}

func namesOf(workloads []Workload) (names []string) {
	for _, w := range workloads {
		names = append(names, w.Name)
	}
	return names
}

// Size says how large the step of a workload is and how it is computed. Where Channels, Cells or Window
// is 0, the workload's own value is used.
type Size struct {
	Batch     int64  `json:"batch"`
	Threads   int    `json:"threads"`
	Channels  int64  `json:"channels"` // initial channels
	Cells     int    `json:"cells"`    // cells of a chain, or of each searched stage
	Window    int    `json:"window"`   // window of a stage or distribution search
	Recompute string `json:"recompute"`
	Path      string `json:"path"` // empty: the usual one
	Precision string `json:"precision"`
	Device    string `json:"device"`
	Graphs    bool   `json:"graphs"` // records steps on a CUDA device as graphs
}

// timed is the task of a process whose steps are measured.
type timed struct {
	task
	Autocast  string `json:"autocast"` // precision of the convolutions
	Recompute string `json:"recompute"`
	Path      string `json:"path"`
	Graphs    bool   `json:"graphs"`
	Evaluate  bool   `json:"evaluate"`
	Loader    bool   `json:"loader"`
	Launches  bool   `json:"launches"`
}

// Check returns an error if Run cannot measure a workload at a size.
func (t Timing) Check(name string, s Size) error {
	_, _, _, err := t.resolve(name, s)
	return err
}

// resolve returns the task and the case of a workload, and the size with the workload's own values
// filled in.
func (t Timing) resolve(name string, s Size) (timed, Case, Size, error) {
	i := slices.IndexFunc(Workloads, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return timed{}, Case{}, s, fmt.Errorf("workload %q is unknown; known are %s", name, strings.Join(WorkloadNames(), ", "))
	}
	w := Workloads[i]
	c := Case{Network: w.network}
	fail := func(err error) (timed, Case, Size, error) { return timed{}, c, s, fmt.Errorf("%s: %w", name, err) }
	if authors(t.Reference) {
		return fail(errors.New("--reference times quark0/darts; the H-DAS authors' program is compared only: hdas compare pytorch --reference"))
	}
	if t.Reference != "" && !w.plain {
		return fail(fmt.Errorf("quark0/darts is timed in its search alone: %s", strings.Join(t.Names(), ", ")))
	}
	device, err := run.Device(s.Device)
	if err != nil {
		return fail(err)
	}
	precision, err := dtype.ParsePrecision(s.Precision, device.IsCUDA())
	if err != nil {
		return fail(err)
	}
	if w.loader {
		return t.loader(s)
	}
	if w.genotype != "" {
		if c.Genotype, err = genotype.Load(w.genotype); err != nil {
			return fail(err)
		}
	}
	staged := w.network == Stage || w.network == Distribution
	if !staged && s.Window != 0 {
		return fail(errors.New("a window is of the stage and distribution searches"))
	}
	if w.network == Staged && s.Cells != 0 {
		return fail(errors.New("the number of its cells is that of its genotype"))
	}
	if s.Channels == 0 {
		s.Channels = w.channels
	}
	settings := Settings{Preset: w.preset, Channels: s.Channels, Layers: w.layers, Batch: s.Batch, Steps: 1, Orders: []string{cmp.Or(w.order, First)},
		Precision: precision.DType.String(), Device: device.String(), Threads: s.Threads, Reference: t.Reference}
	s.Device = settings.Device
	if !staged {
		if s.Cells == 0 {
			s.Cells = w.layers
		}
		settings.Layers = s.Cells
	}
	if err := errors.Join(settings.Validate(), Fits(c, settings)); err != nil {
		return fail(err)
	}
	if _, err := kernel.ParseRecompute(s.Recompute); err != nil {
		return fail(err)
	}
	if s.Path == "" {
		s.Path = usual(device, w.evaluate).String()
	}
	if _, err := kernel.ParsePath(s.Path); err != nil {
		return fail(err)
	}
	task := timed{task: newTask(c, settings), Autocast: s.Precision, Recompute: s.Recompute, Path: s.Path, Graphs: s.Graphs && !t.Launches, Evaluate: w.evaluate, Launches: t.Launches}
	if task.Search != nil {
		task.Search.Of.StageSpecific = task.Search.Of.StageSpecific && !w.plain
		task.Search.Of.Order = configs.Order(task.Orders[0])
		if err := task.Search.Of.Fits(s.Channels, precision.Autocast != torch.Float32); err != nil {
			return fail(err)
		}
	}
	if staged {
		if s.Cells > 0 {
			task.Search.Of.Lengths = slices.Repeat([]int{s.Cells}, len(task.Search.Of.Lengths))
		}
		if s.Window > 0 {
			task.Search.Of.Window = s.Window
		}
		s.Cells, s.Window = task.Search.Of.Lengths[0], task.Search.Of.Window
		config := task.config("")
		config.Cells = w.genotype
		if _, err := config.Space(); err != nil {
			return fail(err)
		}
	}
	return task, c, s, nil
}

// usual returns what computes cells on a device unless another path is chosen.
func usual(d torch.Device, evaluate bool) kernel.Path {
	switch {
	case !d.IsCUDA():
		return kernel.Kernels
	case evaluate:
		return kernel.Operations
	}
	return kernel.Grouped
}

// loader returns the task of the workload without a network.
func (t Timing) loader(s Size) (timed, Case, Size, error) {
	var err error
	switch {
	case t.Twin:
		err = errors.New("loader: the twin has none; make bench has ours beside torchvision's")
	case s.Channels != 0 || s.Cells != 0 || s.Window != 0 || s.Path != "" || s.Recompute != "none":
		err = errors.New("loader: it has no network, and only a batch and threads can be chosen")
	case s.Batch < 1 || s.Threads < 1:
		err = fmt.Errorf("loader: batch %d or threads %d is not at least 1", s.Batch, s.Threads)
	}
	return timed{task: task{Settings: Settings{Preset: plan.CIFAR, Batch: s.Batch, Threads: s.Threads, Device: torch.CPU.String()}, Net: net{Preset: plan.CIFAR}}, Loader: true}, Case{}, s, err
}

// Timing measures workloads of this program, alone or in turns with PyTorch.
type Timing struct {
	Self      []string // the command that calls Steps; the folder is appended as its last argument
	Twin      bool     // measure the PyTorch twin, too
	Reference string   // a checkout of quark0/darts to measure, too; empty: none
	Python    Python   // the Python that runs the twin or the reference
	Rounds    int      // steps of each side, with the first, which is not counted
	Compile   bool     // measure the twin with torch.compile, too
	Launches  bool     // count the operations of a step, which makes it slower
	// CompileLimit is the longest time that torch.compile may take; a twin that takes longer is left out.
	CompileLimit time.Duration
}

// Run measures one workload. The steps of both sides alternate, so that other load on the machine
// affects both alike.
func (t Timing) Run(ctx context.Context, name string, s Size) (Timed, error) {
	w, c, s, err := t.resolve(name, s)
	if err != nil {
		return Timed{}, err
	}
	folder, err := os.MkdirTemp("", "hdas-bench-")
	if err != nil {
		return Timed{}, err
	}
	defer os.RemoveAll(folder)
	if err := writeTask(folder, w, c.Genotype); err != nil {
		return Timed{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the processes that are left
	result := Timed{Workload: name, Size: s}
	var sides []*side
	var compiled, eager *side
	if t.Compile { // before the others start, so that the compiler has the machine for itself
		command, err := t.Python.pace(folder, true)
		if err != nil {
			return Timed{}, err
		}
		if compiled, err = compile(ctx, command, t.CompileLimit); err == nil {
			defer compiled.end()
			sides = append(sides, compiled)
		} else if result.Reason = err.Error(); ctx.Err() != nil {
			return Timed{}, err
		}
	}
	own, err := begin(ctx, append(slices.Clone(t.Self), folder))
	if err != nil {
		return Timed{}, err
	}
	defer own.end()
	sides = append(sides, own)
	if t.Twin || t.Reference != "" {
		command, err := t.Python.pace(folder, false)
		if err != nil {
			return Timed{}, err
		}
		if eager, err = begin(ctx, command); err != nil {
			return Timed{}, err
		}
		defer eager.end()
		sides = append(sides, eager)
	}
	if err := alternate(sides, t.Rounds); err != nil {
		return Timed{}, fmt.Errorf("%s: %w", name, err)
	}
	result.StepCost = middle(own.steps)
	if eager != nil {
		result.PyTorch = peer(own.steps, eager.steps)
	}
	if compiled != nil {
		result.Compiled = peer(own.steps, compiled.steps)
	}
	return result, nil
}
