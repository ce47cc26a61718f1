// Package lab runs searches, trainings and what is made of them from typed configurations: it opens
// the data and the device, seeds what is random, and keeps all in the folder of the run.
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
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dtype"
)

// Watch is told what happens while runs go on. Each of its functions may be nil.
type Watch struct {
	// Begin is called with the name of each run that begins. It returns the observer of the run's
	// progress, which may be nil, and a function that is called at the run's end.
	Begin func(name string) (progress func(run.Progress), end func())
	// Skipped is told each damaged file that a loader leaves out, once, with their number so far.
	Skipped func(file *datasets.DamagedError, n int)
	// Line is told each line that a run in a process of its own writes to its standard error.
	Line func(job, line string)
}

func (w Watch) begin(name string) (progress func(run.Progress), end func()) {
	if w.Begin == nil {
		return nil, func() {}
	}
	return w.Begin(name)
}

// skipped returns the Damaged function of one loader.
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

// ConfigError is a fault of the configuration or of another wish, not of the run.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Stopped is the end of a run that was stopped with a checkpoint; it is a run.ErrStopped.
type Stopped struct {
	Kind   string // of run: "search" and the kind of search, "train" or "compare"
	Folder string
	Err    error
}

func (e *Stopped) Error() string { return e.Err.Error() }
func (e *Stopped) Unwrap() error { return e.Err }

// ExitStopped is the exit code of a process whose run was stopped with a checkpoint.
const ExitStopped = 130

// stopped makes a Stopped of the error of a stopped run, and leaves others as they are.
func stopped(err error, kind string, d *run.Dir) error {
	if errors.Is(err, run.ErrStopped) {
		return &Stopped{kind, d.Path(), err}
	}
	return err
}

// prepare sets libtorch up as the configuration says. autocast is for learning; scores are computed
// in the type of the options.
func prepare(c configs.Common) (o torch.Options, autocast torch.DType, err error) {
	d, err := torch.ParseDevice(c.Device)
	if err != nil {
		return o, 0, &ConfigError{err}
	}
	p, err := dtype.ParsePrecision(c.Precision, d.IsCUDA())
	if err != nil {
		return o, 0, &ConfigError{err}
	}
	return torch.Options{DType: p.DType, Device: d}, p.Autocast, torch.Do(func(*torch.Scope) error {
		if c.Threads > 0 {
			torch.SetThreads(c.Threads)
		}
		return nil
	})
}

// loader returns the loader of a data set. One that is not for learning keeps order and pixels. Batch
// norm cannot learn from a single image.
func (w Watch) loader(c configs.Common, d datasets.Dataset, batch int, learn bool) *datasets.Loader {
	l := &datasets.Loader{Dataset: d, Batch: batch, Seed: c.Seed, Workers: c.Data.Workers}
	if c.Data.Damaged == configs.SkipDamaged {
		l.Damaged = w.skipped()
	}
	if learn {
		l.Shuffle, l.Least, l.Transform = true, 2, c.Data.Transform
	}
	return l
}

// Load rebuilds the network of a checkpoint, or of the newest one of a run's folder, on the device and
// in the precision of the configuration. The caller calls free.
func Load(path string, c configs.Common) (m *model.Model, free func(), err error) {
	o, _, err := prepare(c)
	if err != nil {
		return nil, nil, err
	}
	err = torch.Do(func(*torch.Scope) (err error) {
		m, _, err = model.Load(path, o)
		return err
	})
	return m, func() { torch.Do(func(*torch.Scope) error { m.Free(); return nil }) }, err
}

// checkClasses refuses data whose classes are not those: its labels would mean something else. Classes
// that are known by their numbers alone are only counted.
func checkClasses(d datasets.Dataset, classes []string) error {
	info := d.Info()
	numbered := len(classes) > 0 && classes[0] == "0" && len(classes) == len(info.Classes)
	if !numbered && !slices.Equal(info.Classes, classes) {
		return fmt.Errorf("%s has other classes (%d: %.100q) than those that are learned (%d: %.100q)", info.Name, len(info.Classes), info.Classes, len(classes), classes)
	}
	return nil
}

// writeGenotype writes a run's genotype and its drawing.
func writeGenotype(d *run.Dir, g genotype.Genotype) error {
	var svg bytes.Buffer
	if err := draw.Genotype(&svg, g); err != nil {
		return err
	}
	return errors.Join(d.WriteGenotype(g), d.WriteDrawing(svg.Bytes()))
}
