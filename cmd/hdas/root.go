package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hdas/configs"
	"hdas/run"
)

// program is one call of the command: its outputs, and the flags of all commands.
type program struct {
	out, err   io.Writer
	json       bool
	acceptData bool // data may have changed since a run began
	quiet      bool // another process of the run prints
	part       bool // the run is one of several, whose program says how to resume all
	several    bool // what several runs are was said
	logs       logs
	devices    []string                     // of --devices
	command    []string                     // the command line
	screen     atomic.Pointer[screen]       // the lines of progress on the terminal; nil while there are none
	raw        struct{ out, err io.Writer } // the outputs of this process, as its children may have them
	unfollow   func()                       // ends the lines of runs in other processes
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	written := &results{to: out}
	p := &program{out: plainWriter{written}, err: plainWriter{errs}, logs: defaultLogs, command: append([]string{os.Args[0]}, args...), unfollow: func() {}}
	p.raw.out, p.raw.err = out, errs
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	err := root.ExecuteContext(ctx)
	if err == nil && written.err != nil {
		err = fmt.Errorf("the result could not be written: %w", written.err)
	}
	var told exited
	if err != nil && !errors.As(err, &told) && !(p.part && errors.Is(err, run.ErrStopped)) {
		printError(p.err, err)
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	version := false
	c := &cobra.Command{
		Use:   "hdas",
		Short: "Hierarchical differentiable architecture search (H-DAS) on libtorch",
		Long: `hdas searches the cells of a network and the stages that they form by gradient
descent (H-DAS), and trains, evaluates, shows and draws the networks found.

Exit codes: 0 success, 1 failure, 2 wrong usage or configuration, 3 another process
of the same run has failed, 130 stopped by Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP;
searches and trainings save a checkpoint, from which --resume continues. A second
signal ends the program at once, without a checkpoint.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: commandOf("command"),
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return p.version()
			}
			return c.Help()
		},
	}
	c.SetFlagErrorFunc(flagError)
	c.Flags().BoolVar(&version, "version", false, "print the commit, libtorch, CUDA and instruction sets of this program")
	c.PersistentFlags().BoolVar(&p.json, "json", false, "print results as JSON")
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"begin", "Begin:", []*cobra.Command{p.doctor(), p.demo(), p.data(), p.config()}},
		{"search", "Search and look at architectures:", []*cobra.Command{p.search(), p.compare(), p.show(), p.draw(), p.space()}},
		{"train", "Train and evaluate networks:", []*cobra.Command{p.train(), p.finetune(), p.eval()}},
		{"runs", "See runs of searches and trainings:", []*cobra.Command{p.watching(), p.runs(), p.report()}},
		{"paper", "Reproduce the paper:", []*cobra.Command{p.reproduce()}},
		{"use", "Use trained networks:", []*cobra.Command{p.predict(), p.serve(), p.export(), p.importing()}},
		{"more", "Measure, and help:", []*cobra.Command{p.bench(), p.man()}},
	} {
		c.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, command := range g.commands {
			command.GroupID = g.id
			c.AddCommand(command)
		}
	}
	c.SetHelpCommandGroupID("more")
	c.SetCompletionCommandGroupID("more")
	bound(c)
	completed(c)
	return c
}

// results is the standard output. It keeps the first error of a write, because tables are written without a
// check of each line.
type results struct {
	to  io.Writer
	err error
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.to.Write(p)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// args turns cobra's errors about arguments into usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if err := check(c, a); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, c.UseLine())}
		}
		return nil
	}
}

// print writes a result, with --json as JSON and otherwise as the text that f writes, and commands that make sense then.
func (p *program) print(result any, f func(w io.Writer), then ...step) error {
	if p.quiet {
		return nil
	}
	if !p.json {
		f(p.out)
		p.next(then)
		return nil
	}
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(result)
}

// settings holds the flags of the commands that have a configuration.
type settings struct {
	configs.Overrides
	seed    uint64
	device  string
	threads int
	dataDir string
}

func (s *settings) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.File, "config", "", "a built-in configuration, which hdas config list describes, or a YAML file")
	f.StringArrayVar(&s.Set, "set", nil, "change one setting, as in --set train.epochs=10 (repeatable)")
	f.Uint64Var(&s.seed, "seed", 0, "seed of the initial weights, the order of images and the augmentation")
	machineFlags(f, &s.device, &s.threads)
	f.Lookup("threads").Usage += ", or with --resume the number of the run"
	dataFlag(f, &s.dataDir)
}

// machineFlags adds the flags of all commands that compute on a device.
func machineFlags(f *pflag.FlagSet, device *string, threads *int) {
	f.StringVar(device, "device", "auto", "auto, cpu, cuda or cuda:N")
	f.IntVar(threads, "threads", 0, "threads of tensor operations on the CPU; 0: libtorch's default")
}

// dataFlag adds the flag of all commands that read a data set.
func dataFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "data-dir", "", "folder of the data set; default $HDAS_DATA, or data")
}

// overrides returns the settings of the flags; flags of their own win over --set.
func (s *settings) overrides(c *cobra.Command) configs.Overrides {
	o := s.Overrides
	for flag, set := range map[string]string{
		"seed": fmt.Sprintf("seed=%d", s.seed), "device": "device=" + s.device,
		"threads": fmt.Sprintf("threads=%d", s.threads), "data-dir": fmt.Sprintf("data.dir=%q", s.dataDir),
	} {
		if c.Flags().Changed(flag) {
			o.Set = append(o.Set, set)
		}
	}
	return o
}

// changed returns the name of a flag that was given and changes more of the configuration than the device, the
// number of threads and the folder of the data, "" if there is none.
func (s *settings) changed(c *cobra.Command) string {
	for _, flag := range []string{"config", "set", "seed"} {
		if c.Flags().Changed(flag) {
			return flag
		}
	}
	return ""
}
