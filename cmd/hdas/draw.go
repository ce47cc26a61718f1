package main

import (
	"fmt"
	"image/png"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"hdas/draw"
	"hdas/lab"
	"hdas/models/genotype"
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
	var epochs bool
	c := &cobra.Command{
		Use: "draw NAME|FILE|CELLS+STAGES|RUN", Short: "Draw a genotype's cells and stages as SVG or PNG",
		Long: `Draw a genotype's cells and stages as SVG or PNG. With --epochs, draw how the genotype of
a search grew: the genotype of each epoch, one after the other, as an animated SVG
or GIF. Half a second is an epoch; more than 60 epochs take 30 seconds together.`,
		Example: "  hdas draw Hs_DAS_CIFAR_stages -o stages.svg\n  hdas draw runs/stages --epochs -o stages.gif",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if epochs {
				return p.drawEpochs(a[0], out)
			}
			g, err := run.LoadGenotype(a[0])
			if err != nil {
				return usageError{err}
			}
			kind, write := aDrawing.or(aPicture), draw.Genotype
			switch strings.ToLower(filepath.Ext(out)) {
			case ".svg", "":
				kind = aDrawing
			case ".png":
				kind, write = aPicture, writePicture
			}
			return p.drawing(out, g.Name, genotypeInputs(a[0]), kind, func(w io.Writer) error { return write(w, g) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .svg or .png, with --epochs .svg or .gif; - for standard output; default NAME.svg")
	c.Flags().BoolVar(&epochs, "epochs", false, "draw the genotypes of all epochs of the search in the folder RUN, as an animation")
	return c
}

func writePicture(w io.Writer, g genotype.Genotype) error {
	picture, err := new(draw.Drawer).Picture(g)
	if err != nil {
		return err
	}
	return png.Encode(w, picture)
}

// drawEpochs draws how the genotype of a search grew.
func (p *program) drawEpochs(folder, out string) error {
	if !run.Begun(folder) {
		return usageError{fmt.Errorf("--epochs draws the genotypes of the epochs of a search: name its folder; %s is none", folder)}
	}
	frames, err := lab.Growth(folder)
	if err != nil {
		return usageError{err}
	}
	kind, write := aDrawing.or(anAnimation), draw.Animation
	switch strings.ToLower(filepath.Ext(out)) {
	case ".svg", "":
		kind = aDrawing
	case ".gif":
		kind, write = anAnimation, draw.AnimatedGIF
	}
	return p.drawing(out, frames[0].Genotype.Name+"-epochs", nil, kind, func(w io.Writer) error { return write(w, frames) })
}

// drawing writes a drawing to a file, or one of that name if none is given, or to the standard output.
func (p *program) drawing(out, name string, inputs []string, kind output, write func(io.Writer) error) error {
	if out == "-" {
		return write(p.out)
	}
	if out == "" {
		out = strings.TrimLeft(strings.Map(inFileName, name), ".") + ".svg"
	}
	if err := kind.may(out, inputs...); err != nil {
		return usageError{err}
	}
	if err := run.Replace(out, write); err != nil {
		return err
	}
	return p.print(map[string]string{"file": out}, func(w io.Writer) { fmt.Fprintln(w, out) })
}
