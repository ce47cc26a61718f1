package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
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
		Use: "train NAME|FILE|CELLS+STAGES|RUN", Short: "Train the network of a genotype",
		Long: `Train the network of a genotype: the name of a published one, a file, CELLS+STAGES
(the stages of one with the cells of another, as in DARTS_V1+Hs_DAS_CIFAR_stages),
or the folder of the search that found it. The result is that of the last epoch,
not of the best one.

Sizes that neither the configuration nor --set gives are those of the preset. cifar:
C=36, 20 cells, 32x32 images; imagenet: C=48, 14 cells (with stages: C=39, and
their own number of cells), 224x224. Images of your own (data.name=folder) have
the preset imagenet, random resized crops and 100 epochs.`,
		Example: "  hdas train DARTS_V2 --config hc-train --out runs/darts\n  hdas train runs/stages --config tiny-train --out runs/trained",
		Args:    args(cobra.MaximumNArgs(1)), ValidArgsFunction: genotypeNames,
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) > 0 {
				if name != "" {
					return usageError{fmt.Errorf("two genotypes: %q and --genotype %q; name one", a[0], name)}
				}
				name = a[0]
			}
			if r.resume == (name != "") {
				return usageError{errors.New("name either a genotype to train, as an argument or by --genotype, or a training to resume by --resume --out DIR")}
			}
			var config configs.Train
			var g genotype.Genotype
			load := func() (data datasets.Spec, err error) {
				if r.resume {
					name = filepath.Join(r.out, run.GenotypeFile)
				}
				if g, err = run.LoadGenotype(name); err != nil {
					return data, err
				}
				s.Form = configs.FormOf(len(g.Stages) > 0)
				config, err = configs.LoadTrain(s.overrides(c))
				return config.Data.Spec, err
			}
			if dry {
				return p.dryRun(&r, load, func() (estimate.Estimate, error) { return lab.EstimateTrain(c.Context(), config, g, p.watch()) })
			}
			dir, err := r.open(c, &s, "train", load)
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
	c.Flags().StringVar(&name, "genotype", "", "the genotype, if it is not an argument")
	c.RegisterFlagCompletionFunc("genotype", cobra.FixedCompletions(genotype.Names(), cobra.ShellCompDirectiveDefault))
	s.flags(c)
	r.flags(c)
	p.acceptsData(c)
	dryFlag(c, &dry)
	return c
}
