package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/lab"
	"hdas/lab/jobs"
	"hdas/launch"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
)

// exitLost is the exit code of a process whose run has ended because another process of it has.
const exitLost = 3

// processesFlag is the flag that starts the processes of a run.
const processesFlag = "processes"

// exited is the error of a process that has told its cause itself; its value is the exit code.
type exited int

func (e exited) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// member is this process as one of those of a run.
type member struct {
	launch.Place
	group *dist.Group // nil: a single process
}

// placeOf returns which process of a run this is, and whether it is to start the processes.
func placeOf(c *cobra.Command, processes int) (at launch.Place, starts bool, err error) {
	at, err = launch.Find(os.Getenv)
	switch {
	case err != nil:
		return at, false, usageError{err}
	case processes == 1 && !c.Flags().Changed(processesFlag), at.By == launch.Hdas:
		return at, false, nil
	case at.World > 1:
		return at, false, usageError{fmt.Errorf("%s has started the %d processes of this run; leave --%s out", at.By, at.World, processesFlag)}
	}
	return at, processes > 1, nil
}

// alone returns an error if a launcher has started several processes for what one process does.
func alone(what string) error {
	at, err := launch.Find(os.Getenv)
	if err == nil && at.World > 1 {
		err = fmt.Errorf("%s has started %d processes, but %s is computed by one", at.By, at.World, what)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// inProcesses runs f in each process of a run: in this one, in those that a launcher has started, or in n that it starts. single is
// whether the flags ask for what one process computes.
func (p *program) inProcesses(c *cobra.Command, n int, single bool, f func(m member) error) error {
	at, starts, err := placeOf(c, n)
	switch {
	case err != nil:
		return err
	case (starts || at.World > 1) && single:
		return usageError{errSeveral}
	case starts:
		return p.startProcesses(c.Context(), n)
	}
	return p.join(at, f)
}

var errSeveral = errors.New("--seeds and --dry-run are for runs of one process each; leave --processes, torchrun, srun or mpirun out")

// startProcesses runs this command line in n processes and waits for them.
func (p *program) startProcesses(ctx context.Context, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = launch.Processes{
		N: n, Command: append([]string{self}, p.command[1:]...), Out: p.raw.out, Err: p.raw.err,
		Line:    func(name, line string) { fmt.Fprintf(p.err, "%s: %s\n", name, line) },
		Follows: func(exit int) bool { return exit == exitLost || exit == exitStopped },
	}.Run(ctx)
	var failed *jobs.Error
	if errors.As(err, &failed) && failed.Exit >= 0 && (failed.Job == "rank 0" || failed.Exit == exitStopped) {
		return exited(failed.Exit) // rank 0 has said why
	}
	return err
}

// join makes this process a member of the group of its place, inside which f runs. Ranks other than 0 print nothing but
// what is wrong.
func (p *program) join(at launch.Place, f func(m member) error) error {
	if at.World == 1 {
		return f(member{Place: at})
	}
	m := member{Place: at}
	if at.Rank > 0 {
		p.quiet = true
	}
	err := torch.Do(func(*torch.Scope) (err error) {
		m.group, err = dist.Join(dist.Member{Rank: at.Rank, World: at.World, Address: at.Address, Port: at.Port, Serve: at.Serve, Listen: at.Socket,
			Prefix: at.Prefix, Interface: dist.Interface()})
		return err
	})
	if err != nil {
		return err
	}
	err = f(m)
	torch.Do(func(*torch.Scope) error {
		if err != nil && !errors.Is(err, run.ErrStopped) {
			m.group.Leave()
		}
		m.group.Close()
		return nil
	})
	switch {
	case errors.Is(err, dist.ErrLost):
		if at.By != launch.Hdas { // which says who has failed
			printError(p.err, err)
		}
		return exited(exitLost)
	case at.Rank > 0 && errors.Is(err, run.ErrStopped):
		return exited(exitStopped)
	case at.Rank > 0 && err != nil:
		return fmt.Errorf("rank %d of %d: %w", at.Rank, at.World, err)
	}
	return err
}

// opened is what rank 0 tells the others of the folder of the run.
type opened struct {
	Folder string
	Failed bool
}

// open is place.open of a run that several processes compute: rank 0 opens the folder, the others follow it.
func (m member) open(c *cobra.Command, r *place, s *settings, name string, what lab.Holding, load func() (datasets.Spec, error)) (*run.Dir, error) {
	if m.group == nil {
		return r.open(c, s, name, what, load)
	}
	var d *run.Dir
	var failed error
	var is opened
	if m.Rank == 0 {
		if d, failed = r.open(c, s, name, what, load); failed != nil {
			is.Failed = true
		} else {
			is.Folder = r.out
		}
	}
	text, err := json.Marshal(is)
	if err == nil {
		err = torch.Do(func(*torch.Scope) error { text = m.group.Gather(text)[0]; return nil })
	}
	if err == nil && failed == nil {
		err = json.Unmarshal(text, &is)
	}
	if err = errors.Join(failed, err); err != nil || m.Rank == 0 {
		return d, err
	}
	if is.Failed {
		return nil, fmt.Errorf("rank 0 %w", dist.ErrLost)
	}
	r.out = is.Folder
	d = run.Follow(r.out)
	if r.resume {
		s.File, s.Alone = d.Path(run.ConfigFile), true
	}
	if _, err := load(); err != nil {
		return nil, usageError{err}
	}
	return d, nil
}

// watch adds the group to w. Of what a process prints that is not rank 0, it leaves only what is wrong.
func (m member) watch(w lab.Watch) lab.Watch {
	w.Group, w.Local = m.group, m.Local
	if m.Rank > 0 {
		w.Begin, w.Several, w.Note, w.Measured = nil, nil, nil, nil
	}
	return w
}

// severalFlag adds the flag of commands that can run in several processes.
func severalFlag(c *cobra.Command, n *int) {
	c.Flags().IntVar(n, processesFlag, 1, "processes on this host that compute the run together, each a part of every batch; "+
		"processes that torchrun, srun or mpirun has started find each other without it")
}
