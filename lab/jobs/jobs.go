// Package jobs runs commands side by side, each in a process of its own: the tensor work of a process
// is that of one thread.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Job is a run in a process of its own.
type Job struct {
	Name    string
	Command []string     // the program and its arguments; it begins the run, or goes on with it
	Prepare func() error // called before the command is started; may be nil
}

// Runner says how jobs are run.
type Runner struct {
	Limit int // jobs at once; 0: one
	// Grace is the time from SIGTERM to SIGKILL, in which a job finishes its step and writes a
	// checkpoint; 0: ten minutes.
	Grace    time.Duration
	Restarts int // how often a job that a signal killed is started again, to go on from its checkpoint
	// Line is told every line that a job writes to its standard error, without the line's end, by one
	// goroutine at a time; nil drops them. Standard output is dropped.
	Line func(job, line string)
}

// Error is the end of a job that failed.
type Error struct {
	Job  string
	Exit int    // the exit code; -1 where there is none: a signal ended it, or it could not be started
	Last string // the last line of its standard error that is not empty
	Err  error
}

func (e *Error) Error() string {
	if e.Last == "" {
		return fmt.Sprintf("%s: %v", e.Job, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", e.Job, e.Err, e.Last)
}

func (e *Error) Unwrap() error { return e.Err }

// Run starts the jobs in their order, no more than Limit at once, and returns when all have ended.
// The first job that fails stops the others, and Run returns its *Error; the end of ctx stops all of
// them, and Run returns its error. A job is stopped by SIGTERM, and it is killed where this process
// ends before it.
func (r Runner) Run(ctx context.Context, jobs []Job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan Job, len(jobs))
	for _, j := range jobs {
		next <- j
	}
	close(next)
	var lines sync.Mutex // one at a time, of all jobs
	var running sync.WaitGroup
	for range min(max(r.Limit, 1), len(jobs)) {
		running.Go(func() {
			for j := range next {
				if ctx.Err() != nil {
					return
				}
				if err := r.finish(ctx, j, &lines); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// finish runs a job to its end, again where a signal killed it.
func (r Runner) finish(ctx context.Context, j Job, lines *sync.Mutex) error {
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

// start runs a job's command and returns the last line that it wrote.
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
	c.Stderr = out // no terminal: bars of several jobs would overwrite each other
	// A job that outlived this process would keep its folder locked. It is told of the end of the thread
	// that started it, which is this one. In a process group of its own it does not get a Ctrl-C on top of
	// the SIGTERM, which would end it at once.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	if c.WaitDelay = r.Grace; c.WaitDelay == 0 {
		c.WaitDelay = 10 * time.Minute
	}
	err = c.Run()
	out.flush()
	return last, err
}

// writer divides what is written to it into lines.
type writer struct {
	line func(string)
	rest []byte // of a line whose end is yet to come
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
