package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/run"
)

func (p *program) demo() *cobra.Command {
	var out, device string
	var seed uint64
	var threads int
	c := &cobra.Command{
		Use: "demo", Short: "Run the paper's searches and trainings on the embedded digits, in minutes",
		Long: `Run the paper's method at a tiny scale on the embedded digits: search the cells,
the number of cells in each stage, and the connections of the stages; then train
the network found and, with the same settings, one drawn at random from the same
space. One seed does not tell which of the two is better: see README.md.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				out = filepath.Join("runs", "demo"+time.Now().Format("-20060102-150405"))
			}
			t, err := lab.Demo(c.Context(), out, seed, device, threads, p.watch())
			if err != nil {
				return err
			}
			return p.print(t, func(w io.Writer) { writeDemo(w, t) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the runs; default runs/demo and the time")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of all runs and of the random network")
	machineFlags(c.Flags(), &device, &threads)
	return c
}

func writeDemo(w io.Writer, t lab.DemoResult) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "network\tcells\tparameters\tMACs\tdead cells\tlongest path\tmean path\ttest accuracy\t")
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%.2f\t%s\t\n", r.Name, list(r.Cells), thousands(r.Parameters), thousands(r.MACs), r.Dead, r.Longest, r.Mean, percent(r.Accuracy))
	}
	tw.Flush()
	fmt.Fprintf(w, "\n%.0f seconds. Runs, checkpoints, genotypes: %s\nDrawings: %s\n", t.Seconds, t.Folder, filepath.Join(t.Folder, "*", run.DrawingFile))
}
