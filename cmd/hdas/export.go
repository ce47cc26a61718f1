package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"hdas/model"
)

// exported is what export prints.
type exported struct {
	File    string `json:"file"`
	Names   string `json:"names"`
	Tensors int    `json:"tensors"`
}

func (p *program) export() *cobra.Command {
	var out, names string
	c := &cobra.Command{
		Use: "export RUN|CHECKPOINT -o x.safetensors|x.pt", Short: "Write a network's weights for other programs",
		Long: `Write the weights of a trained network as a safetensors file or as a file of
PyTorch, which torch.load(weights_only=True) opens and the reference classes
load with strict=True. Names: darts is what DARTS and its descendants use; hdas
what the H-DAS authors' program does.`,
		Example: "  hdas export runs/trained -o trained.pt\n  hdas export runs/trained -o trained.safetensors --names hdas",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if !slices.Contains(model.Forms, filepath.Ext(out)) {
				return usageError{fmt.Errorf("-o %q is neither a .safetensors nor a .pt file to write", out)}
			}
			if names != model.NamesDARTS && names != model.NamesHDAS {
				return usageError{fmt.Errorf("--names %q is unknown; known are %s, %s", names, model.NamesDARTS, model.NamesHDAS)}
			}
			n, err := model.ExportTo(out, a[0], names)
			if err != nil {
				return err
			}
			r := exported{File: out, Names: names, Tensors: n}
			return p.print(r, func(w io.Writer) { fmt.Fprintf(w, "%d tensors, names of %s\n%s\n", r.Tensors, r.Names, r.File) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .safetensors or .pt")
	c.Flags().StringVar(&names, "names", model.NamesDARTS, "of the tensors: darts or hdas")
	c.RegisterFlagCompletionFunc("names", cobra.FixedCompletions([]string{model.NamesDARTS, model.NamesHDAS}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
