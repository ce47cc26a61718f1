package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/lab"
	"hdas/metric/score"
)

func (p *program) eval() *cobra.Command {
	var t lab.EvalOptions
	var top []int
	var n int // processes
	c := &cobra.Command{
		Use: "eval RUN|CHECKPOINT", Short: "Evaluate a trained network",
		Long: `Evaluate a trained network on the data set that it was trained on. No other
file than the checkpoint is needed to rebuild the network. Images that were added
to your own folder since the run began, or removed from it, are reported. If other
images may be among the test images, the evaluation is refused, unless
--accept-data accepts them.

The table has the accuracy (top-1) and the precision of each class and the matrix
of confusion, or, of more than 20 classes, the worst ones and the most frequent
mistakes; --json has all. The calibration error is the mean difference between
confidence and accuracy over 15 equally wide bins of the confidence.`,
		Example: "  hdas eval runs/darts",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if slices.ContainsFunc(top, func(k int) bool { return k < 1 || k > 10 }) {
				return usageError{fmt.Errorf("--top %v: each is to be in 1..10", top)}
			}
			return p.inProcesses(c, n, nil, "", nil, false, func(m member) error {
				r, err := lab.Evaluate(c.Context(), a[0], t, m.watch(p.watch()))
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
					writeReport(w, r.Report, top)
				}, afterTraining(a[0])[1:3]...)
			})
		},
	}
	p.acceptsData(c)
	f := c.Flags()
	machineFlags(f, &t.Device, &t.Threads)
	dataFlag(f, &t.DataDir)
	f.IntVar(&t.Batch, "batch", 128, "images in a batch, of each process")
	f.BoolVar(&t.Skip, "skip-damaged", false, "skip image files that cannot be decoded, and print their names")
	emaFlag(c, &t.EMA)
	p.severalFlags(c, &n)
	f.IntSliceVar(&top, "top", nil, "print also the accuracy of the k most likely classes, for each of these k, 1 to 10 (--json has all)")
	f.StringVar(&t.Split, "split", datasets.Test, "train, validation (of a training with data.validation) or test")
	return c
}

// mostClasses is the largest number of classes whose table and matrix of confusion are printed.
const mostClasses = 20

func writeReport(w io.Writer, r score.Report, top []int) {
	for _, k := range top {
		fmt.Fprintf(w, "top-%d %s\n", k, percent(r.Top[min(k, len(r.Top))-1]))
	}
	fmt.Fprintf(w, "calibration error %s, over %d bins of the confidence\n\n", percent(r.CalibrationError), score.Bins)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer t.Flush()
	row := func(c score.Class) string {
		return fmt.Sprintf("%s\t%d\t%s\t%s\t", plain(c.Name), c.Images, percent(c.Top1), percent(c.Precision))
	}
	if len(r.Classes) > mostClasses {
		fmt.Fprintln(t, "worst classes\timages\taccuracy\tprecision\t")
		worst := slices.DeleteFunc(slices.Clone(r.Classes), func(c score.Class) bool { return c.Images == 0 })
		slices.SortStableFunc(worst, func(a, b score.Class) int { return cmp.Compare(a.Top1, b.Top1) })
		for _, c := range worst[:min(10, len(worst))] {
			fmt.Fprintln(t, row(c))
		}
		t.Flush()
		fmt.Fprintln(t, "\nimages of\ttaken for\timages\t")
		for _, m := range r.Mistakes(10) {
			fmt.Fprintf(t, "%s\t%s\t%d\t\n", plain(m.Class), plain(m.Guess), m.Images)
		}
		return
	}
	fmt.Fprint(t, "class\timages\taccuracy\tprecision\ttaken for:\t")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t", plain(c.Name))
	}
	fmt.Fprintln(t)
	for i, c := range r.Classes {
		fmt.Fprint(t, row(c), "\t")
		for _, n := range r.Confusion[i] {
			fmt.Fprintf(t, "%d\t", n)
		}
		fmt.Fprintln(t)
	}
}

// emaFlag adds the flag of commands that use the weights of a checkpoint.
func emaFlag(c *cobra.Command, ema *bool) {
	c.Flags().BoolVar(ema, "ema", false, "use the averaged weights, which a training with train.ema.decay keeps")
}
