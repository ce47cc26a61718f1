package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"hdas/draw"
	"hdas/run"
)

// inFileName returns a letter of a name as it is in the name of a file: - for what shells and folders use.
func inFileName(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_+-.", r) {
		return r
	}
	return '-'
}

func (p *program) draw() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "draw NAME|FILE|CELLS+STAGES|RUN", Short: "Draw a genotype's cells and stages as SVG",
		Example: "  hdas draw Hs_DAS_CIFAR_stages -o stages.svg",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			g, err := run.LoadGenotype(a[0])
			if err != nil {
				return usageError{err}
			}
			if out == "-" {
				return draw.Genotype(p.out, g)
			}
			if out == "" {
				out = strings.TrimLeft(strings.Map(inFileName, g.Name), ".") + ".svg"
			}
			if err := aDrawing.may(out, genotypeInputs(a[0])...); err != nil {
				return usageError{err}
			}
			if err := run.Replace(out, func(w io.Writer) error { return draw.Genotype(w, g) }); err != nil {
				return err
			}
			return p.print(map[string]string{"file": out}, func(w io.Writer) { fmt.Fprintln(w, out) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .svg; - for standard output; default NAME.svg")
	return c
}
