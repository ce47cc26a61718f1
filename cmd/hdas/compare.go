package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
)

func (p *program) compare() *cobra.Command {
	var s settings
	var r place
	var b lab.Baseline
	c := &cobra.Command{
		Use: "compare RUN|NAME|FILE|CELLS+STAGES", Short: "Compare what was found with random genotypes of its space",
		Long: `Train what a search found and genotypes drawn uniformly from its space, all alike,
and print how much better it is: RI = 100 (found - random) / random of the
accuracies, with its spread over the random ones. The space is that of the
search whose folder is named; of another genotype, its stages over its own
cells, or, of a chain, its cells. (hdas compare pytorch is about this program.)`,
		Example: "  hdas compare runs/stages --random 4 --config tiny-train --out runs/compared",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if r.resume == (len(a) == 1) {
				return usageError{errors.New("either name what to compare, or go on with --resume --out DIR")}
			}
			if b.Random < 1 || b.Repeats < 1 {
				return usageError{fmt.Errorf("--random %d and --repeats %d are to be at least 1", b.Random, b.Repeats)}
			}
			for _, flag := range []string{"random", "repeats", "window"} {
				if r.resume && c.Flags().Changed(flag) {
					return usageError{fmt.Errorf("--resume goes on with the comparison that was begun, which --%s cannot change", flag)}
				}
			}
			var config configs.Train
			var drawn lab.Contest
			dir, err := r.open(c, &s, "compare", func() (err error) {
				if config, err = configs.LoadTrain(s.overrides(c)); err != nil || r.resume {
					return err
				}
				drawn, err = contest(a[0], b, c.Flags().Changed("window"), config.Seed)
				return err
			})
			if err != nil {
				return err
			}
			defer dir.Close()
			if !r.resume {
				if err := drawn.Begin(config, dir); err != nil {
					return err
				}
			}
			r, err := lab.Compare(c.Context(), config, dir, p.watch())
			if err != nil {
				return err
			}
			return p.print(r, func(w io.Writer) { writeComparison(w, r) })
		},
	}
	s.flags(c)
	r.flags(c)
	c.Flags().IntVar(&b.Random, "random", 4, "random genotypes to train")
	c.Flags().IntVar(&b.Repeats, "repeats", 1, "trainings of the found genotype, with seeds from --seed on")
	c.Flags().IntVar(&b.Window, "window", 3, "of stages that are no search's: states before it that a cell may read")
	c.AddCommand(p.comparePyTorch())
	return c
}

// contest draws what is compared.
func contest(name string, b lab.Baseline, window bool, seed uint64) (lab.Contest, error) {
	f, err := lab.LoadFound(name)
	switch {
	case err != nil:
		return lab.Contest{}, err
	case window && f.Search != nil:
		return lab.Contest{}, errors.New("--window is about genotypes that are no search's; the search has its own")
	case window && len(f.Genotype.Stages) == 0:
		return lab.Contest{}, fmt.Errorf("%s is a chain; --window is about stages", f.Genotype.Name)
	}
	return lab.NewContest(f, b, seed)
}

func writeComparison(w io.Writer, r lab.Comparison) {
	fmt.Fprintf(w, "out of a %s space of %s genotypes\n\n", r.Space.Kind, r.Space.Size)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "network\ttest accuracy\t")
	for _, n := range r.Networks {
		fmt.Fprintf(t, "%s\t%s\t\n", n.Name, percent(n.Top1))
	}
	t.Flush()
	fmt.Fprintf(w, "\nfound   %s\nrandom  %s\nRI      %s; the paper: 0.44, DARTS 0.32\nruns    %s\n", percents(r.Found), percents(r.Random), spread(r.RI, 1, ""), r.Folder)
}
