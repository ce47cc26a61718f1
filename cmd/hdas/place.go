package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/lab"
	"hdas/run"
)

// place holds the flags that select the folder of a run.
type place struct {
	out    string
	resume bool
	again  bool // the folder holds what the same command has begun
}

func (r *place) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.out, "out", "", "folder of the run; default: a name with the time in runs/. If the same command has begun it, it goes on")
	c.Flags().BoolVar(&r.resume, "resume", false, "resume the run in --out with its own configuration and data")
}

// open returns the folder of the run: the one to resume, whose configuration it puts into s, one that holds what the same
// command has begun, or a new one. load reads all other inputs of the command and returns the data set; it is called
// before a new folder is created, so that a mistake in them creates none. what the command begins in a new folder must
// be what an old one holds; other differences are found when the run is opened.
func (r *place) open(c *cobra.Command, s *settings, name string, what lab.Holding, load func() (datasets.Spec, error)) (*run.Dir, error) {
	if !r.resume {
		data, err := load()
		if err == nil {
			err = r.outside(data)
		}
		if err != nil {
			return nil, usageError{err}
		}
		if r.out == "" {
			r.out = filepath.Join("runs", name+time.Now().Format("-20060102-150405"))
		}
		held, err := lab.HeldIn(r.out)
		switch {
		case err != nil:
			return nil, err
		case held == lab.Holding{}:
			return run.Create(r.out)
		case held != what:
			return nil, fmt.Errorf("%s already holds %s, and not %s; choose another folder with --out", r.out, held, what)
		}
		r.again = true
		return run.Open(r.out)
	}
	if r.out == "" {
		return nil, usageError{errors.New("--resume needs the folder of the run: --out DIR")}
	}
	if flag := s.changed(c); flag != "" {
		return nil, usageError{fmt.Errorf("--resume uses the configuration of the run, which --%s cannot change", flag)}
	}
	d, err := run.Open(r.out)
	if err != nil {
		return nil, err
	}
	s.File, s.Alone = d.Path(run.ConfigFile), true
	if _, err := load(); err != nil {
		d.Close()
		return nil, usageError{err}
	}
	return d, nil
}

// outside returns an error if the run would be written into a folder of the user's images, as one of its
// classes.
func (r *place) outside(data datasets.Spec) error {
	if !datasets.Own(data.Name) || r.out == "" {
		return nil
	}
	dir := datasets.Folder(data.Dir)
	images, err := os.Stat(dir)
	if err != nil {
		return nil // which is said when it is opened
	}
	for at, err := filepath.Abs(r.out); err == nil; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, images) {
			return fmt.Errorf("--out %s is in the folder of the images, %s, of which each folder is a class; choose another", r.out, dir)
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return nil
}
