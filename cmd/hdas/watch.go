package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/live"
	"hdas/metric/score"
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
				return usageError{fmt.Errorf("no run in %s or below", strings.Join(a, ", "))}
			}
			if f, ok := terminal(p.out); ok && !once && !p.json {
				v := p.view(f, w, "")
				err := repeat(c, w, every, func() error { return v.look(true) })
				v.end()
				if err != nil {
					return err
				}
				list, err = w.Look()
				p.resumable(list)
				return err
			}
			told := map[string]string{}
			tell := func() error {
				list, err := w.Look()
				for _, r := range list {
					if is := fmt.Sprint(r.State, r.Epoch, r.Fault); told[r.Path] != is && err == nil {
						told[r.Path] = is
						err = p.tell(r, once)
					}
				}
				return err
			}
			if once {
				return tell()
			}
			return repeat(c, w, every, tell)
		},
	}
	c.Flags().Var(&pause{&every}, "every", "time between two looks at the runs")
	c.Flags().BoolVar(&once, "once", false, "look once")
	return c
}

// repeat calls look until all runs have ended, the command is stopped, or look returns an error, as of a folder that is
// gone.
func repeat(c *cobra.Command, w *lab.Watcher, every time.Duration, look func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := look(); err != nil || !w.Running() {
			return err
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// tell prints a line about a run: where it is now, or what its last epoch has brought.
func (p *program) tell(r lab.Run, now bool) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(r)
	}
	s := statusOf(r, r.Path)
	if !now && s.TrainEpoch != r.Progress.Epoch {
		s.Train = score.Score{}
	}
	if !now {
		s.ended, s.Epoch, s.Step = true, r.Progress.Epoch, 0
	}
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
	case r.State == lab.Waiting:
		s.note = "waits for its turn"
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

// resumable prints the commands that resume the runs that have been stopped.
func (p *program) resumable(list []lab.Run) {
	told := map[string]bool{}
	for _, r := range list {
		if again := lab.ResumeCommand(r.Path); r.State == lab.NotDone && !told[again] {
			told[again] = true
			fmt.Fprintln(p.out, "resume: "+again)
		}
	}
}

// about says what a run is and has found, or how it is resumed.
func about(r lab.Run) string {
	switch {
	case r.State == lab.NotDone:
		return "resume: " + lab.ResumeCommand(r.Path)
	case r.State == lab.DamagedRun:
		return plain(r.Fault)
	case r.Found != "":
		return plain(fmt.Sprintf("%s on %s, found: %s", r.Kind, r.Data, r.Found))
	case r.Best == nil && strings.HasSuffix(r.Kind, " search"):
		return plain(fmt.Sprintf("%s on %s", r.Kind, r.Data))
	}
	return plain(fmt.Sprintf("%s of %s on %s", r.Kind, r.Genotype, r.Data))
}

// view shows a line for each run of a watcher on a terminal.
type view struct {
	*screen
	p       *program
	watcher *lab.Watcher
	folder  string // to which the names of the runs are relative; if it is empty, a second line says what a run is
	lock    sync.Mutex
	lines   map[string]status // by path
	ends    []func()
}

func (p *program) view(f *os.File, w *lab.Watcher, folder string) *view {
	return &view{screen: p.open(f), p: p, watcher: w, folder: folder, lines: map[string]status{}}
}

// look shows the runs as they are now, those that are new only if it may.
func (v *view) look(may bool) error {
	list, err := v.watcher.Look()
	wide, names := 0, make([]string, len(list))
	for i, r := range list {
		if names[i] = r.Path; v.folder != "" {
			names[i] = strings.TrimPrefix(r.Path, filepath.Clean(v.folder)+string(filepath.Separator))
		}
		wide = max(wide, runewidth.StringWidth(plain(names[i])))
	}
	for i, r := range list {
		is := statusOf(r, names[i])
		is.wide = wide
		if v.folder == "" {
			is.more, is.found = "  "+about(r), ""
			if r.State == lab.NotDone || r.State == lab.DamagedRun {
				is.note = string(r.State) // the second line says more
			}
		}
		v.lock.Lock()
		_, known := v.lines[r.Path]
		v.lines[r.Path] = is
		v.lock.Unlock()
		if known || !may {
			continue
		}
		v.ends = append(v.ends, v.row(func(width int) string {
			at := v.status(r.Path)
			at.State = at.Since(time.Now())
			return line(at, width)
		}))
		if v.folder == "" {
			v.ends = append(v.ends, v.row(func(width int) string { return runewidth.Truncate(v.status(r.Path).more, width, "…") }))
		}
	}
	return err
}

func (v *view) status(path string) status {
	v.lock.Lock()
	defer v.lock.Unlock()
	return v.lines[path]
}

// end keeps the lines as they are.
func (v *view) end() {
	for _, e := range v.ends {
		e()
	}
	v.p.close(v.screen)
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
		p.several = true
		v := p.view(f, lab.NewWatcher(start.Folder), start.Folder)
		stop := make(chan struct{})
		var looking sync.WaitGroup
		looking.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for going := true; going; {
				select {
				case <-tick.C:
				case <-stop:
					going = false
				}
				v.look(going)
			}
		})
		p.unfollow = sync.OnceFunc(func() {
			close(stop)
			looking.Wait()
			v.end()
		})
	}
	return w
}
