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
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
)

// trainer holds the flags and the inputs of a training.
type trainer struct {
	settings
	place
	name   string // of the genotype; empty: that of the checkpoint of train.init
	dry    bool
	many   seeds
	n      int // processes
	config configs.Train
	g      genotype.Genotype
}

func (p *program) train() *cobra.Command {
	var t trainer
	c := &cobra.Command{
		Use: "train NAME|FILE|CELLS+STAGES|RUN", Short: "Train the network of a genotype",
		Long: `Train the network of a genotype: the name of a published one, a file, CELLS+STAGES
(the stages of one with the cells of another, as in DARTS_V1+Hs_DAS_CIFAR_stages),
or the folder of the search that found it. The result is that of the last epoch,
not of the best one. With data.validation, a part of the training images chooses
the best epoch, which is kept as checkpoint-best.safetensors; test images choose
nothing. With train.init the training starts from the weights of a checkpoint, and
the genotype may be left out (see hdas finetune).

Sizes that neither the configuration nor --set gives are those of the preset. cifar:
C=36, 20 cells, 32x32 images; imagenet: C=48, 14 cells (with stages: C=39, and
their own number of cells), 224x224. Images of your own (data.name=folder) have
the preset imagenet, random resized crops and 100 epochs.`,
		Example: "  hdas train DARTS_V2 --config hc-train --out runs/darts\n  hdas train runs/stages --config tiny-train --out runs/trained\n  hdas train DARTS_V2 --config tiny-train --seeds 5 --jobs 2 --out runs/five\n  hdas train DARTS_V2 --config hc-train --seeds 5 --devices cuda:0,cuda:1 --out runs/five",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) > 0 {
				if t.name != "" {
					return usageError{fmt.Errorf("two genotypes: %q and --genotype %q; name one", a[0], t.name)}
				}
				t.name = a[0]
			}
			if t.resume && t.name != "" {
				return usageError{errNoGenotype}
			}
			return p.inProcesses(c, t.n, &t.many, "", &t.place, t.dry, func(m member) error { return p.runTraining(c, &t, m, "train", nil) })
		},
	}
	c.Flags().StringVar(&t.name, "genotype", "", "the genotype, if it is not an argument")
	p.trainingFlags(c, &t)
	return c
}

var errNoGenotype = errors.New("name either a genotype to train, as an argument or by --genotype, or a training to resume by --resume --out DIR")

func (p *program) trainingFlags(c *cobra.Command, t *trainer) {
	t.settings.flags(c)
	t.place.flags(c)
	t.many.runFlags(c, "trainings")
	p.acceptsData(c)
	p.logFlags(c)
	dryFlag(c, &t.dry)
	p.partFlag(c)
	p.severalFlags(c, &t.n)
}

// load reads the configuration and the genotype.
func (t *trainer) load(c *cobra.Command) (data datasets.Spec, err error) {
	name := t.name
	if t.resume {
		name = filepath.Join(t.out, run.GenotypeFile)
	} else {
		t.Start = lab.StartOf
	}
	if name != "" {
		if t.g, err = run.LoadGenotype(name); err != nil {
			return data, err
		}
		t.Form = configs.FormOf(len(t.g.Stages) > 0)
	}
	if t.config, err = configs.LoadTrain(t.overrides(c)); err != nil || name != "" {
		return t.config.Data.Spec, err
	}
	if t.config.Train.Init == "" {
		return data, errNoGenotype
	}
	start, err := model.ReadStart(t.config.Train.Init)
	t.g = start.Genotype
	return t.config.Data.Spec, err
}

// runTraining runs a new training or resumes one, or several; t.many has been checked. begin, unless nil, is called with
// the folder of a new one.
func (p *program) runTraining(c *cobra.Command, t *trainer, m member, name string, begin func(*run.Dir) error) error {
	load := func() (datasets.Spec, error) { return t.load(c) }
	if t.dry {
		return p.dryRun(&t.place, load, func() (estimate.Estimate, error) {
			return lab.EstimateTrainings(c.Context(), t.config, t.g, t.many.plan(), p.watch())
		})
	}
	dir, err := m.open(c, &t.place, &t.settings, name, t.many.holding(), load)
	if err != nil {
		return err
	}
	defer dir.Close()
	if begin != nil && m.Rank == 0 && !t.resume && !t.again {
		if err := begin(dir); err != nil {
			return err
		}
	}
	if t.many.n > 1 {
		return p.trainSeeds(c, t, dir)
	}
	last, err := lab.Train(c.Context(), t.config, t.g, dir, m.watch(p.watchOf(&t.settings)))
	if err != nil {
		return err
	}
	return p.print(last, func(w io.Writer) {
		fmt.Fprintf(w, "test accuracy of the last epoch: top-1 %s, top-5 %s\n", percent(last.Test.Top1), percent(last.Test.Top5))
		if last.EMA != nil {
			fmt.Fprintf(w, "with averaged weights (--ema): top-1 %s, top-5 %s\n", percent(last.EMA.Test.Top1), percent(last.EMA.Test.Top5))
		}
		if last.Best > 0 {
			fmt.Fprintf(w, "best epoch on the validation part: %d, checkpoint %s\n", last.Best, dir.Path(run.BestFile))
		}
		fmt.Fprintf(w, "checkpoint %s\n", dir.Path(run.CheckpointFile))
	}, afterTraining(dir.Path())...)
}
