package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/ops"
)

func (p *program) importing() *cobra.Command {
	var notation, name, out string
	c := &cobra.Command{
		Use: "import --genotype-text FILE|- -o FILE.yaml", Short: "Read what other programs wrote",
		Long: `Read a genotype in the notation of DARTS' program and write it as YAML:

  NAME = Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)

The text is parsed, never evaluated. It has keywords alone: normal and reduce, or
normal1, reduce1, normal2 and so on (Genotype3 of H-DAS) for cells; DAG1, DAG2 and
so on, or stage1 (Genotype2), for stages; and each one's output with _concat behind
its name. Edges are in one list, two for each node; or in a list for each node; or
triples (operation, node, state) as in FairDARTS, where a node without edges leaves
the output. A genotype without a name is called as --name says, or as its file.`,
		Example: "  hdas import --genotype-text found.txt -o found.yaml\n  grep -h ^PDARTS genotypes.py | hdas import --genotype-text - -o PDARTS.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			for flag, value := range map[string]string{"genotype-text": notation, "output": out} {
				if value == "" {
					return usageError{fmt.Errorf("--%s is missing; usage: hdas %s", flag, c.Use)}
				}
			}
			g, err := importText(c.InOrStdin(), notation, name)
			if err != nil {
				return usageError{err}
			}
			var yaml bytes.Buffer
			if err := g.Encode(&yaml); err != nil {
				return usageError{err}
			}
			if out == "-" {
				_, err := p.out.Write(yaml.Bytes())
				return err
			}
			if err := os.WriteFile(out, yaml.Bytes(), 0o644); err != nil {
				return err
			}
			return p.print(map[string]string{"name": g.Name, "file": out}, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", out, g.Name) })
		},
	}
	f := c.Flags()
	f.StringVar(&notation, "genotype-text", "", "file with a genotype in DARTS' notation; - for standard input")
	f.StringVar(&name, "name", "", "name of the genotype; default: the text's own, or the file's")
	f.StringVarP(&out, "output", "o", "", "YAML file to write; - for standard output")
	return c
}

// importText is the genotype of a file in DARTS' notation, or of in where the file is "-".
func importText(in io.Reader, file, name string) (g genotype.Genotype, err error) {
	stem, source := "", "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return g, err
		}
		defer f.Close()
		in, source = f, filepath.Base(file)
		stem = strings.TrimSuffix(source, filepath.Ext(source))
	}
	if g, err = text.Parse(in, cmp.Or(stem, "imported"), text.Known{Cell: ops.Names(), Stage: ops.Stage}); err != nil {
		return g, fmt.Errorf("%s: %w", source, err)
	}
	if name != "" {
		g.Name = name
	}
	g.Source = "text in " + source
	return g, g.Validate(genotype.Ops{})
}
