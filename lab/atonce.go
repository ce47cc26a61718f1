package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"hdas/configs"
	"hdas/lab/jobs"
	"hdas/run"
)

// Jobs says how several runs are done side by side, each by a process of its own, or by several.
type Jobs struct {
	AtOnce    int // runs at once; 0: one
	Processes int // that compute a run together; 0: one
	// Places are the devices, or groups of them, on which the runs are: arguments for Command. Empty: the device of the
	// configuration.
	Places [][]string
	// Command returns the program and the arguments that do the run in a folder, which holds its configuration.
	// The process must exit with ExitStopped if the run is stopped.
	Command func(folder string) []string
}

// atOnce returns the number of n runs that are done at once.
func (p Jobs) atOnce(n int) int { return min(max(1, p.AtOnce), n) }

// devices returns the number of devices of n runs.
func (p Jobs) devices(n int) int {
	return max(1, min(len(p.Places), p.atOnce(n))*max(1, p.Processes))
}

// threads returns the number of threads of each process: that of the configuration, or that with which the runs were
// begun unless it is 0, or a share of the processors.
func (p Jobs) threads(c configs.Common, begun int) int {
	switch {
	case c.Threads > 0:
		return c.Threads
	case begun > 0:
		return begun
	case p.Share() > 0:
		return p.Share()
	}
	return defaultThreads()
}

// Share returns the number of threads of each process, if there are several at once, which share the processors; 0 if there
// is one.
func (p Jobs) Share() int {
	if n := max(1, p.AtOnce) * max(1, p.Processes); n > 1 {
		return max(1, runtime.NumCPU()/n)
	}
	return 0
}

// oneOf is one of several runs.
type oneOf struct {
	name, folder string
	begin        func() error // writes what the run is to its folder, unless that is there
}

// runAll does the runs in d that have not ended. If one fails, the others go on, and the error names all that have failed. If one
// is stopped, all are.
func (p Jobs) runAll(ctx context.Context, d *run.Dir, w Watch, runs []oneOf) error {
	var list []jobs.Job
	folders := map[string]string{}
	for _, r := range runs {
		if !finished(r.folder) {
			list = append(list, jobs.Job{Name: r.name, Command: p.Command(r.folder), Prepare: r.begin})
			folders[r.name] = r.folder
		}
	}
	failed, err := p.work(ctx, list, folders, w.Line, func(e *jobs.Error) {
		if len(list) > 1 {
			w.note(e.Error()) // now, not hours later
		}
	})
	return someFailed(failed, len(runs), d, err)
}

// work runs jobs in those folders. tell is called with the error of each job that has failed, or was not run because another one has;
// the others go on, and failed has the errors of those that have failed, each with its folder. If one is stopped, all are, and err
// wraps run.ErrStopped.
func (p Jobs) work(ctx context.Context, list []jobs.Job, folders map[string]string, line func(job, line string), tell func(*jobs.Error)) (failed []error, err error) {
	err = jobs.Runner{Limit: p.AtOnce, Places: p.Places, Line: line, Failed: func(e *jobs.Error) bool {
		if e.Exit == ExitStopped {
			return false
		}
		if tell(e); !errors.Is(e, jobs.ErrNotRun) {
			failed = append(failed, fmt.Errorf("%w (in %s)", e, folders[e.Job]))
		}
		return true
	}}.Run(ctx, list)
	var one *jobs.Error
	switch {
	case ctx.Err() != nil:
		err = run.ErrStopped
	case errors.As(err, &one) && one.Exit == ExitStopped:
		err = fmt.Errorf("%s: %w", one.Job, run.ErrStopped)
	}
	return failed, err
}

// someFailed returns err with the errors of those of n runs in d that have failed; nil if there is neither.
func someFailed(failed []error, n int, d *run.Dir, err error) error {
	if len(failed) > 0 && err == nil {
		err = fmt.Errorf("%d of %d runs failed, the others have ended; the failed ones alone go on with: %s", len(failed), n, ResumeCommand(d.Path()))
	}
	return errors.Join(append(failed, err)...)
}

// finished reports whether the run in a folder has ended and written its result.
func finished(folder string) bool {
	d, err := run.Open(folder)
	if err != nil {
		return false // which its process says, if it is not only that it has not begun
	}
	defer d.Close()
	m, ok := d.Newest()
	return ok && m.Done && has(folder, run.GenotypeFile) && has(folder, run.DrawingFile)
}
