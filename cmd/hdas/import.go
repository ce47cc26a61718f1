package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hdas/lab"
)

func (p *program) importing() *cobra.Command {
	var f importer
	var notation, name string
	c := &cobra.Command{
		Use:   "import FILE --genotype NAME -o OUT, or import --genotype-text FILE|- -o FILE.yaml",
		Short: "Read weights, or a genotype, that other programs wrote",
		Long: `Make a checkpoint of this program of the weights in a file of PyTorch (.pt, .pth,
.pth.tar, of any version since 0.1.10) or of safetensors, for eval, predict and
export. The names are those of DARTS (and of PC-DARTS and P-DARTS) or of the
H-DAS authors' program. Channels, layers, classes and whether there is an
auxiliary head are read off the tensors; nothing in the file is run.

Or read a genotype in the notation of DARTS' program and write it as YAML:

  NAME = Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)

The text is parsed, never evaluated. It has keywords alone: normal and reduce, or
normal1, reduce1, normal2 and so on (Genotype3 of H-DAS) for cells; DAG1, DAG2 and
so on, or stage1 (Genotype2), for stages; and each one's output with _concat behind
its name. Edges are in one list, two for each node; or in a list for each node; or
triples (operation, node, state) as in FairDARTS, where a node without edges leaves
the output. A genotype without a name is called as --name says, or as its file.`,
		Example: `  hdas import cifar10_model.pt --genotype DARTS_V2 -o darts.safetensors
  hdas import imagenet_model.pth.tar --genotype DARTS_V2 --preset imagenet -o darts.safetensors
  hdas import hs.pth --genotype DARTS_V1+Hs_DAS_CIFAR_stages -o hs.safetensors
  hdas import --genotype-text found.txt -o found.yaml
  grep -h ^PDARTS genotypes.py | hdas import --genotype-text - -o PDARTS.yaml`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			given := func(flags ...string) string {
				for _, flag := range flags {
					if c.Flags().Changed(flag) {
						return flag
					}
				}
				return ""
			}
			if notation == "" {
				if len(a) == 0 {
					return usageError{errors.New("import needs a file of weights, or --genotype-text; usage: hdas " + c.Use)}
				}
				if flag := given("genotype-text", "name"); flag != "" {
					return usageError{fmt.Errorf("--%s is for a genotype's text; usage: hdas %s", flag, c.Use)}
				}
				r, err := f.checkpoint(a[0])
				if err != nil {
					return err
				}
				return p.print(r, r.write)
			}
			if flag := given("genotype", "preset", "dataset", "classes", "key"); flag != "" || len(a) > 0 {
				return usageError{fmt.Errorf("--genotype-text reads a genotype, for which a file of weights and --%s are of no use", cmp.Or(flag, "genotype"))}
			}
			return p.importGenotype(c.InOrStdin(), notation, name, f.out)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&notation, "genotype-text", "", "file with a genotype in DARTS' notation; - for standard input")
	c.Flags().StringVar(&name, "name", "", "with --genotype-text: name of the genotype; default: the text's own, or the file's")
	return c
}

// importGenotype writes the genotype of a text as YAML.
func (p *program) importGenotype(in io.Reader, notation, name, out string) error {
	if out == "" {
		return usageError{errors.New("--output is missing, or - for standard output; usage: hdas import --genotype-text FILE|- -o FILE.yaml")}
	}
	g, err := lab.ImportGenotype(in, notation, name)
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
}
