package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/model"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/run"
	"hdas/torch"
)

// prepare sets libtorch up as the configuration says. autocast is for learning; scores are computed
// in the options' type.
func prepare(c configs.Common) (o torch.Options, autocast torch.DType, err error) {
	d, err := torch.ParseDevice(c.Device)
	if err != nil {
		return o, 0, usageError{err}
	}
	p, err := torch.ParsePrecision(c.Precision, d)
	if err != nil {
		return o, 0, usageError{err}
	}
	return torch.Options{DType: p.DType, Device: d}, p.Autocast, torch.Do(func(*torch.Scope) {
		if c.Threads > 0 {
			torch.SetThreads(c.Threads)
		}
	})
}

// loadModel rebuilds a checkpoint's network, set up as the configuration says; the caller calls
// free.
func loadModel(path string, c configs.Common) (m *model.Model, o torch.Options, free func(), err error) {
	if o, _, err = prepare(c); err != nil {
		return nil, o, nil, err
	}
	if failure := torch.Do(func(*torch.Scope) { m, _, err = model.Load(path, o) }); failure != nil {
		err = failure
	}
	return m, o, func() { torch.Do(func(*torch.Scope) { m.Free() }) }, err
}

// loader makes the loader of a data set; one that is not for learning keeps order and pixels. Of
// one image batch norm cannot learn.
func (p *program) loader(c configs.Common, d datasets.Dataset, batch int, learn bool) *datasets.Loader {
	l := &datasets.Loader{Dataset: d, Batch: batch, Seed: c.Seed, Workers: c.Data.Workers}
	if c.Data.Damaged == configs.Skip {
		l.Damaged = p.skipped()
	}
	if learn {
		l.Shuffle, l.Least, l.Transform = true, 2, c.Data.Transform
	}
	return l
}

// planned is the network of g for the images and classes of a data set.
func planned(g genotype.Genotype, m models.Macro, info datasets.Info) (models.Plan, error) {
	m.Classes = int64(len(info.Classes))
	return models.NewPlan(g, m, layer.Shape{C: int64(info.Channels), H: int64(info.Height), W: int64(info.Width)}, models.Search{})
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

// place is where a run is kept.
type place struct {
	out    string
	resume bool
}

func (r *place) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.out, "out", "", "folder of the run; default runs/ and a name with the time")
	c.Flags().BoolVar(&r.resume, "resume", false, "go on with the run in --out, with its own configuration")
}

// open opens the run's folder: that of --resume, whose configuration it puts into s, or a new one.
// load reads everything else that the user asked for: a mistake in it leaves no new folder.
func (r *place) open(c *cobra.Command, s *settings, name string, load func() error) (*run.Dir, error) {
	if !r.resume {
		if err := load(); err != nil {
			return nil, usageError{err}
		}
		if r.out == "" {
			r.out = filepath.Join("runs", name+time.Now().Format("-20060102-150405"))
		}
		return run.Create(r.out)
	}
	if r.out == "" {
		return nil, usageError{errors.New("--resume needs the folder of the run: --out DIR")}
	}
	if flag := s.changed(c); flag != "" {
		return nil, usageError{fmt.Errorf("--resume goes on with the run's own configuration, which --%s cannot change", flag)}
	}
	d, err := run.Open(r.out)
	if err != nil {
		return nil, err
	}
	s.File, s.Alone = d.Path(run.ConfigFile), true
	if err := load(); err != nil {
		d.Close()
		return nil, usageError{err}
	}
	return d, nil
}
