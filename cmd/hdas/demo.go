package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/live"
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
the network found with three seeds and, with the same settings, three networks
drawn at random: cells and stages of the same size. A report of all runs is written
to the folder.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				out = filepath.Join("runs", "demo"+time.Now().Format("-20060102-150405"))
			}
			watch := p.watch()
			begin := watch.Begin
			watch.Begin = func(s live.Start) (func(run.Progress), func()) {
				defer func() { p.several = true }() // the runs after the first differ in their networks alone
				return begin(s)
			}
			t, err := lab.Demo(c.Context(), out, seed, device, threads, watch)
			if err != nil {
				return err
			}
			page := filepath.Join(out, reportFile)
			if _, err := p.writePage(page, []string{out}); err != nil {
				return err
			}
			return p.print(struct {
				lab.DemoResult
				Report string `json:"report"`
			}{t, page}, func(w io.Writer) { writeDemo(w, t); fmt.Fprintf(w, "Report: %s\n", page) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the runs; default runs/demo and the time. If a demo was stopped there, it goes on")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of all runs and of the random networks")
	machineFlags(c.Flags(), &device, &threads)
	return c
}

func writeDemo(w io.Writer, t lab.DemoResult) {
	for _, s := range t.Searches {
		fmt.Fprintf(w, "%s search: validation accuracy of the supernet %s\n", s.Kind, percent(s.Valid))
	}
	fmt.Fprintf(w, "\nFound, trained with %d seeds, and %d random networks out of %s:\n\n", t.Found.N, t.Random.N, t.Space)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "network\tcells\tparameters\tMACs\tdead cells\tlongest path\tmean path\ttest accuracy\t")
	for _, r := range t.Networks {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%.2f\t%s\t\n", r.Name, list(r.Cells), thousands(r.Parameters), thousands(r.MACs), r.Dead, r.Longest, r.Mean, percent(r.Top1))
	}
	tw.Flush()
	fmt.Fprintln(w)
	writeSpreads(w, t.Comparison)
	m := t.Machine
	verdict := "At this scale the found network is not better than chance."
	if d := t.Difference; d != nil && d.Low > 0 {
		verdict = "Even at this scale the found network is better than random ones."
	}
	fmt.Fprintf(w, `
%s It is from one short search of tiny networks, and its spread is
that of seeds, not of searches. Whether searches find better networks than chance is shown by several of them and
longer trainings: hdas search stage --seeds 4 --config stage-search, then hdas compare.
Computed on %s (%s), %d threads, libtorch %s. With others sums are rounded in another order, and
searches as short as these may find other genotypes.

%s. Runs, checkpoints, genotypes, drawings: %s
`, verdict, m.Device, m.Instructions, m.Threads, m.Libtorch, duration(t.Seconds), t.Folder)
}
