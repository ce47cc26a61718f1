package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hdas/configs"
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

// placeOf returns which process of a run this is, and whether it is to start the processes: so many, or one on each of
// --devices.
func (p *program) placeOf(c *cobra.Command, processes int) (at launch.Place, starts bool, err error) {
	if at, err = launch.Find(os.Getenv); err != nil {
		return at, false, usageError{err}
	}
	if at.By == launch.Hdas {
		return at, false, nil
	}
	for _, flag := range []string{processesFlag, devicesFlag} {
		if at.World > 1 && c.Flags().Changed(flag) {
			return at, false, usageError{fmt.Errorf("%s has started the %d processes of this run; leave --%s out", at.By, at.World, flag)}
		}
	}
	if n := len(p.devices); n > 0 && processes > 1 && processes != n {
		return at, false, usageError{fmt.Errorf("--%s %d and %s; leave --%s out: each device has a process", processesFlag, processes, counted(n, "device"), processesFlag)}
	}
	return at, max(processes, len(p.devices)) > 1, p.checkDevices(c)
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

// inProcesses runs f in each process of a run: in this one, in those that a launcher has started, or in n that it starts. If
// the flags many ask for several runs, which are of that kind and in that place, it checks them and runs f in this process.
// dry is whether only an estimate is asked for.
func (p *program) inProcesses(c *cobra.Command, n int, many *seeds, kind configs.Kind, r *place, dry bool, f func(m member) error) error {
	if many != nil {
		if err := many.check(p, c, kind, n, r); err != nil {
			return err
		}
		if many.n > 1 {
			if err := alone(c.CommandPath() + " --seeds"); err != nil {
				return err
			}
			return f(member{})
		}
	}
	at, starts, err := p.placeOf(c, n)
	switch {
	case err != nil:
		return err
	case (starts || at.World > 1) && dry:
		return usageError{errors.New("--dry-run is for one process; leave --processes, --devices, torchrun, srun or mpirun out")}
	case starts:
		return p.startProcesses(c.Context(), n)
	}
	return p.join(c.Context(), at, f)
}

// startProcesses runs this command line in n processes, or in one for each of --devices, and waits for them.
func (p *program) startProcesses(ctx context.Context, n int) error {
	n = max(n, len(p.devices))
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
// what is wrong. If ctx is cancelled while this process waits for the others, it ends at once: there is nothing to save.
func (p *program) join(ctx context.Context, at launch.Place, f func(m member) error) error {
	if at.World == 1 {
		return f(member{Place: at})
	}
	m := member{Place: at}
	if at.Rank > 0 {
		p.quiet = true
	}
	joined := context.AfterFunc(ctx, func() { os.Exit(exitStopped) })
	err := torch.Do(func(*torch.Scope) (err error) {
		m.group, err = dist.Join(dist.Member{Rank: at.Rank, World: at.World, Address: at.Address, Port: at.Port, Serve: at.Serve, Listen: at.Socket,
			Prefix: at.Prefix, Interface: dist.Interface()})
		return err
	})
	joined()
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
	case dist.Lost(err):
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

// severalFlags adds the flags of commands that can run in several processes.
func (p *program) severalFlags(c *cobra.Command, n *int) {
	c.Flags().IntVar(n, processesFlag, 1, "processes on this host that compute a run together, each a part of every batch; "+
		"processes that torchrun, srun or mpirun has started find each other without it")
	p.devicesFlagOf(c, "a single run is computed by a process on each; of several runs each is on one of them, or with --processes N on N")
}
