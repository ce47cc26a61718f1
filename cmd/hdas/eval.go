package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/metric"
)

// evaluation is what eval prints.
type evaluation struct {
	Genotype string `json:"genotype"`
	Dataset  string `json:"dataset"`
	Split    string `json:"split"`
	metric.Score
}

func (p *program) eval() *cobra.Command {
	var device, dataDir, split string
	var threads, batch int
	var skip bool
	c := &cobra.Command{
		Use: "eval RUN|CHECKPOINT", Short: "Score a trained network",
		Long: `Score a trained network on the data set that it was trained on. The checkpoint
rebuilds the network alone.`,
		Example: "  hdas eval runs/darts",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if batch < 1 {
				return usageError{fmt.Errorf("--batch %d is not at least 1", batch)}
			}
			m, o, free, err := loadModel(a[0], configs.Common{Device: device, Threads: threads, Precision: "float32"})
			if err != nil {
				return err
			}
			defer free()
			spec := m.Spec()
			if dataDir != "" {
				spec.Dir = dataDir
			}
			data, err := spec.Open(split)
			if err != nil {
				return err
			}
			if err := checkClasses(data, m.Classes); err != nil {
				return err
			}
			l := &datasets.Loader{Dataset: data, Batch: batch}
			if skip {
				l.Damaged = p.skipped()
			}
			score, err := metric.Evaluate(c.Context(), m.Logits, l, o, nil)
			if err != nil {
				return err
			}
			r := evaluation{m.Genotype.Name, m.Dataset, split, score}
			return p.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "%s on %s, %s: top-1 %s, top-5 %s, loss %.4f over %d images\n",
					r.Genotype, r.Dataset, r.Split, percent(r.Top1), percent(r.Top5), r.Loss, r.Samples)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&device, "device", "auto", "auto, cpu, cuda or cuda:N")
	f.IntVar(&threads, "threads", 0, "threads of operations on the CPU; 0: libtorch's choice")
	f.IntVar(&batch, "batch", 128, "images at once")
	f.StringVar(&dataDir, "data-dir", "", "folder of the data set; default $HDAS_DATA, or data")
	f.BoolVar(&skip, "skip-damaged", false, "leave out image files that cannot be decoded, and name them")
	f.StringVar(&split, "split", datasets.Test, "train or test")
	return c
}
