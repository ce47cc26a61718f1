package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hdas/draw"
	"hdas/run"
)

func (p *program) draw() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "draw NAME|FILE|CELLS+STAGES|RUN", Short: "Draw a genotype's cells and stages as SVG",
		Example: "  hdas draw Hs_DAS_CIFAR_stages -o stages.svg",
		Args:    args(cobra.ExactArgs(1)),
		ValidArgsFunction: genotypeNames,
		RunE: func(c *cobra.Command, a []string) error {
			g, err := run.LoadGenotype(a[0])
			if err != nil {
				return usageError{err}
			}
			var svg bytes.Buffer
			if err := draw.Genotype(&svg, g); err != nil {
				return err
			}
			if out == "-" {
				_, err := p.out.Write(svg.Bytes())
				return err
			}
			if out == "" {
				out = g.Name + ".svg"
			}
			if err := os.WriteFile(out, svg.Bytes(), 0o644); err != nil {
				return err
			}
			return p.print(map[string]string{"file": out}, func(w io.Writer) { fmt.Fprintln(w, out) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write; - for standard output; default NAME.svg")
	return c
}
