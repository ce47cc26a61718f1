package main

import (
	"fmt"
	"io"
	"math/big"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
)

// spaceSize is a row of what space prints.
type spaceSize struct {
	Name  string   `json:"name"`
	Size  *big.Int `json:"size"`
	Paper string   `json:"paper,omitempty"` // as the paper prints it
}

// shape says which space, by numbers alone.
type shape struct {
	cells, nodes, cellOps           int
	lengths                         []int
	window, least, stageOps         int
	searchedCells, stages, sharedly bool
}

func (p *program) space() *cobra.Command {
	s := shape{cells: 2, nodes: 4, cellOps: len(ops.Cell), lengths: []int{6, 6, 6}, window: 3, stageOps: len(ops.Stage)}
	c := &cobra.Command{
		Use: "space [cell|distribution|stage|joint]", Short: "Count the genotypes of a search space",
		Long: `Count the genotypes of a search space, exactly: all of the paper's, or one by its
numbers. Counts of primitives include "none".`,
		Example: "  hdas space\n  hdas space stage --lengths 4,4,4 --window 4\n  hdas space cell --cells 5 --cell-primitives 8",
		Args:    args(cobra.MaximumNArgs(1)), ValidArgs: []string{"cell", "distribution", "stage", "joint"},
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) == 0 {
				if c.Flags().NFlag() > 0 && !(c.Flags().NFlag() == 1 && p.json) {
					return usageError{fmt.Errorf("name the space that the flags are about: %v", configs.Kinds)}
				}
				return p.paperSpaces()
			}
			name, err := s.named(c, configs.Kind(a[0]))
			if err != nil {
				return usageError{err}
			}
			sp, err := s.space()
			if err != nil {
				return usageError{err}
			}
			return p.printSizes([]spaceSize{{Name: name, Size: sp.Size(ops.IsNull)}})
		},
	}
	f := c.Flags()
	f.IntVar(&s.cells, "cells", s.cells, "cells that are searched: 2 in DARTS, 5 in Hc-DAS")
	f.IntVar(&s.nodes, "nodes", s.nodes, "nodes of a cell")
	f.IntVar(&s.cellOps, "cell-primitives", s.cellOps, "candidate operations of a cell's edge")
	f.IntSliceVar(&s.lengths, "lengths", s.lengths, "cells of each stage; distribution: the most")
	f.IntVar(&s.window, "window", s.window, "states before it that a cell of a stage may read")
	f.IntVar(&s.least, "min-cells", s.least, "the least cells that a stage keeps; joint: 0 for all; distribution: default 4")
	f.IntVar(&s.stageOps, "stage-primitives", s.stageOps, "candidate operations of a stage's edge")
	f.BoolVar(&s.sharedly, "shared", false, "all stages are one DAG")
	return c
}

// named completes a shape by the kind of space, and refuses flags that it has no use for.
func (s *shape) named(c *cobra.Command, k configs.Kind) (string, error) {
	only := map[configs.Kind]string{configs.CellSearch: "cell or joint", configs.StageSearch: "stage, distribution or joint"}
	refuse := func(kind configs.Kind, flags ...string) error {
		for _, flag := range flags {
			if c.Flags().Changed(flag) {
				return fmt.Errorf("--%s is about a %s space", flag, only[kind])
			}
		}
		return nil
	}
	s.searchedCells, s.stages = k == configs.CellSearch || k == configs.JointSearch, k != configs.CellSearch
	var err error
	switch k {
	case configs.CellSearch:
		err = refuse(configs.StageSearch, "lengths", "window", "min-cells", "stage-primitives", "shared")
	case configs.StageSearch, configs.DistributionSearch:
		err = refuse(configs.CellSearch, "cells", "nodes", "cell-primitives")
	case configs.JointSearch:
	default:
		err = fmt.Errorf("space %q is unknown; known are %v", k, configs.Kinds)
	}
	if k == configs.StageSearch && c.Flags().Changed("min-cells") {
		err = fmt.Errorf("--min-cells is about a distribution or joint space")
	}
	if k == configs.DistributionSearch {
		if !c.Flags().Changed("min-cells") {
			s.least = 4
		}
		if !c.Flags().Changed("lengths") {
			s.lengths = []int{8, 8, 8}
		}
	}
	return string(k), err
}

func (s shape) space() (space.Space, error) {
	if s.cells < 1 || s.nodes < 1 || s.nodes > 1000 || s.cells > 1000 {
		return space.Space{}, fmt.Errorf("cells %d and nodes %d are to be in 1..1000", s.cells, s.nodes)
	}
	if s.cellOps < 2 || s.stageOps < 2 {
		return space.Space{}, fmt.Errorf("%d and %d primitives: there must be at least one beside none", s.cellOps, s.stageOps)
	}
	sp := space.Fixed(genotype.Genotype{Version: 1, Name: "fixed", Cells: map[string]genotype.DAG{"normal": {}, "reduce": {}}})
	if s.searchedCells {
		// Every cell counts alike; the first two are those that stages refer to.
		names := []string{"normal", "reduce"}[:min(2, s.cells)]
		for i := len(names); i < s.cells; i++ {
			names = append(names, fmt.Sprintf("cell%d", i))
		}
		sp = space.Cells(names, s.nodes, counted(s.cellOps))
		if s.cells == 1 {
			sp.Dense.Cells["reduce"] = genotype.DAG{}
		}
	}
	if !s.stages {
		return sp, nil
	}
	return sp.Under(s.lengths, s.window, genotype.Candidates{Stage: counted(s.stageOps), MinCells: s.least, Shared: s.sharedly})
}

// counted are n operations of which one is null.
func counted(n int) []string {
	list := []string{"none"}
	for i := 1; i < n; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// paperSpaces prints the sizes that the paper reports.
func (p *program) paperSpaces() error {
	cell := shape{cells: 2, nodes: 4, cellOps: 8, stageOps: 4, window: 3}
	with := func(f func(*shape)) shape {
		s := cell
		f(&s)
		return s
	}
	six, eight := []int{6, 6, 6}, []int{8, 8, 8}
	var rows []spaceSize
	for _, r := range []struct {
		name, paper string
		shape
	}{
		{"DARTS: 2 cells", "1.0767e18", with(func(s *shape) { s.searchedCells = true })},
		{"Hc-DAS: 5 cells", "1.2031e45", with(func(s *shape) { s.searchedCells, s.cells = true, 5 })},
		{"a stage of 6 cells, m = 7", "3.0133e10", with(func(s *shape) { s.stages, s.lengths, s.window = true, []int{6}, 7 })},
		{"Hs-DAS: 3 stages of 6 cells, m = 3", "2.1537e24", with(func(s *shape) { s.stages, s.lengths = true, six })},
		{"distribution: 3 stages of 4 to 8 cells, m = 3", "9.3441e32", with(func(s *shape) { s.stages, s.lengths, s.least = true, eight, 4 })},
		{"joint: 2 cells, 3 stages of 6", "2.3190e42", with(func(s *shape) { s.searchedCells, s.stages, s.lengths = true, true, six })},
		{"joint: 2 cells, 3 stages of 4 to 8", "1.0061e51", with(func(s *shape) { s.searchedCells, s.stages, s.lengths, s.least = true, true, eight, 4 })},
	} {
		sp, err := r.space()
		if err != nil {
			return err
		}
		rows = append(rows, spaceSize{r.name, sp.Size(ops.IsNull), r.paper})
	}
	return p.printSizes(rows)
}

func (p *program) printSizes(rows []spaceSize) error {
	return p.print(rows, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s", r.Name, r.Size, new(big.Float).SetInt(r.Size).Text('e', 4))
			if r.Paper != "" {
				fmt.Fprintf(t, "\t(paper: %s)", r.Paper)
			}
			fmt.Fprintln(t)
		}
		t.Flush()
	})
}
