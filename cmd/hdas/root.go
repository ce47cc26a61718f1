package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/run"
)

// program is one call of the command: its outputs, and the flags of all commands.
type program struct {
	out, err   io.Writer
	json       bool
	acceptData bool // data may have changed since a run began
	part       bool // the run is one of several, whose program says how to resume all
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	written := &results{to: out}
	p := &program{out: plainWriter{written}, err: plainWriter{errs}}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	err := root.ExecuteContext(ctx)
	if err == nil && written.err != nil {
		err = fmt.Errorf("the result could not be written: %w", written.err)
	}
	if err != nil && !(p.part && errors.Is(err, run.ErrStopped)) {
		report(p.err, err)
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "hdas",
		Short: "Hierarchical differentiable architecture search (H-DAS) on libtorch",
		Long: `hdas searches the cells of a network and the stages that they form by gradient
descent (H-DAS), and trains, evaluates, shows and draws the networks found.

Exit codes: 0 success, 1 failure, 2 wrong usage or configuration,
130 stopped by Ctrl-C, SIGTERM or SIGHUP; searches and trainings save a
checkpoint, from which --resume continues. A second signal ends the program at
once, without a checkpoint.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: commandOf("command"),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(flagError)
	c.PersistentFlags().BoolVar(&p.json, "json", false, "print results as JSON")
	c.AddCommand(p.search(), p.train(), p.finetune(), p.eval(), p.predict(), p.serve(), p.compare(), p.space(), p.show(), p.runs(), p.draw(), p.importing(), p.export(), p.data(), p.demo(), p.doctor(), p.bench())
	bound(c)
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

// genotypeNames completes the name of a genotype on the command line.
func genotypeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return genotype.Names(), cobra.ShellCompDirectiveDefault
}

// print writes a result, with --json as JSON and otherwise as the text that f writes.
func (p *program) print(result any, f func(w io.Writer)) error {
	if !p.json {
		f(p.out)
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
	f.StringVar(&s.File, "config", "", "configuration: "+strings.Join(configs.Names(), ", ")+", or a YAML file")
	f.StringArrayVar(&s.Set, "set", nil, "change one setting, as in --set train.epochs=10 (repeatable)")
	f.Uint64Var(&s.seed, "seed", 0, "seed of the initial weights, the order of images and the augmentation")
	f.StringVar(&s.device, "device", "auto", "auto, cpu, cuda or cuda:N")
	f.IntVar(&s.threads, "threads", 0, "threads of tensor operations on the CPU; 0: libtorch's default, or with --resume the number of the run")
	f.StringVar(&s.dataDir, "data-dir", "", "folder of the data set; default $HDAS_DATA, or data")
	c.RegisterFlagCompletionFunc("config", cobra.FixedCompletions(configs.Names(), cobra.ShellCompDirectiveDefault))
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

// changed returns the name of a flag that was given and changes more of the configuration than the device and
// the number of threads, "" if there is none.
func (s *settings) changed(c *cobra.Command) string {
	for _, flag := range []string{"config", "set", "seed", "data-dir"} {
		if c.Flags().Changed(flag) {
			return flag
		}
	}
	return ""
}
