package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hdas/run"
)

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
