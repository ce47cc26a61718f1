package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
)

func (p *program) random() *cobra.Command {
	var s settings
	var out string
	var n int
	c := &cobra.Command{
		Use: "random cell|distribution|stage|joint", Short: "Draw random genotypes from a search space",
		Long: `Draw genotypes uniformly from the space of a search with that configuration, and
write them to random-1.yaml, random-2.yaml, ... in a folder.`,
		Example: "  hdas search random stage --config tiny-stage -n 4 --seed 7 --out runs/random",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			config, err := configs.LoadSearch(configs.Kind(a[0]), s.overrides(c))
			if err != nil {
				return usageError{err}
			}
			if out == "" {
				return usageError{errors.New("--out is missing: the folder to write the genotypes to")}
			}
			drawn, err := lab.Random(config, n)
			if err != nil {
				return err
			}
			var files []string
			for _, g := range drawn {
				file := filepath.Join(out, g.Name+".yaml")
				if err := aGenotype.may(file, append(genotypeInputs(config.Search.Cells), s.File)...); err != nil {
					return usageError{err}
				}
				files = append(files, file)
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return err
			}
			for i, g := range drawn {
				if err := writeGenotype(files[i], g); err != nil {
					return err
				}
			}
			return p.print(files, func(w io.Writer) {
				for _, f := range files {
					fmt.Fprintln(w, f)
				}
			}, step{command(append([]string{"train", files[0]}, trainingOf(config.Common, len(drawn[0].Stages) > 0)...)...), "train one of them"})
		},
	}
	s.flags(c)
	c.Flags().StringVar(&out, "out", "", "folder to write the genotypes to")
	c.Flags().IntVarP(&n, "n", "n", 1, "number of genotypes to draw")
	return c
}
