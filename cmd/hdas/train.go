package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/estimate"
	"hdas/lab"
	"hdas/models/genotype"
	"hdas/run"
)

func (p *program) train() *cobra.Command {
	var s settings
	var r place
	var name string
	var dry bool
	c := &cobra.Command{
		Use: "train --genotype NAME|FILE|RUN", Short: "Train the network of a genotype",
		Long: `Train the network of a genotype: the name of a published one, a file, CELLS+STAGES
(the stages of one with the cells of another, as in DARTS_V1+Hs_DAS_CIFAR_stages),
or the folder of the search that found it. The result is that of the last epoch,
not of the best one.`,
		Example: "  hdas train --genotype DARTS_V2 --config hc-train --out runs/darts",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if r.resume == (name != "") {
				return usageError{errors.New("use either --genotype, to train a genotype, or --resume, to continue a run")}
			}
			if dry {
				return p.dryRun(&r, func() (e estimate.Estimate, err error) {
					config, err := configs.LoadTrain(s.overrides(c))
					if err != nil {
						return e, usageError{err}
					}
					g, err := run.LoadGenotype(name)
					if err != nil {
						return e, usageError{err}
					}
					return lab.EstimateTrain(c.Context(), config, g, p.watch())
				})
			}
			var config configs.Train
			var g genotype.Genotype
			dir, err := r.open(c, &s, "train", func() (err error) {
				if config, err = configs.LoadTrain(s.overrides(c)); err != nil {
					return err
				}
				if r.resume {
					name = filepath.Join(r.out, run.GenotypeFile)
				}
				g, err = run.LoadGenotype(name)
				return err
			})
			if err != nil {
				return err
			}
			defer dir.Close()
			last, err := lab.Train(c.Context(), config, g, dir, p.watch())
			if err != nil {
				return err
			}
			return p.print(last, func(w io.Writer) {
				fmt.Fprintf(w, "test accuracy of the last epoch: top-1 %s, top-5 %s\ncheckpoint %s\n",
					percent(last.Test.Top1), percent(last.Test.Top5), dir.Path(run.CheckpointFile))
			})
		},
	}
	c.Flags().StringVar(&name, "genotype", "", "genotype to train: NAME, FILE, CELLS+STAGES or RUN")
	c.RegisterFlagCompletionFunc("genotype", cobra.FixedCompletions(genotype.Names(), cobra.ShellCompDirectiveDefault))
	s.flags(c)
	r.flags(c)
	p.acceptsData(c)
	dryFlag(c, &dry)
	return c
}
