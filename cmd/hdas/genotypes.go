package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/run"
)

// listed is a row of show genotypes.
type listed struct {
	Name     string              `json:"name"`
	Kind     string              `json:"kind"` // cells, or stages over those of some name
	Source   string              `json:"source"`
	Reported lab.Reported        `json:"reported"`
	Sizes    map[string]lab.Size `json:"sizes"` // by preset
}

// list prints the published genotypes, with their sizes under one preset, or all if it is "".
func (p *program) list(c *cobra.Command, m models.Macro, preset, cells string) error {
	presets := []string{models.CIFAR, models.ImageNet}
	if preset != "" {
		presets = []string{preset}
	}
	under, err := run.LoadGenotype(cells)
	if err != nil {
		return usageError{err}
	}
	var rows []listed
	for _, name := range genotype.Names() {
		g, err := genotype.Published(name)
		if err != nil {
			return err
		}
		r := listed{Name: name, Kind: "cells", Source: g.Source, Reported: lab.Reported(g.Reported), Sizes: map[string]lab.Size{}}
		if len(g.Cells) == 0 {
			r.Kind = "stages over " + under.Name
			if g, err = genotype.Combine(under, g); err != nil {
				return usageError{err}
			}
		}
		for _, m.Preset = range presets {
			if r.Sizes[m.Preset], err = measure(c, g, m); err != nil {
				return usageError{err}
			}
		}
		rows = append(rows, r)
	}
	return p.print(rows, func(w io.Writer) { table(w, rows, presets) })
}

func table(w io.Writer, rows []listed, presets []string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "genotype\tkind\t")
	for _, preset := range presets {
		fmt.Fprintf(t, "%s: parameters\tmultiply-adds\terror\t", preset)
	}
	fmt.Fprintln(t, "source")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t", r.Name, r.Kind)
		for _, preset := range presets {
			found := r.Reported.CIFAR10
			if preset == models.ImageNet {
				found = r.Reported.ImageNet
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t", thousands(r.Sizes[preset].Parameters), thousands(r.Sizes[preset].MACs), errorRate(found))
		}
		fmt.Fprintln(t, r.Source)
	}
	t.Flush()
}

// errorRate is in percent, or - where none is known.
func errorRate(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", v)
}
