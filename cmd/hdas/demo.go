package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/run"
	"hdas/search"
	"hdas/search/space"
	"hdas/train"
)

// contestant is a row of the demo's table: a network and what became of it.
type contestant struct {
	Name       string  `json:"name"`
	Cells      []int   `json:"cells"` // of each stage
	Parameters int64   `json:"parameters"`
	MACs       int64   `json:"macs"`
	Dead       int     `json:"dead"`         // cells, of all stages
	Longest    int     `json:"longest_path"` // sum over the stages
	Mean       float64 `json:"mean_path"`    // sum over the stages
	Accuracy   float64 `json:"accuracy"`     // top-1 on the test images, last epoch
	Run        string  `json:"run"`
}

// tour is what demo prints.
type tour struct {
	Folder  string       `json:"folder"`
	Rows    []contestant `json:"rows"`
	Seconds float64      `json:"seconds"`
}

func (p *program) demo() *cobra.Command {
	var out string
	var seed uint64
	var threads int
	c := &cobra.Command{
		Use: "demo", Short: "The paper's whole path on the embedded digits, in minutes",
		Long: `The paper's whole path at tiny scale on the embedded digits: search of the cells,
of the number of cells in each stage, and of the stages' connections; then
training of the network found and, alike, of one drawn at random from the same
space. One seed says little about which of the two is better: see README.md.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				out = filepath.Join("runs", "demo"+time.Now().Format("-20060102-150405"))
			}
			t, err := p.runDemo(c.Context(), out, []string{fmt.Sprintf("seed=%d", seed), fmt.Sprintf("threads=%d", threads)})
			if err != nil {
				return err
			}
			return p.print(t, t.write)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the runs; default runs/demo and the time")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of everything")
	c.Flags().IntVar(&threads, "threads", 0, "threads of operations on the CPU; 0: libtorch's choice")
	return c
}

func (p *program) runDemo(ctx context.Context, out string, set []string) (tour, error) {
	start := time.Now()
	if _, _, err := p.step(ctx, search.Cell, filepath.Join(out, "1-cells"), set); err != nil {
		return tour{}, err
	}
	over := append(set, "search.cells="+filepath.Join(out, "1-cells", run.GenotypeFile))
	distribution, _, err := p.step(ctx, search.Distribution, filepath.Join(out, "2-distribution"), over)
	if err != nil {
		return tour{}, err
	}
	var lengths []int
	for _, s := range distribution.Stages {
		lengths = append(lengths, len(s.Nodes))
	}
	over = append(over, fmt.Sprintf("search.lengths=%s", list(lengths)))
	found, stages, err := p.step(ctx, search.Stage, filepath.Join(out, "3-stages"), over)
	if err != nil {
		return tour{}, err
	}
	config, err := configs.LoadTrain(configs.Overrides{File: "tiny-train", Set: set, Alone: true})
	if err != nil {
		return tour{}, err
	}
	random, err := randomLike(found, stages, config.Seed)
	if err != nil {
		return tour{}, err
	}
	found.Name = "found"
	t := tour{Folder: out}
	for _, n := range []struct {
		folder string
		g      genotype.Genotype
	}{{"4-found", found}, {"5-random", random}} {
		row, err := p.contest(ctx, config, n.g, filepath.Join(out, n.folder))
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	t.Seconds = time.Since(start).Seconds()
	return t, nil
}

// step runs one of the demo's searches and returns what it found and its settings.
func (p *program) step(ctx context.Context, k search.Kind, folder string, set []string) (genotype.Genotype, search.Config, error) {
	config, err := configs.LoadSearch(k, configs.Overrides{File: "tiny-" + string(k), Set: set, Alone: true})
	if err != nil {
		return genotype.Genotype{}, config.Search, err
	}
	dir, err := run.Create(folder)
	if err != nil {
		return genotype.Genotype{}, config.Search, err
	}
	defer dir.Close()
	r, err := p.runSearch(ctx, config, dir)
	return r.Genotype, config.Search, err
}

// randomLike draws cells and stages from the space that a network was found in.
func randomLike(found genotype.Genotype, stages search.Config, seed uint64) (genotype.Genotype, error) {
	r := rand.New(rand.NewPCG(seed, 0x72616e646f6d)) // "random"
	cells, err := search.Default(search.Cell).Space()
	if err != nil {
		return found, err
	}
	drawn, err := cells.Random("random", r, ops.IsNull)
	if err != nil {
		return found, err
	}
	s, err := space.Fixed(drawn).Under(space.Layout{Lengths: stages.Lengths, Window: stages.Window, Ops: stages.StagePrimitives})
	if err != nil {
		return found, err
	}
	return s.Random("random", r, ops.IsNull)
}

// contest trains a network and measures it.
func (p *program) contest(ctx context.Context, c configs.Train, g genotype.Genotype, folder string) (contestant, error) {
	dir, err := run.Create(folder)
	if err != nil {
		return contestant{}, err
	}
	defer dir.Close()
	var last train.Epoch
	if last, err = p.runTrain(ctx, c, g, dir); err != nil {
		return contestant{}, err
	}
	test, err := c.Data.Open(datasets.Test)
	if err != nil {
		return contestant{}, err
	}
	plan, err := planned(g, c.Network, test.Info())
	if err != nil {
		return contestant{}, err
	}
	row := contestant{Name: g.Name, Parameters: plan.Cost.Parameters, MACs: plan.Cost.MACs, Accuracy: last.Test.Top1, Run: folder}
	for _, s := range g.Stages {
		t := s.Topology()
		row.Cells = append(row.Cells, t.Cells)
		row.Dead += t.Dead
		row.Longest += t.Longest
		row.Mean += t.Mean
	}
	return row, nil
}

func (t tour) write(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "network\tcells\tparameters\tMACs\tdead cells\tlongest path\tmean path\ttest accuracy\t")
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%.2f\t%s\t\n", r.Name, list(r.Cells), thousands(r.Parameters), thousands(r.MACs), r.Dead, r.Longest, r.Mean, percent(r.Accuracy))
	}
	tw.Flush()
	fmt.Fprintf(w, "\n%.0f seconds. Runs, checkpoints, genotypes: %s\nDrawings: %s\n", t.Seconds, t.Folder, filepath.Join(t.Folder, "*", run.DrawingFile))
}

// list writes [3,4,3].
func list(ns []int) string {
	s := ""
	for i, n := range ns {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprint(n)
	}
	return "[" + s + "]"
}
