package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/lab"
)

func (p *program) eval() *cobra.Command {
	var t lab.EvalOptions
	c := &cobra.Command{
		Use: "eval RUN|CHECKPOINT", Short: "Evaluate a trained network",
		Long: `Evaluate a trained network on the data set that it was trained on. No other
file than the checkpoint is needed to rebuild the network. Images that were added
to your own folder since the run began, or removed from it, are reported. If other
images may be among the test images, the evaluation is refused, unless
--accept-data accepts them.`,
		Example: "  hdas eval runs/darts",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			r, err := lab.Evaluate(c.Context(), a[0], t, p.watch())
			if err != nil {
				return err
			}
			return p.print(r, func(w io.Writer) {
				of := ""
				if !r.Training.Done {
					of = fmt.Sprintf(" after %s (the training has not ended)", r.Training)
				}
				fmt.Fprintf(w, "%s%s on %s, %s: top-1 %s, top-5 %s, loss %.4f over %d images\n",
					plain(r.Genotype), of, r.Dataset, r.Split, percent(r.Top1), percent(r.Top5), r.Loss, r.Samples)
			})
		},
	}
	p.acceptsData(c)
	f := c.Flags()
	f.StringVar(&t.Device, "device", "auto", "auto, cpu, cuda or cuda:N")
	f.IntVar(&t.Threads, "threads", 0, "threads of tensor operations on the CPU; 0: libtorch's default")
	f.IntVar(&t.Batch, "batch", 128, "images in a batch")
	f.StringVar(&t.DataDir, "data-dir", "", "folder of the data set; default $HDAS_DATA, or data")
	f.BoolVar(&t.Skip, "skip-damaged", false, "skip image files that cannot be decoded, and print their names")
	emaFlag(c, &t.EMA)
	f.StringVar(&t.Split, "split", datasets.Test, "train or test")
	return c
}

// emaFlag adds the flag of commands that use the weights of a checkpoint.
func emaFlag(c *cobra.Command, ema *bool) {
	c.Flags().BoolVar(ema, "ema", false, "use the averaged weights, which a training with train.ema.decay keeps")
}
