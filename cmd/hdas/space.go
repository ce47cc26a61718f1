package main

import (
	"fmt"
	"io"
	"math/big"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
	"hdas/setting"
)

func (p *program) space() *cobra.Command {
	s := lab.PaperShape
	c := &cobra.Command{
		Use: "space [cell|distribution|stage|joint]", Short: "Count the genotypes of a search space",
		Long: `Print the exact number of genotypes of a search space: of all spaces in the paper,
or of one space with the given numbers. Numbers of primitives include "none".`,
		Example: "  hdas space\n  hdas space stage --lengths 4,4,4 --window 4\n  hdas space cell --cells 5 --cell-primitives 8",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) == 0 {
				if c.Flags().NFlag() > 0 && !(c.Flags().NFlag() == 1 && p.json) {
					return usageError{fmt.Errorf("the flags need the name of a space: %v", configs.Kinds)}
				}
				rows, err := lab.PaperSpaces()
				if err != nil {
					return err
				}
				return p.printSizes(rows)
			}
			if err := named(c, &s, configs.Kind(a[0])); err != nil {
				return usageError{err}
			}
			n, err := s.Count()
			if err != nil {
				return usageError{err}
			}
			return p.printSizes([]lab.SpaceCount{{Name: a[0], Size: n}})
		},
	}
	f := c.Flags()
	f.IntVar(&s.Cells, "cells", s.Cells, "number of searched cells: 2 in DARTS, 5 in Hc-DAS")
	f.IntVar(&s.Nodes, "nodes", s.Nodes, "nodes of a cell")
	f.IntVar(&s.CellOps, "cell-primitives", s.CellOps, "number of candidate operations of a cell's edge")
	f.IntSliceVar(&s.Lengths, "lengths", s.Lengths, "number of cells of each stage; distribution: the largest number")
	f.IntVar(&s.Window, "window", s.Window, "number of preceding states that a cell of a stage may read")
	f.IntVar(&s.MinCells, "min-cells", s.MinCells, "smallest number of cells of a stage; joint: 0 keeps all; distribution: default 4")
	f.IntVar(&s.StageOps, "stage-primitives", s.StageOps, "number of candidate operations of a stage's edge")
	f.BoolVar(&s.Shared, "shared", false, "all stages are one DAG")
	return c
}

// named completes a shape for a kind of space. It returns an error for flags that this kind does not use.
func named(c *cobra.Command, s *lab.Shape, k configs.Kind) error {
	only := map[configs.Kind]string{configs.CellSearch: "cell or joint", configs.StageSearch: "stage, distribution or joint"}
	refuse := func(kind configs.Kind, flags ...string) error {
		for _, flag := range flags {
			if c.Flags().Changed(flag) {
				return fmt.Errorf("--%s is for a %s space", flag, only[kind])
			}
		}
		return nil
	}
	s.SearchCells, s.SearchStages = k == configs.CellSearch || k == configs.JointSearch, k != configs.CellSearch
	var err error
	switch k {
	case configs.CellSearch:
		err = refuse(configs.StageSearch, "lengths", "window", "min-cells", "stage-primitives", "shared")
	case configs.StageSearch, configs.DistributionSearch:
		err = refuse(configs.CellSearch, "cells", "nodes", "cell-primitives")
	case configs.JointSearch:
	default:
		err = fmt.Errorf("space %q %s", k, setting.Unknown(string(k), configs.Kinds))
	}
	if k == configs.StageSearch && c.Flags().Changed("min-cells") {
		err = fmt.Errorf("--min-cells is for a distribution or joint space")
	}
	if k == configs.DistributionSearch {
		if !c.Flags().Changed("min-cells") {
			s.MinCells = 4
		}
		if !c.Flags().Changed("lengths") {
			s.Lengths = []int{8, 8, 8}
		}
	}
	return err
}

func (p *program) printSizes(rows []lab.SpaceCount) error {
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
