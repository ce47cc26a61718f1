package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"hdas/model"
	"hdas/setting"
)

// exported is the output of export.
type exported struct {
	File    string `json:"file"`
	Names   string `json:"names"`
	Tensors int    `json:"tensors"`
}

func (p *program) export() *cobra.Command {
	var out, names string
	var ema bool
	c := &cobra.Command{
		Use: "export RUN|CHECKPOINT -o x.safetensors|x.pt", Short: "Write the weights of a network for other programs",
		Long: `Write the weights of a trained network to a safetensors file or a PyTorch file,
which torch.load(weights_only=True) opens and the classes of the reference
programs load with strict=True. Names of tensors: darts, those of DARTS and its
descendants; hdas, those of the H-DAS authors' program.`,
		Example: "  hdas export runs/trained -o trained.pt\n  hdas export runs/trained -o trained.safetensors --names hdas",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			form := asTensors
			switch filepath.Ext(out) {
			case ".pt":
				form = asPyTorch
			case ".safetensors":
			default:
				return usageError{fmt.Errorf("-o %q is neither a .safetensors nor a .pt file to write", out)}
			}
			if known := []string{model.NamesDARTS, model.NamesHDAS}; !slices.Contains(known, names) {
				return usageError{fmt.Errorf("--names %q %s", names, setting.Unknown(names, known))}
			}
			if err := form.may(out, a[0]); err != nil {
				return usageError{err}
			}
			to := model.ExportTo
			if ema {
				to = model.ExportAveragedTo
			}
			n, err := to(out, a[0], names)
			if err != nil {
				return err
			}
			r := exported{File: out, Names: names, Tensors: n}
			return p.print(r, func(w io.Writer) { fmt.Fprintf(w, "%d tensors, names of %s\n%s\n", r.Tensors, r.Names, r.File) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .safetensors or .pt")
	emaFlag(c, &ema)
	c.Flags().StringVar(&names, "names", model.NamesDARTS, "naming scheme of the tensors: darts or hdas")
	c.RegisterFlagCompletionFunc("names", cobra.FixedCompletions([]string{model.NamesDARTS, model.NamesHDAS}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
