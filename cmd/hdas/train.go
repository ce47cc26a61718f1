package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/train"
)

func (p *program) train() *cobra.Command {
	var s settings
	var r place
	var name string
	c := &cobra.Command{
		Use: "train --genotype NAME|FILE|RUN", Short: "Train the network of a genotype",
		Long: `Train the network of a genotype: a published one by name, a file, CELLS+STAGES
(stages over other cells, as in DARTS_V1+Hs_DAS_CIFAR_stages), or the folder of
the search that found it. The result is the last epoch's, not the best one's.`,
		Example: "  hdas train --genotype DARTS_V2 --config hc-train --out runs/darts",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if r.resume == (name != "") {
				return usageError{errors.New("either --genotype names what to train, or --resume goes on")}
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
			last, err := p.runTrain(c.Context(), config, g, dir)
			if err != nil {
				return err
			}
			return p.print(last, func(w io.Writer) {
				fmt.Fprintf(w, "test accuracy of the last epoch: top-1 %s, top-5 %s\ncheckpoint %s\n",
					percent(last.Test.Top1), percent(last.Test.Top5), dir.Path(run.CheckpointFile))
			})
		},
	}
	c.Flags().StringVar(&name, "genotype", "", "what to train")
	c.RegisterFlagCompletionFunc("genotype", cobra.FixedCompletions(genotype.Names(), cobra.ShellCompDirectiveDefault))
	s.flags(c)
	r.flags(c)
	return c
}

// runTrain runs or resumes a training in its folder.
func (p *program) runTrain(ctx context.Context, c configs.Train, g genotype.Genotype, dir *run.Dir) (train.Epoch, error) {
	learn, err := c.Data.Open(datasets.Train)
	if err != nil {
		return train.Epoch{}, err
	}
	test, err := c.Data.Open(datasets.Test)
	if err != nil {
		return train.Epoch{}, err
	}
	if err := checkClasses(test, learn.Info().Classes); err != nil {
		return train.Epoch{}, err
	}
	last, err := p.trainOn(ctx, c, g, learn, test, dir)
	return last, resumable(err, "hdas train --resume --out "+dir.Path())
}

// trainOn trains on one data set and scores on another.
func (p *program) trainOn(ctx context.Context, c configs.Train, g genotype.Genotype, learn, test datasets.Dataset, dir *run.Dir) (train.Epoch, error) {
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return train.Epoch{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return train.Epoch{}, err
	}
	if err := errors.Join(dir.WriteGenotype(g), drawing(dir, g), dir.WriteConfig(resolved)); err != nil {
		return train.Epoch{}, err
	}
	m := c.Network
	m.Classes = int64(len(learn.Info().Classes))
	setup := train.Setup{
		Config: c.Train, Macro: m, Genotype: g, Options: o, Autocast: autocast, Seed: c.Seed, Resolved: resolved,
		Data:  c.Data.Spec,
		Train: p.loader(c.Common, learn, c.Train.Batch, true),
		Test:  p.loader(c.Common, test, 2*c.Train.Batch, false),
	}
	observe, end := progress(p.err, "training of "+g.Name)
	defer end()
	return train.Run(ctx, setup, dir, observe)
}
