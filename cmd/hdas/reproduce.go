package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/estimate"
	"hdas/lab"
	"hdas/recipe"
	"hdas/run"
)

// reproducer holds the flags of hdas reproduce.
type reproducer struct {
	recipe.Choice
	jobs, processes int
	threads         int
	device, dataDir string
	dry, measure    bool
	vary            bool
	variations      string
}

func (p *program) reproduce() *cobra.Command {
	var r reproducer
	c := &cobra.Command{
		Use: "reproduce EXPERIMENT|FILE...", Short: "Reproduce tables and figures of the paper, or run experiments of your own",
		Long: `Do the searches and trainings of an experiment and print its table beside the
paper's numbers. hdas reproduce list describes the experiments that are built in; a
YAML file of the same form is one of your own (docs/reproduction.md).

Each run has a folder of its own in --out, named by the digest of what its result
depends on, so that experiments share runs that compute the same, and nothing is
computed twice. The same command goes on where it was stopped. If a run fails, those
that do not need it go on. The tables are in --out, as text, JSON, CSV and LaTeX.

Scales: paper (the paper's sizes and data), small (embedded digits; up to 100
minutes on two CPU cores), tiny (a test that everything runs). --set changes
settings of all runs: those that begin with search are of searches, with train of
trainings, and the rest of both.`,
		Example: "  hdas reproduce table4 --scale small --out runs/paper\n  hdas reproduce table1 --rows Hc,\"Hs over cells of P-DARTS\" --devices cuda:0,cuda:1\n  hdas reproduce table5 --scale small --dry-run",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, names []string) error {
			if err := alone("hdas reproduce"); err != nil {
				return err
			}
			return p.runReproduce(c, r, names)
		},
	}
	f := c.Flags()
	f.StringVar(&r.Scale, "scale", "paper", "size of the runs: paper, small, tiny, or one of the experiment's own")
	f.StringSliceVar(&r.Rows, "rows", nil, "rows of the table to fill, by name, separated by commas")
	f.IntVar(&r.Seeds, "seeds", 0, "repetitions of each row, with different seeds; 0: those of the scale")
	f.StringVar(&r.Root, "out", filepath.Join("runs", "reproduce"), "folder of the runs and the tables")
	f.StringArrayVar(&r.Set, "set", nil, "change one setting, as in --set train.epochs=10 (repeatable)")
	f.StringVar(&r.device, "device", "", "auto, cpu, cuda or cuda:N; default: that of the configurations")
	f.StringVar(&r.dataDir, "data-dir", "", "folder of the data sets; default $HDAS_DATA, or data")
	f.IntVar(&r.threads, "threads", 0, "threads of tensor operations on the CPU in each run; 0: the processors divided among the runs at once")
	f.BoolVar(&r.dry, "dry-run", false, "print the runs with their commands; with --measure also their time and memory")
	f.BoolVar(&r.measure, "measure", false, "with --dry-run: measure a few steps of each kind of run on the device at hand")
	f.BoolVar(&r.vary, "hyperparameters", false, "train each network under several settings, and compare the ranks: rate doubled, weight decay tripled, no auxiliary head and no drop path, half the epochs, or those of --variations")
	f.StringVar(&r.variations, "variations", "", "with --hyperparameters: a YAML file of other settings (configs/recipes/variations.yaml is the built-in one)")
	jobsFlagOf(c, &r.jobs, "runs")
	p.severalFlags(c, &r.processes)
	c.AddCommand(p.reproduceList())
	return c
}

func (p *program) runReproduce(c *cobra.Command, r reproducer, names []string) error {
	if r.measure && !r.dry {
		return usageError{errors.New("--measure is for --dry-run")}
	}
	r.Found = run.GenotypeFile
	how, err := p.jobs(c, r.jobs, r.processes)
	if err != nil {
		return err
	}
	if r.variations != "" && !r.vary {
		return usageError{errors.New("--variations is for --hyperparameters")}
	}
	if r.vary {
		if r.Variations, err = recipe.Variations(r.variations); err != nil {
			return usageError{err}
		}
	}
	var graphs []recipe.Graph
	for _, name := range names {
		experiment, err := recipe.Load(name)
		if err != nil {
			return usageError{err}
		}
		g, err := experiment.Graph(r.Choice)
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", name, err)}
		}
		graphs = append(graphs, g)
	}
	if r.dry {
		return p.dryReproduce(c.Context(), r, graphs)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	begin := func(n recipe.Node) []string {
		all := append(append([]string{self}, n.Args...), "--"+partFlag, "--log-format="+string(logNone))
		if r.device != "" {
			all = append(all, "--device="+r.device)
		}
		if r.dataDir != "" && !n.Embedded() {
			all = append(all, "--data-dir="+r.dataDir)
		}
		if n := cmp.Or(r.threads, how.Share()); n > 0 {
			all = append(all, fmt.Sprintf("--threads=%d", n))
		}
		return all
	}
	var tables []lab.Table
	var failed []error
	for _, g := range graphs {
		p.say("%s at scale %s: %s, those that have ended are kept; hdas watch %s shows those that go on", g.Recipe.Name, g.Scale, counted(len(g.Nodes), "run"), quoted(g.Root))
		t, err := lab.Reproduce(c.Context(), g, how, begin, p.watch())
		if err != nil && t.Name == "" {
			return err
		}
		failed = append(failed, err)
		if err := writeTables(g, t); err != nil {
			return err
		}
		tables = append(tables, t)
	}
	err = p.print(tables, func(w io.Writer) {
		for _, t := range tables {
			printTable(w, t)
		}
	}, step{command("report", r.Root), "curves, decisions and drawings of the runs on a page"})
	return errors.Join(append(failed, err)...)
}

// plannedRun is a run of an experiment as --dry-run prints it.
type plannedRun struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Needs   []string  `json:"needs,omitempty"`
	Command string    `json:"command"`
	Cost    *lab.Cost `json:"cost,omitempty"`
}

// experimentPlan is an experiment as --dry-run prints it.
type experimentPlan struct {
	Name string       `json:"name"`
	Runs []plannedRun `json:"runs"`
	Cost lab.Cost     `json:"cost"`
}

func (p *program) dryReproduce(ctx context.Context, r reproducer, graphs []recipe.Graph) error {
	var plans []experimentPlan
	for _, g := range graphs {
		whole, each, err := lab.CostOf(ctx, g, r.measure, p.watch())
		if err != nil {
			return err
		}
		plan := experimentPlan{Name: g.Recipe.Name, Cost: whole}
		for _, n := range g.Nodes {
			one := plannedRun{ID: n.ID, Name: n.Name, Needs: n.Needs, Command: command(slices.Clone(n.Args)...)}
			if cost := each[n.ID]; r.measure {
				one.Cost = &cost
			}
			plan.Runs = append(plan.Runs, one)
		}
		plans = append(plans, plan)
	}
	return p.print(plans, func(w io.Writer) {
		for _, plan := range plans {
			fmt.Fprintf(w, "%s: %s\n\n", plan.Name, costText(plan.Cost))
			for _, one := range plan.Runs {
				fmt.Fprintf(w, "%s\n  %s\n", one.Name, one.Command)
				if len(one.Needs) > 0 {
					fmt.Fprintf(w, "  after %s\n", strings.Join(one.Needs, ", "))
				}
				if c := one.Cost; c != nil && c.Seconds > 0 {
					fmt.Fprintf(w, "  %s, %s\n", duration(c.Seconds), estimate.Size(c.Bytes))
				}
			}
			fmt.Fprintln(w)
		}
	})
}

func costText(c lab.Cost) string {
	text := fmt.Sprintf("%s, %s", counted(c.Searches, "search"), counted(c.Trainings, "training"))
	if c.Seconds > 0 {
		text += fmt.Sprintf("; %.1f days of one device (%s) for those that are left, at most %s at once", c.Seconds/86400, duration(c.Seconds), estimate.Size(c.Bytes))
	}
	return text
}

// experimentAbout is an experiment as hdas reproduce list prints it.
type experimentAbout struct {
	Name   string     `json:"name"`
	About  string     `json:"about"`
	Source string     `json:"source"`
	Note   string     `json:"note,omitempty"`
	Rows   []aboutRow `json:"rows"`
	Days   float64    `json:"paper_search_days"` // of one GPU, for the searches of all rows, as far as the paper says
	Cost   lab.Cost   `json:"cost"`
}

type aboutRow struct {
	Name    string        `json:"name"`
	Paper   recipe.Values `json:"paper"`
	Unknown string        `json:"unknown,omitempty"`
}

func (p *program) reproduceList() *cobra.Command {
	var scale string
	var measure bool
	c := &cobra.Command{
		Use: "list", Short: "Describe the experiments: what runs, what the paper reports, and what it costs",
		Long: `Describe the experiments that are built in: the runs, the paper's numbers, the
rows that cannot be reproduced with the reason, and the cost. The paper's days are
those of one GPU for one search of each row that names them.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := recipe.List()
			if err != nil {
				return err
			}
			var all []experimentAbout
			for _, r := range list {
				g, err := r.Graph(recipe.Choice{Scale: scale, Root: filepath.Join("runs", "reproduce"), Found: run.GenotypeFile})
				if err != nil {
					return usageError{err}
				}
				one := experimentAbout{Name: r.Name, About: r.About, Source: r.Source, Note: r.Note}
				if one.Cost, _, err = lab.CostOf(c.Context(), g, measure, p.watch()); err != nil {
					return err
				}
				for _, row := range r.Rows {
					one.Rows = append(one.Rows, aboutRow{row.Name, row.Paper, row.Unknown})
					if row.Unknown == "" && row.Paper.Days != nil {
						one.Days += *row.Paper.Days
					}
				}
				all = append(all, one)
			}
			return p.print(all, func(w io.Writer) { printList(w, all) },
				step{"hdas reproduce table4 --scale tiny", "a first table, in a minute"}, step{"hdas space", "the sizes of the search spaces beside the paper's"})
		},
	}
	c.Flags().StringVar(&scale, "scale", "paper", "size of the runs: paper, small or tiny")
	c.Flags().BoolVar(&measure, "measure", false, "measure a few steps of each kind of run on the device at hand")
	return c
}

func printList(w io.Writer, all []experimentAbout) {
	for _, one := range all {
		fmt.Fprintf(w, "%s  %s (%s)\n", one.Name, one.About, one.Source)
		fmt.Fprintf(w, "  %s", costText(one.Cost))
		if one.Days > 0 {
			fmt.Fprintf(w, "; the paper's searches took %.1f GPU-days", one.Days)
		}
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range one.Rows {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", row.Name, paperText(row.Paper), row.Unknown)
		}
		t.Flush()
		if one.Note != "" {
			fmt.Fprintf(w, "  note: %s\n", one.Note)
		}
		fmt.Fprintln(w)
	}
}

// paperText returns what the paper reports of a row.
func paperText(v recipe.Values) string {
	var parts []string
	number := func(value *float64, format string) {
		if value != nil {
			parts = append(parts, fmt.Sprintf(format, *value))
		}
	}
	number(v.Error, "error %.2f %%")
	number(v.Top5, "top-5 %.1f %%")
	number(v.RI, "RI %.2f")
	number(v.Millions, "%.1f M parameters")
	number(v.MACs, "%.0f M multiply-adds")
	if v.Dead != nil {
		parts = append(parts, counted(*v.Dead, "dead cell"))
	}
	if v.Longest != nil {
		parts = append(parts, fmt.Sprintf("longest path %d", *v.Longest))
	}
	if v.Cells != nil {
		parts = append(parts, "cells "+list(v.Cells))
	}
	return strings.Join(parts, ", ")
}
