// Package lab runs searches, trainings, evaluations and comparisons from typed configurations. It opens
// the data set and the device, seeds the random number generators, and stores the results in the folder
// of the run.
package lab

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"hdas/configs"
	"hdas/datasets"
	"hdas/draw"
	"hdas/live"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/torch/dtype"
	"hdas/torch/kernel"
)

// Watch holds callbacks that are called during runs. Each of them may be nil.
type Watch struct {
	// Begin is called with each run that begins or is resumed in this process, before its first step. It returns a
	// function that is called with the progress of the run and may be nil, and one that is called at the end of the
	// run.
	Begin func(live.Start) (progress func(run.Progress), end func())
	// Several is called with what several seeds or a comparison are before their runs begin.
	Several func(live.Start)
	// Command is the command line of this process, and Configuration the name or the file of the configuration, for
	// the record of each run's start. Both may be empty.
	Command       []string
	Configuration string
	// Skipped is called once for each damaged file that a loader skips, with the number of such files
	// so far.
	Skipped func(file *datasets.DamagedError, n int)
	// Note is called with what a user should know of a run before it begins, one sentence.
	Note func(text string)
	// Changed is called with a run and how its data has changed since that was begun. It reports whether the
	// run may be resumed or evaluated with that data; without it no run may.
	Changed func(run, text string) bool
	// Measured is called with each measurement of an estimate, one sentence.
	Measured func(text string)
	// Line is called with each line that a run in a separate process writes to its standard error.
	Line func(job, line string)
	// Group is the processes that compute a run together, of which this is one; nil: this process alone. Local is the index
	// of this process on its host, and of its CUDA device if the configuration names none.
	Group *dist.Group
	Local int
	// Devices, unless empty, are the devices of the processes on this host, in place of that of the configuration. The first
	// is also that of what this process does for several runs, which others do.
	Devices []string
}

// device returns the device of this process for that of a configuration. If a host has fewer GPUs than processes, they
// share them.
func (w Watch) device(name string) string {
	if len(w.Devices) > 0 {
		return w.Devices[w.Local]
	}
	if n := torch.CUDADevices(); w.Group.World() > 1 && n > 0 && (name == "cuda" || name == configs.AutoDevice) {
		return torch.CUDA(w.Local % n).String()
	}
	return name
}

func (w Watch) note(text string) {
	if w.Note != nil {
		w.Note(text)
	}
}

// skipped returns the function that a loader calls for a damaged file.
func (w Watch) skipped() func(*datasets.DamagedError) {
	var lock sync.Mutex
	seen := map[string]bool{}
	return func(e *datasets.DamagedError) {
		lock.Lock()
		defer lock.Unlock()
		if seen[e.File] {
			return
		}
		seen[e.File] = true
		if w.Skipped != nil {
			w.Skipped(e, len(seen))
		}
	}
}

// ConfigError is an error in the configuration or the arguments, found before the run begins.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Stopped is the error of a run that was stopped with a checkpoint. It wraps run.ErrStopped.
type Stopped struct {
	Kind   string // kind of run: "search" and the kind of search, "train" or "compare"
	Folder string
	Err    error
}

func (e *Stopped) Error() string { return e.Err.Error() }
func (e *Stopped) Unwrap() error { return e.Err }

// ExitStopped is the exit code of a process whose run was stopped with a checkpoint.
const ExitStopped = 130

// stopped returns a Stopped error if err is that of a stopped run, and err otherwise.
func stopped(err error, kind string, d *run.Dir) error {
	if errors.Is(err, run.ErrStopped) {
		return &Stopped{kind, d.Path(), err}
	}
	return err
}

// again is prepare for a run that was computed with that machine before. Because sums depend on the number of
// threads, it is that of the record, unless the settings have one.
func (w Watch) again(c configs.Common, was run.Machine) (o torch.Options, autocast torch.DType, err error) {
	if c.Threads == 0 && was.Threads > 0 {
		c.Threads = was.Threads
		if own := defaultThreads(); own != c.Threads {
			w.note(fmt.Sprintf("the run goes on with its recorded number of threads, %d; the default here is %d (--threads changes it)", c.Threads, own))
		}
	}
	c.Device = w.device(c.Device)
	o, autocast, err = prepare(c)
	if err != nil {
		return o, autocast, err
	}
	return o, autocast, torch.Do(func(*torch.Scope) error {
		why := w.Group.Use(o.Device)
		if !o.Device.IsCUDA() {
			return nil
		}
		w.note(fmt.Sprintf("precision %s on %s, %s", c.Precision, o.Device, arithmetic()))
		if why != "" {
			w.note(why + ": gradients go through the memory of the host, by Gloo and not by NCCL")
		}
		return nil
	})
}

// arithmetic returns what is switched on and off for CUDA devices, as in "TF32 off, deterministic off, benchmark
// off". It runs inside torch.Do.
func arithmetic() string {
	word := map[bool]string{true: "on", false: "off"}
	tf32, deterministic, benchmark := torch.CUDASwitches()
	return fmt.Sprintf("TF32 %s, deterministic %s, benchmark %s", word[tf32], word[deterministic], word[benchmark])
}

// defaultThreads sets the number of libtorch's threads to its default and returns it.
func defaultThreads() (n int) {
	torch.Do(func(*torch.Scope) error {
		torch.SetThreads(0)
		n = torch.Threads()
		return nil
	})
	return n
}

// prepare sets the number of libtorch's threads and the switches of CUDA, and returns the type and the device of tensors. autocast
// is the type of convolutions while learning; evaluations use the type of the options.
func prepare(c configs.Common) (o torch.Options, autocast torch.DType, err error) {
	d, err := run.Device(c.Device)
	if err != nil {
		return o, 0, &ConfigError{err}
	}
	p, err := dtype.ParsePrecision(c.Precision, d.IsCUDA())
	if err != nil {
		return o, 0, &ConfigError{err}
	}
	return torch.Options{DType: p.DType, Device: d}, p.Autocast, torch.Do(func(*torch.Scope) error {
		torch.SetThreads(c.Threads)
		torch.SetTF32(p.TF32)
		torch.SetDeterministic(c.CUDA.Deterministic)
		if c.CUDA.Benchmark {
			torch.SetBenchmark(true)
		}
		return nil
	})
}

// pathOf returns what computes cells while learning.
func pathOf(c configs.Common, o torch.Options) kernel.Path {
	if o.Device.IsCUDA() && c.CUDA.Grouped {
		return kernel.Grouped
	}
	return kernel.Kernels
}

// loader returns the loader of a data set, or of the part of it that is this process'; batch is that of all processes. If learn is false, images are neither shuffled nor augmented.
// If it is true, no batch has a single image, for which batch norm has no variance.
func (w Watch) loader(c configs.Common, d datasets.Dataset, batch int, learn bool) *datasets.Loader {
	l := &datasets.Loader{Dataset: d, Batch: batch / w.Group.World(), Seed: c.Seed, Workers: c.Data.Workers}
	if w.Group != nil {
		l.Rank, l.World = w.Group.Rank(), w.Group.World()
	}
	if c.Data.Damaged == configs.SkipDamaged {
		l.Damaged = w.skipped()
	}
	if learn {
		l.Shuffle, l.Least, l.Transform = true, 2, c.Data.Transform
	}
	return l
}

// Load returns the network of a checkpoint file, or of the newest checkpoint of a run folder, on the
// device and in the precision of the configuration; with averaged, its averaged weights (train.ema). The caller
// calls free to free its weights.
func Load(path string, averaged bool, c configs.Common) (m *model.Model, free func(), err error) {
	m, _, free, err = load(path, averaged, c)
	return m, free, err
}

func load(path string, averaged bool, c configs.Common) (m *model.Model, meta run.Meta, free func(), err error) {
	o, _, err := prepare(c)
	if err != nil {
		return nil, meta, nil, err
	}
	of := model.Load
	if averaged {
		of = model.LoadAveraged
	}
	err = torch.Do(func(*torch.Scope) (err error) {
		m, meta, err = of(path, o)
		return err
	})
	return m, meta, func() { torch.Do(func(*torch.Scope) error { m.Free(); return nil }) }, err
}

// StartOf returns what a training takes over from the checkpoint with that path: configs.Overrides.Start.
func StartOf(path string) (configs.Start, error) {
	s, err := model.ReadStart(path)
	if err != nil {
		return configs.Start{}, err
	}
	c := configs.Start{Network: s.Macro, Form: configs.FormOf(len(s.Genotype.Stages) > 0), Mean: s.Mean, Std: s.Std}
	if s.Image.H == s.Image.W {
		c.Size = int(s.Image.H)
	}
	return c, nil
}

// checkClasses returns an error if the classes of a data set are not the given ones, because its labels
// would have another meaning. If the classes have no names, only their number is compared.
func checkClasses(d datasets.Dataset, classes []string) error {
	info := d.Info()
	numbered := len(classes) > 0 && classes[0] == "0" && len(classes) == len(info.Classes)
	if !numbered && !slices.Equal(info.Classes, classes) {
		return fmt.Errorf("%s has other classes (%d: %.100q) than those that are learned (%d: %.100q)", info.Name, len(info.Classes), info.Classes, len(classes), classes)
	}
	return nil
}

// writeGenotype writes the genotype of a run and its drawing.
func writeGenotype(d *run.Dir, g genotype.Genotype) error {
	var svg bytes.Buffer
	if err := draw.Genotype(&svg, g); err != nil {
		return err
	}
	return errors.Join(d.WriteGenotype(g), d.WriteDrawing(svg.Bytes()))
}
