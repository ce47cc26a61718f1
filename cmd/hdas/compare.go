package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/estimate"
	"hdas/lab"
)

func (p *program) compare() *cobra.Command {
	var s settings
	var r place
	var b lab.Baseline
	var dry bool
	var jobs, processes int
	c := &cobra.Command{
		Use: "compare RUN|NAME|FILE|CELLS+STAGES", Short: "Compare a found genotype with random genotypes of its space",
		Long: `Train the genotype that a search found, and genotypes drawn uniformly from the
space of that search, all with the same settings. Print their test accuracies and
the relative improvement RI = 100 (found - random) / random, with its standard
deviation over the random genotypes. For a genotype that is not the folder of a
search, the space is that of its stages with its own cells or, for a chain, of
its cells. (hdas compare pytorch compares this program with PyTorch.)`,
		Example: "  hdas compare runs/stages --random 4 --config tiny-train --out runs/compared\n  hdas compare runs/stages --random 4 --config hs-train --devices cuda:0,cuda:1 --out runs/compared",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := alone("hdas compare"); err != nil {
				return err
			}
			if r.resume == (len(a) == 1) {
				return usageError{errors.New("name either a genotype to compare, or a comparison to resume with --resume --out DIR")}
			}
			for _, flag := range []string{"random", "repeats", "window"} {
				if r.resume && c.Flags().Changed(flag) {
					return usageError{fmt.Errorf("--resume continues the comparison in the folder, which --%s cannot change", flag)}
				}
			}
			how, err := p.jobs(c, jobs, processes)
			if err != nil {
				return err
			}
			var config configs.Train
			var drawn lab.ComparePlan
			load := func() (data datasets.Spec, err error) {
				if r.resume {
					config, err = configs.LoadTrain(s.overrides(c))
					return data, err
				}
				found, err := lab.LoadFound(a[0])
				if err != nil {
					return data, err
				}
				s.Form, s.Start = configs.FormOf(len(found.Genotype.Stages) > 0), lab.StartOf
				if config, err = configs.LoadTrain(s.overrides(c)); err != nil {
					return data, err
				}
				drawn, err = comparePlan(found, b, c.Flags().Changed("window"), config.Seed)
				return config.Data.Spec, err
			}
			if dry {
				return p.dryRun(&r, load, func() (estimate.Estimate, error) {
					return lab.EstimateCompare(c.Context(), config, drawn, how, p.watch())
				})
			}
			dir, err := r.open(c, &s, "compare", lab.Holding{Comparison: true}, load)
			if err != nil {
				return err
			}
			defer dir.Close()
			if !r.resume {
				if err := drawn.Begin(config, dir); err != nil {
					return err
				}
			}
			w := p.watchOf(&s)
			if how.AtOnce > 1 || len(how.Places) > 0 { // else this process trains them one after the other
				if how.Command, err = p.resuming(c, config.Threads, "train"); err != nil {
					return err
				}
				w = p.following(&s)
			}
			r, err := lab.Compare(c.Context(), config, how, dir, w)
			p.unfollow()
			if err != nil {
				return err
			}
			return p.print(r, func(w io.Writer) { writeComparison(w, r) }, reportStep(r.Folder))
		},
	}
	s.flags(c)
	r.flags(c)
	p.acceptsData(c)
	p.logFlags(c)
	dryFlag(c, &dry)
	jobsFlagOf(c, &jobs, "trainings")
	p.severalFlags(c, &processes)
	c.Flags().IntVar(&b.Random, "random", 4, "number of random genotypes to train; 0: only the found one, with its spread over --repeats")
	c.Flags().IntVar(&b.Repeats, "repeats", 1, "number of trainings of the found genotype, with consecutive seeds from --seed on")
	c.Flags().IntVar(&b.Window, "window", 3, "for stages that are not the folder of a search: number of preceding states that a cell may read")
	c.AddCommand(p.comparePyTorch())
	return c
}

// comparePlan returns the plan of a comparison, with its random genotypes.
func comparePlan(f lab.Found, b lab.Baseline, window bool, seed uint64) (lab.ComparePlan, error) {
	switch {
	case window && f.Search != nil:
		return lab.ComparePlan{}, errors.New("--window is for genotypes that are not the folder of a search; a search has its own window")
	case window && len(f.Genotype.Stages) == 0:
		return lab.ComparePlan{}, fmt.Errorf("%s is a chain; --window is for stages", f.Genotype.Name)
	}
	return lab.NewComparePlan(f, b, seed)
}

func writeComparison(w io.Writer, r lab.Comparison) {
	fmt.Fprintf(w, "out of %s\n\n", r.Space)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "network\ttest accuracy\t")
	for _, n := range r.Networks {
		fmt.Fprintf(t, "%s\t%s\t\n", n.Name, percent(n.Top1))
	}
	t.Flush()
	fmt.Fprintln(w)
	writeSpreads(w, r)
	fmt.Fprintf(w, "runs    %s\n", r.Folder)
}

// writeSpreads writes the means of a comparison, and whether they differ.
func writeSpreads(w io.Writer, r lab.Comparison) {
	fmt.Fprintf(w, "found   %s\n", percents(r.Found))
	if r.Random == nil {
		return
	}
	fmt.Fprintf(w, "random  %s\nRI      %s; the paper: 0.44 %%, DARTS 0.32 %%\n", percents(*r.Random), r.RI.Text(1, " %"))
	d := r.Difference
	if d == nil {
		return
	}
	words := "chance explains it"
	switch {
	case !d.Clear():
	case d.Low > 0:
		words = "the found network is better"
	default:
		words = "the random networks are better"
	}
	fmt.Fprintf(w, "found - random: %s: %s\n", d.Points(), words)
}
