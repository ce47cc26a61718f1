package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/estimate"
	"hdas/lab"
	"hdas/run"
	"hdas/search"
)

func (p *program) search() *cobra.Command {
	c := &cobra.Command{
		Use:   "search cell|distribution|stage|joint|random",
		Short: "Search an architecture",
		Long: `Search an architecture. The run folder will hold the configuration, the genotype
and all architecture parameters of every epoch, checkpoints, the genotype found
and its drawing.`,
		Args: commandOf("search"),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("name what to search: %v, or random", configs.Kinds)}
		},
	}
	for kind, short := range map[configs.Kind]string{
		configs.CellSearch:         "Search the cells of a chain (Hc-DAS; DARTS with search.stage_specific=false)",
		configs.DistributionSearch: "Search the number of cells of each stage (Hs-DAS, first part)",
		configs.StageSearch:        "Search the connections of the cells of each stage (Hs-DAS, second part)",
		configs.JointSearch:        "Search cells and stages at once (with search.min_cells also the number of cells)",
	} {
		c.AddCommand(p.searchKind(kind, short))
	}
	c.AddCommand(p.random())
	return c
}

// searcher holds the flags and the inputs of a search.
type searcher struct {
	settings
	place
	dry    bool
	many   seeds
	n      int // processes
	config configs.Search
}

func (p *program) searchKind(kind configs.Kind, short string) *cobra.Command {
	var s searcher
	c := &cobra.Command{
		Use: string(kind), Short: short, Args: args(cobra.NoArgs),
		Example: fmt.Sprintf("  hdas search %s --config tiny-%s --out runs/%s", kind, kind, kind),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.inProcesses(c, s.n, &s.many, kind, &s.place, s.dry, func(m member) error { return p.runSearch(c, kind, &s, m) })
		},
	}
	s.settings.flags(c)
	s.place.flags(c)
	p.acceptsData(c)
	p.logFlags(c)
	s.many.flags(c)
	dryFlag(c, &s.dry)
	p.partFlag(c)
	p.severalFlags(c, &s.n)
	return c
}

// runSearch runs a new search or resumes one, or several; s.many has been checked.
func (p *program) runSearch(c *cobra.Command, kind configs.Kind, s *searcher, m member) error {
	load := func() (data datasets.Spec, err error) {
		s.config, err = configs.LoadSearch(kind, s.overrides(c))
		return s.config.Data.Spec, err
	}
	if s.dry {
		return p.dryRun(&s.place, load, func() (estimate.Estimate, error) {
			if s.many.n > 1 {
				return lab.EstimateSeeds(c.Context(), s.config, s.many.plan(), p.watch())
			}
			return lab.EstimateSearch(c.Context(), s.config, p.watch())
		})
	}
	dir, err := m.open(c, &s.place, &s.settings, "search-"+string(kind), s.many.holding(), load)
	if err != nil {
		return err
	}
	defer dir.Close()
	if s.many.n > 1 {
		return p.searchSeeds(c, &s.settings, s.config, s.many, dir)
	}
	found, err := lab.Search(c.Context(), s.config, dir, m.watch(p.watchOf(&s.settings)))
	if err != nil {
		return err
	}
	return p.print(found, func(w io.Writer) { describeResult(w, found, dir) }, after(s.File, s.config, found, dir.Path())...)
}

// partFlag is the flag of runs that are one of several seeds.
const partFlag = "part-of-seeds"

func (p *program) partFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.part, partFlag, false, "")
	c.Flags().MarkHidden(partFlag)
}

// nextSearch returns the command that searches the connections of the stages whose lengths a distribution
// search found, with its other settings; it is empty for other searches. file is the configuration.
func nextSearch(file string, c configs.Search, found search.Result) string {
	if c.Search.Kind != configs.DistributionSearch {
		return ""
	}
	base := strings.Replace(file, string(configs.DistributionSearch), string(configs.StageSearch), 1)
	if !slices.Contains(configs.Names(), base) {
		base = "stage-search"
	}
	lengths := "search.lengths=" + list(found.Genotype.Lengths())
	begin, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: base, Set: []string{lengths}, Alone: true})
	if err != nil {
		return ""
	}
	words := []string{"hdas search", string(configs.StageSearch), "--config", base, "--set", lengths}
	for _, set := range begin.Changes(c) {
		words = append(words, "--set", quoted(set))
	}
	return strings.Join(words, " ")
}

// after returns what makes sense with what a search has found.
func after(file string, c configs.Search, found search.Result, folder string) []step {
	if next := nextSearch(file, c, found); next != "" {
		return []step{{next, "search the connections of stages with " + list(found.Genotype.Lengths()) + " cells"}}
	}
	return afterSearch(c, folder, len(found.Genotype.Stages) > 0)
}

func describeResult(w io.Writer, found search.Result, dir *run.Dir) {
	fmt.Fprintf(w, "found %s\n", dir.Path(run.GenotypeFile))
	if err := found.Genotype.Encode(w); err != nil {
		fmt.Fprintln(w, err)
	}
	if at := found.Epoch.StopAt; at > 0 {
		fmt.Fprintf(w, "\nstopped after epoch %d: the curvature of the validation loss grows fast (search.stop); the genotype is that of epoch %d\n", found.Epoch.Epoch, at)
	}
	fmt.Fprintf(w, "\nvalidation accuracy of the supernet %s\ndrawing %s\n", percent(found.Epoch.Valid.Top1), dir.Path(run.DrawingFile))
}
