package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/live"
)

func (p *program) watching() *cobra.Command {
	every := time.Second
	once := false
	c := &cobra.Command{
		Use: "watch RUN...", Short: "Show runs that go on elsewhere, and what they have found so far",
		Long: `Show searches and trainings that other processes run, also on other machines that
write to the same disk: where they are, how fast they go, when they will end, the
accuracy of the last epoch and the best one, and what a search has found so far.
RUN is the folder of a run, of several seeds, of a comparison, or any folder with
runs below it.

On a terminal there is a line for each run until all have ended, or until Ctrl-C,
which stops the watching alone. Elsewhere a line is written for each epoch that
ends; with --json it is an object. A run that was stopped or killed is shown with
the command that resumes it.`,
		Example: "  hdas watch runs/stages\n  hdas watch runs --once\n  hdas watch /shared/a /shared/b --every 10s",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if every == 0 {
				return usageError{errors.New("--every 0: must be a time above 0; --once looks once")}
			}
			w := lab.NewWatcher(a...)
			list, err := w.Look()
			switch {
			case err != nil:
				return usageError{err}
			case len(list) == 0:
				return usageError{fmt.Errorf("no run in %s or below", cmp.Or(a...))}
			}
			if f, ok := terminal(p.out); ok && !once && !p.json {
				end := p.follow(f, w, "", every)
				repeat(c, w, every, func() {})
				end()
				list, err = w.Look()
				for _, r := range list {
					if r.State == lab.NotDone {
						fmt.Fprintf(p.out, "resume %s: %s\n", r.Path, lab.ResumeCommand(r.Path))
					}
				}
				return err
			}
			told := map[string]string{}
			tell := func() {
				for _, r := range list {
					if is := fmt.Sprint(r.State, r.Epoch, r.Fault); told[r.Path] != is {
						told[r.Path] = is
						err = errors.Join(err, p.tell(r))
					}
				}
			}
			tell()
			if !once {
				repeat(c, w, every, func() {
					if list, err = w.Look(); err == nil {
						tell()
					}
				})
			}
			return err
		},
	}
	c.Flags().Var(&pause{&every}, "every", "time between two looks at the runs")
	c.Flags().BoolVar(&once, "once", false, "look once")
	return c
}

// repeat calls look again and again until all runs have ended or the command is stopped.
func repeat(c *cobra.Command, w *lab.Watcher, every time.Duration, look func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for w.Running() {
		select {
		case <-c.Context().Done():
			return
		case <-tick.C:
			look()
		}
	}
}

// tell prints a line about a run.
func (p *program) tell(r lab.Run) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(r)
	}
	s := statusOf(r, r.Path)
	s.ended = r.Live == nil || r.Live.Step == 0
	_, err := fmt.Fprintln(p.out, line(s, anyWidth))
	return err
}

// statusOf returns what a line shows of a run.
func statusOf(r lab.Run, name string) status {
	s := status{name: name, many: true, last: r.Last, best: r.Best, of: r.Of, found: r.Found, is: r.State}
	s.Epoch, s.Step, s.Epochs = r.Progress.Epoch, r.Progress.Step, r.Epochs
	switch {
	case r.State == lab.Running && r.Live != nil:
		s.State = r.Live.Since(time.Now())
	case r.State == lab.Running:
		s.note = "begins"
	case r.State == lab.Done:
		s.note = "done"
		if r.Seconds > 0 {
			s.note += " in " + clock(r.Seconds)
		}
	case r.State == lab.NotDone:
		s.note = "stopped; resume: " + lab.ResumeCommand(r.Path)
	default:
		s.note = fmt.Sprintf("%s: %s", r.State, plain(r.Fault))
	}
	return s
}

// follow shows a line for each run of a watcher on a terminal, and returns a function that ends this. Names are
// relative to a folder, unless that is empty.
func (p *program) follow(f *os.File, w *lab.Watcher, folder string, every time.Duration) (end func()) {
	s := newScreen(f)
	p.screen = s
	var lock sync.Mutex
	lines := map[string]*status{}
	var ends []func()
	look := func() {
		list, err := w.Look()
		if err != nil {
			return // of a folder that is gone; the lines stay
		}
		for _, r := range list {
			name, err := filepath.Rel(folder, r.Path)
			if folder == "" || err != nil {
				name = r.Path
			}
			is := statusOf(r, name)
			lock.Lock()
			at, known := lines[r.Path]
			if known {
				*at = is
			} else {
				lines[r.Path] = &is
			}
			lock.Unlock()
			if known {
				continue
			}
			ends = append(ends, s.row(func(width int) string {
				lock.Lock()
				defer lock.Unlock()
				l := *lines[r.Path]
				l.State = l.Since(time.Now())
				return line(l, width)
			}))
		}
	}
	look()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				look()
			case <-stop:
				look()
				return
			}
		}
	})
	return func() {
		close(stop)
		done.Wait()
		for _, e := range ends {
			e()
		}
		s.Wait()
		p.screen = nil
	}
}

// following is watchOf for runs in processes of their own: on a terminal, this process shows their lines.
func (p *program) following(s *settings) lab.Watch {
	w := p.watchOf(s)
	f, ok := p.bars()
	if !ok {
		return w
	}
	w.Several = func(start live.Start) {
		p.start(start)
		p.unfollow = sync.OnceFunc(p.follow(f, lab.NewWatcher(start.Folder), start.Folder, time.Second))
	}
	return w
}
