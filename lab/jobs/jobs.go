// Package jobs runs several commands at once. Each run is a process of its own, because a process runs
// tensor operations on one Go thread only.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"hdas/internal/proc"
)

// Job is a command that runs in a process of its own.
type Job struct {
	Name    string
	Needs   []string     // names of jobs of the same list that end before it begins; if one of them fails, it is not run
	Command []string     // the program and its arguments; it starts the run or resumes it
	Prepare func() error // called before the command is started; may be nil
	Env     []string     // NAME=VALUE, besides those of this process
	Files   []*os.File   // open files that it gets, from the descriptor 3 on
	// Out and Err get what it writes to its standard output and its standard error. If Err is nil, its lines go to
	// Runner.Line; if Out is nil, standard output is discarded.
	Out, Err io.Writer
}

// Runner runs jobs.
type Runner struct {
	Limit int // largest number of jobs at once; 0: one
	// Grace is the time between SIGTERM and SIGKILL, in which a job finishes its step and writes a
	// checkpoint; 0: ten minutes.
	Grace    time.Duration
	Restarts int // how often a job that was killed by a signal is restarted, to resume from its checkpoint
	// Places are where jobs run, each as arguments for their commands, such as --devices=cuda:1. Jobs that run at once are
	// spread over the places. Empty: one place, without arguments.
	Places [][]string
	// Failed, unless nil, is called with the error of each job that fails, by one goroutine at a time. If it returns true,
	// the other jobs go on, and Run does not return that error.
	Failed func(*Error) bool
	// Line is called with every line that a job writes to its standard error, without the line end, by
	// one goroutine at a time; it may be nil.
	Line func(job, line string)
	// Follows, unless nil, reports whether a job ends with that exit code only because of another one. Such an end stops
	// the other jobs after Patience, and is the error of Run only if no other job fails.
	Follows func(exit int) bool
	// Patience is the time between SIGTERM and SIGKILL after a job has failed, if Follows is not nil; else it is Grace.
	Patience time.Duration
}

// Error is the error of a job that failed.
type Error struct {
	Job  string
	Exit int    // the exit code; -1 if a signal ended the job or it could not be started
	Last string // the last line of its standard error that is not empty
	Err  error
}

func (e *Error) Error() string {
	if e.killed() { // what it wrote last is not the cause
		return fmt.Sprintf("%s: %v, most likely by the system for lack of memory; run fewer jobs at once, or let each need less", e.Job, e.Err)
	}
	if e.Last == "" {
		return fmt.Sprintf("%s: %v", e.Job, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", e.Job, e.Err, e.Last)
}

func (e *Error) Unwrap() error { return e.Err }

// killed reports whether SIGKILL ended the job.
func (e *Error) killed() bool {
	var exit *exec.ExitError
	if !errors.As(e.Err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// ErrNotRun is the error of a job that was not run because one that it needs has failed.
var ErrNotRun = errors.New("it was not run, because one that it needs has failed")

// Run starts the jobs in order, at most Limit at once, and returns when all have ended. If a job fails,
// the others are stopped and Run returns the *Error of the first that failed, unless Failed says that they go on. If
// ctx is cancelled, all jobs are stopped and Run returns the error of ctx. A job is stopped by SIGTERM. If this process
// ends, its jobs are killed.
func (r Runner) Run(ctx context.Context, jobs []Job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := newQueue(jobs)
	var lines sync.Mutex // held while Line or Failed is called
	var running sync.WaitGroup
	var followed followers
	goesOn := func(err *Error) bool {
		lines.Lock()
		defer lines.Unlock()
		return r.Failed != nil && r.Failed(err)
	}
	for worker := range min(max(r.Limit, 1), len(jobs)) {
		running.Go(func() {
			for j, state := next.take(ctx); state != none; j, state = next.take(ctx) {
				if state == hopeless {
					if err := (&Error{Job: j.Name, Exit: -1, Err: ErrNotRun}); !goesOn(err) {
						cancel(err)
					}
					continue
				}
				if len(r.Places) > 0 {
					j.Command = slices.Concat(j.Command, r.Places[worker%len(r.Places)])
				}
				err := r.finish(ctx, j, &lines)
				next.ended(j, err == nil)
				switch {
				case err == nil:
				case r.Follows != nil && r.Follows(err.Exit):
					followed.add(err, time.AfterFunc(r.Patience, func() { cancel(err) }))
				case ctx.Err() != nil || !goesOn(err):
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return followed.first()
}

// followers are the ends of jobs that followed another one.
type followers struct {
	lock   sync.Mutex
	errs   []error
	timers []*time.Timer
}

func (f *followers) add(err error, t *time.Timer) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.errs, f.timers = append(f.errs, err), append(f.timers, t)
}

// first stops the timers and returns the first error, nil if there is none.
func (f *followers) first() error {
	for _, t := range f.timers {
		t.Stop()
	}
	if len(f.errs) > 0 {
		return f.errs[0]
	}
	return nil
}

// finish runs a job to its end and restarts it if a signal killed it.
func (r Runner) finish(ctx context.Context, j Job, lines *sync.Mutex) *Error {
	if j.Prepare != nil {
		if err := j.Prepare(); err != nil {
			return &Error{Job: j.Name, Exit: -1, Err: err}
		}
	}
	for restarts := 0; ; restarts++ {
		last, err := r.start(ctx, j, lines)
		if err == nil {
			return nil
		}
		code := -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if exit == nil || code >= 0 || restarts >= r.Restarts || ctx.Err() != nil {
			return &Error{j.Name, code, last, err}
		}
	}
}

// start runs the command of a job and returns the last line of its standard error.
func (r Runner) start(ctx context.Context, j Job, lines *sync.Mutex) (last string, err error) {
	out := &writer{line: func(line string) {
		if strings.TrimSpace(line) != "" {
			last = strings.TrimSpace(line)
		}
		if r.Line != nil {
			lines.Lock()
			defer lines.Unlock()
			r.Line(j.Name, line)
		}
	}}
	c := exec.CommandContext(ctx, j.Command[0], j.Command[1:]...)
	c.Stderr = out // not the terminal, on which the progress bars of several jobs would overwrite each other
	if j.Err != nil {
		c.Stderr = j.Err
	}
	c.Stdout, c.ExtraFiles = j.Out, j.Files
	if len(j.Env) > 0 {
		c.Env = append(os.Environ(), j.Env...)
	}
	// A job that outlives this process would keep its folder locked. One that got a Ctrl-C in addition to the
	// SIGTERM would end without a checkpoint.
	defer proc.Bind(c)()
	c.Cancel = func() error {
		var failed *Error
		if r.Follows != nil && errors.As(context.Cause(ctx), &failed) {
			time.AfterFunc(r.Patience, func() { c.Process.Kill() })
		}
		return c.Process.Signal(syscall.SIGTERM)
	}
	if c.WaitDelay = r.Grace; c.WaitDelay == 0 {
		c.WaitDelay = 10 * time.Minute
	}
	err = c.Run()
	out.flush()
	return last, err
}

// writer splits what is written to it into lines.
type writer struct {
	line func(string)
	rest []byte // the beginning of an incomplete line
}

func (w *writer) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := strings.Cut(string(w.rest), "\n")
		if !whole {
			return len(p), nil
		}
		w.line(line)
		w.rest = []byte(rest)
	}
}

func (w *writer) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
	}
}
