package main

import (
	"bytes"
	"context"
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
		Use:   "search cell|distribution|stage",
		Short: "Search an architecture",
		Long: `Search an architecture. The run folder holds the configuration, the genotype and
all architecture parameters of every epoch, checkpoints, the genotype found and
its drawing.`,
		Args: args(cobra.MaximumNArgs(0)),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("name what to search: %v", search.Kinds)}
		},
	}
	for kind, short := range map[search.Kind]string{
		search.Cell:         "Search the cells of a chain (Hc-DAS; DARTS with search.stage_specific=false)",
		search.Distribution: "Search how many cells each stage has (Hs-DAS, first part)",
		search.Stage:        "Search the connections of the cells of each stage (Hs-DAS, second part)",
	} {
		var s settings
		var r place
		sub := &cobra.Command{
			Use: string(kind), Short: short, Args: args(cobra.NoArgs),
			Example: fmt.Sprintf("  hdas search %s --config tiny-%s --out runs/%s", kind, kind, kind),
			RunE: func(c *cobra.Command, _ []string) error {
				var config configs.Search
				dir, err := r.open(c, &s, "search-"+string(kind), func() (err error) {
					config, err = configs.LoadSearch(kind, s.overrides(c))
					return err
				})
				if err != nil {
					return err
				}
				defer dir.Close()
				found, err := p.runSearch(c.Context(), config, dir)
				if err != nil {
					return err
				}
				return p.print(found, func(w io.Writer) {
					fmt.Fprintf(w, "found %s\n", dir.Path("genotype.yaml"))
					if err := found.Genotype.Encode(w); err != nil {
						fmt.Fprintln(w, err)
					}
					fmt.Fprintf(w, "\nvalidation accuracy of the supernet %s\ndrawing %s\n", percent(found.Epoch.Valid.Top1), dir.Path("genotype.svg"))
				})
			},
		}
		s.flags(sub)
		r.flags(sub)
		c.AddCommand(sub)
	}
	return c
}

// runSearch runs or resumes a search in its folder.
func (p *program) runSearch(ctx context.Context, c configs.Search, dir *run.Dir) (search.Result, error) {
	o, err := prepare(c.Common)
	if err != nil {
		return search.Result{}, err
	}
	data, err := c.Data.Open(datasets.Train)
	if err != nil {
		return search.Result{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return search.Result{}, err
	}
	if err := dir.WriteFile(configFile, resolved); err != nil {
		return search.Result{}, err
	}
	weights, arch := datasets.Halves(data, c.Seed)
	m := c.Network
	m.Classes = int64(len(data.Info().Classes))
	setup := search.Setup{
		Config: c.Search, Macro: m, Options: o, Seed: c.Seed, Resolved: resolved,
		Name:  fmt.Sprintf("%s-search-%s-seed%d", c.Search.Kind, c.Data.Name, c.Seed),
		Train: p.loader(c.Common, weights, c.Search.Batch, true),
		Valid: p.loader(c.Common, arch, c.Search.Batch, true),
		Test:  p.loader(c.Common, arch, 2*c.Search.Batch, false),
	}
	setup.Valid.Seed ^= 1 << 63 // other augmentation than the same numbers of the other half
	observe, end := progress(p.err, string(c.Search.Kind)+" search")
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
	return dir.WriteFile("genotype.svg", svg.Bytes())
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
