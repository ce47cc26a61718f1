package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/draw"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/search"
)

func (p *program) search() *cobra.Command {
	c := &cobra.Command{
		Use:   "search cell|distribution|stage|joint|random",
		Short: "Search an architecture",
		Long: `Search an architecture. The run folder holds the configuration, the genotype and
all architecture parameters of every epoch, checkpoints, the genotype found and
its drawing.`,
		Args: args(cobra.MaximumNArgs(0)),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("name what to search: %v, or random", search.Kinds)}
		},
	}
	for kind, short := range map[search.Kind]string{
		search.Cell:         "Search the cells of a chain (Hc-DAS; DARTS with search.stage_specific=false)",
		search.Distribution: "Search how many cells each stage has (Hs-DAS, first part)",
		search.Stage:        "Search the connections of the cells of each stage (Hs-DAS, second part)",
		search.Joint:        "Search cells and stages at once (with search.min_cells, their number too)",
	} {
		c.AddCommand(p.searchKind(kind, short))
	}
	c.AddCommand(p.random())
	return c
}

func (p *program) searchKind(kind search.Kind, short string) *cobra.Command {
	var s settings
	var r place
	var many seeds
	var dry bool
	c := &cobra.Command{
		Use: string(kind), Short: short, Args: args(cobra.NoArgs),
		Example: fmt.Sprintf("  hdas search %s --config tiny-%s --out runs/%s", kind, kind, kind),
		RunE: func(c *cobra.Command, _ []string) error {
			if dry {
				return p.estimate(c, kind, &s, &r)
			}
			if err := many.check(c, &r); err != nil {
				return err
			}
			var config configs.Search
			dir, err := r.open(c, &s, "search-"+string(kind), func() (err error) {
				config, err = configs.LoadSearch(kind, s.overrides(c))
				return err
			})
			if err != nil {
				return err
			}
			defer dir.Close()
			if many.N > 1 {
				return p.searchSeeds(c.Context(), config, many, dir)
			}
			found, err := p.runSearch(c.Context(), config, dir)
			if err != nil {
				return err
			}
			return p.print(found, func(w io.Writer) { describeResult(w, found, dir) })
		},
	}
	s.flags(c)
	r.flags(c)
	many.flags(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "say what the search would take, from one measured step, and write nothing")
	return c
}

func describeResult(w io.Writer, found search.Result, dir *run.Dir) {
	fmt.Fprintf(w, "found %s\n", dir.Path(run.GenotypeFile))
	if err := found.Genotype.Encode(w); err != nil {
		fmt.Fprintln(w, err)
	}
	if at := found.Epoch.StopAt; at > 0 {
		fmt.Fprintf(w, "\nstopped after epoch %d: the loss curves ever more sharply (search.stop); the genotype is epoch %d's\n", found.Epoch.Epoch, at)
	}
	fmt.Fprintf(w, "\nvalidation accuracy of the supernet %s\ndrawing %s\n", percent(found.Epoch.Valid.Top1), dir.Path(run.DrawingFile))
}

// estimate says what a search would take.
func (p *program) estimate(c *cobra.Command, kind search.Kind, s *settings, r *place) error {
	if r.resume || c.Flags().Changed("seeds") {
		return usageError{errors.New("--dry-run is about a new search of one seed: leave --resume and --seeds out")}
	}
	config, err := configs.LoadSearch(kind, s.overrides(c))
	if err != nil {
		return usageError{err}
	}
	setup, err := p.searchSetup(config)
	if err != nil {
		return err
	}
	e, err := search.Measure(c.Context(), setup)
	if err != nil {
		return err
	}
	return p.print(e, func(w io.Writer) {
		fmt.Fprintf(w, "weights of the supernet  %s\narchitecture parameters  %s\n", thousands(e.Weights), thousands(e.Arch))
		fmt.Fprintf(w, "steps                    %d in each of %d epochs\n", e.Steps, e.Epochs)
		fmt.Fprintf(w, "a step                   %.2f s, measured\nan epoch                 %s, evaluation included\nthe search               %s\n", e.StepSeconds, duration(e.EpochSeconds), duration(e.SearchSeconds))
		memory := "not known"
		if e.PeakBytes > 0 {
			memory = fmt.Sprintf("%.2f GB", float64(e.PeakBytes)/1e9)
		}
		fmt.Fprintf(w, "peak memory              %s\n", memory)
	})
}

// searchSetup opens the data and puts together what a search starts from.
func (p *program) searchSetup(c configs.Search) (search.Setup, error) {
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return search.Setup{}, err
	}
	data, err := c.Data.Open(datasets.Train)
	if err != nil {
		return search.Setup{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return search.Setup{}, err
	}
	weights, arch := datasets.Halves(data, c.Seed)
	m := c.Network
	m.Classes = int64(len(data.Info().Classes))
	setup := search.Setup{
		Config: c.Search, Macro: m, Options: o, Autocast: autocast, Seed: c.Seed, Resolved: resolved,
		Name:  fmt.Sprintf("%s-search-%s-seed%d", c.Search.Kind, c.Data.Name, c.Seed),
		Train: p.loader(c.Common, weights, c.Search.Batch, true),
		Valid: p.loader(c.Common, arch, c.Search.Batch, true),
		Test:  p.loader(c.Common, arch, 2*c.Search.Batch, false),
	}
	setup.Valid.Seed ^= 1 << 63 // other augmentation than the same numbers of the other half
	return setup, nil
}

// runSearch runs or resumes a search in its folder.
func (p *program) runSearch(ctx context.Context, c configs.Search, dir *run.Dir) (search.Result, error) {
	setup, err := p.searchSetup(c)
	if err != nil {
		return search.Result{}, err
	}
	if err := dir.WriteConfig(setup.Resolved); err != nil {
		return search.Result{}, err
	}
	observe, end := progress(p.err, fmt.Sprintf("%s search, seed %d", c.Search.Kind, c.Seed))
	defer end()
	found, err := search.Run(ctx, setup, dir, observe)
	if err != nil {
		return found, resumable(err, fmt.Sprintf("hdas search %s --resume --out %s", c.Search.Kind, dir.Path()))
	}
	return found, drawing(dir, found.Genotype)
}

// resumable adds to the end of a stopped run how to go on with it.
func resumable(err error, command string) error {
	if exitCode(err) == exitStopped {
		return fmt.Errorf("%w: %s", err, command)
	}
	return err
}

// drawing draws a run's genotype beside it.
func drawing(dir *run.Dir, g genotype.Genotype) error {
	var svg bytes.Buffer
	if err := draw.Genotype(&svg, g); err != nil {
		return err
	}
	return dir.WriteDrawing(svg.Bytes())
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
