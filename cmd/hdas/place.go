package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hdas/run"
)

// place holds the flags that select the folder of a run.
type place struct {
	out    string
	resume bool
}

func (r *place) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.out, "out", "", "folder of the run; default: a name with the time in runs/")
	c.Flags().BoolVar(&r.resume, "resume", false, "resume the run in --out with its own configuration and data")
}

// open returns the folder of the run: the one to resume, whose configuration it puts into s, or a new one.
// load reads all other inputs of the command; it is called before a new folder is created, so that a
// mistake in them creates none.
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
		return nil, usageError{fmt.Errorf("--resume uses the configuration of the run, which --%s cannot change", flag)}
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
