package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
	"hdas/run"
)

// seeds holds the flags of a search or a training with several seeds.
type seeds struct {
	n, jobs   int
	how       lab.Jobs
	name      string // name of the configuration of the selecting training
	set       []string
	selection *configs.Train
}

func (s *seeds) flags(c *cobra.Command) {
	s.runFlags(c, "searches")
	f := c.Flags()
	f.StringVar(&s.name, "select", "", "train the genotype of each seed with this configuration on one half of the training data, and select the best on the other half")
	f.StringArrayVar(&s.set, "select-set", nil, "change one setting of that training, as in --select-set train.epochs=10 (repeatable)")
}

// runFlags adds the flags of several runs.
func (s *seeds) runFlags(c *cobra.Command, runs string) {
	f := c.Flags()
	f.IntVar(&s.n, "seeds", 1, "number of "+runs+" to run, with consecutive seeds from --seed on, each in its own folder below --out")
	jobsFlagOf(c, &s.jobs, runs)
}

// check returns an error for invalid flags. With --resume it sets the number of seeds to that of the folder. processes is
// that of each run.
func (s *seeds) check(p *program, c *cobra.Command, kind configs.Kind, processes int, r *place) (err error) {
	if r.resume {
		n, err := lab.BegunSeeds(r.out)
		for _, flag := range []string{"seeds", "select", "select-set"} {
			if n > 0 && c.Flags().Changed(flag) {
				return usageError{fmt.Errorf("--resume continues the seeds of the folder, which --%s cannot change", flag)}
			}
		}
		if err != nil {
			return err
		}
		s.n = max(s.n, n)
	}
	for _, flag := range []string{jobsFlag, "select", "select-set"} {
		if s.n == 1 && c.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s is for several seeds: --seeds N", flag)}
		}
	}
	if s.n > 1 {
		if s.how, err = p.jobs(c, s.jobs, processes); err != nil {
			return err
		}
	}
	if s.name == "" && len(s.set) > 0 {
		return usageError{errors.New("--select-set changes the training of --select; --select is missing")}
	}
	if s.name != "" {
		t, err := configs.LoadTrain(configs.Overrides{File: s.name, Set: s.set, Form: configs.FormOf(kind.FindsStages())})
		if err != nil {
			return usageError{err}
		}
		s.selection = &t
	}
	return nil
}

// holding is what the folder of the runs holds.
func (s *seeds) holding() lab.Holding {
	if s.n > 1 {
		return lab.Holding{Seeds: s.n}
	}
	return lab.Holding{Run: true}
}

// plan returns the searches of the flags, without the command that runs one.
func (s *seeds) plan() lab.Seeds { return lab.Seeds{N: s.n, Jobs: s.how, Select: s.selection} }

// searchSeeds runs a search with several seeds, each in a process of this program.
func (p *program) searchSeeds(cmd *cobra.Command, set *settings, c configs.Search, s seeds, dir *run.Dir) error {
	plan := s.plan()
	var err error
	if plan.Command, err = p.resuming(cmd, c.Threads, "search", string(c.Search.Kind)); err != nil {
		return err
	}
	sum, err := lab.SearchSeeds(cmd.Context(), c, plan, dir, p.following(set))
	p.unfollow() // what is written from here on is below the lines of the runs
	var cannot *lab.Untrainable
	switch {
	case errors.As(err, &cannot):
		return fmt.Errorf("genotypes of this search cannot be trained with --select %s: %w", s.name, cannot.Err)
	case err != nil:
		return err
	}
	return p.print(sum, func(w io.Writer) { writeSummary(w, sum) }, afterSeeds(c, sum)...)
}

// trainSeeds runs a training with several seeds, each in a process of this program.
func (p *program) trainSeeds(cmd *cobra.Command, t *trainer, dir *run.Dir) error {
	plan := t.many.plan()
	var err error
	if plan.Command, err = p.resuming(cmd, t.config.Threads, "train"); err != nil {
		return err
	}
	sum, err := lab.TrainSeeds(cmd.Context(), t.config, t.g, plan, dir, p.following(&t.settings))
	p.unfollow()
	if err != nil {
		return err
	}
	return p.print(sum, func(w io.Writer) { writeTrainings(w, sum) }, reportStep(sum.Folder))
}

func writeTrainings(w io.Writer, s lab.Trainings) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "seed\ttest accuracy\ttop-5\t")
	for _, r := range s.Seeds {
		fmt.Fprintf(t, "%d\t%s\t%s\t\n", r.Seed, percent(r.Test.Top1), percent(r.Test.Top5))
	}
	t.Flush()
	fmt.Fprintf(w, "\ntop-1  %s\ntop-5  %s\n", percents(s.Top1), percents(s.Top5))
	if s.EMA != nil {
		fmt.Fprintf(w, "top-1 with averaged weights (--ema)  %s\n", percents(*s.EMA))
	}
	fmt.Fprintf(w, "runs   %s\n", filepath.Join(s.Folder, "seed-*"))
}

func writeSummary(w io.Writer, s lab.Summary) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	short := slices.ContainsFunc(s.Seeds, func(r lab.Seeded) bool { return r.Selected != nil })
	fmt.Fprintf(t, "seed\tvalidation accuracy\t%s\n", map[bool]string{true: "after a short training\t"}[short])
	for _, r := range s.Seeds {
		selected := ""
		if r.Selected != nil {
			selected = percent(r.Selected.Top1) + "\t"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\n", r.Seed, percent(r.Valid), selected)
	}
	t.Flush()
	fmt.Fprintf(w, "\nvalidation accuracy of the supernets  %s\nedges that two genotypes share         %s\n", percents(s.Valid), percents(s.Agreement))
	if s.Selected != "" {
		fmt.Fprintf(w, "selected                               %s\n", s.Selected)
	}
	fmt.Fprintf(w, "runs                                   %s\n", filepath.Join(s.Folder, "seed-*"))
}
