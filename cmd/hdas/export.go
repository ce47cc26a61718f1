package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/train"
	"hdas/weights"
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
		RunE: func(c *cobra.Command, a []string) (err error) {
			write, ok := map[string]func(string, []nn.Param) error{".safetensors": writeSafetensors, ".pt": writeTorch}[filepath.Ext(out)]
			if !ok {
				return usageError{fmt.Errorf("-o %q is neither a .safetensors nor a .pt file to write", out)}
			}
			if names != train.NamesDARTS && names != train.NamesHDAS {
				return usageError{fmt.Errorf("--names %q is unknown; known are %s, %s", names, train.NamesDARTS, train.NamesHDAS)}
			}
			r := exported{File: out, Names: names}
			failure := torch.Do(func(*torch.Scope) {
				var params []nn.Param
				if params, err = train.Export(a[0], names); err == nil {
					r.Tensors = len(params)
					err = write(out, params)
				}
			})
			if failure != nil {
				return failure
			} else if err != nil {
				return err
			}
			return p.print(r, func(w io.Writer) { fmt.Fprintf(w, "%d tensors, names of %s\n%s\n", r.Tensors, r.Names, r.File) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .safetensors or .pt")
	c.Flags().StringVar(&names, "names", train.NamesDARTS, "of the tensors: darts or hdas")
	c.RegisterFlagCompletionFunc("names", cobra.FixedCompletions([]string{train.NamesDARTS, train.NamesHDAS}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func writeSafetensors(path string, params []nn.Param) error {
	return run.WriteTensors(path, params, map[string]string{"format": "pt"})
}

func writeTorch(path string, params []nn.Param) error {
	folder := strings.TrimSuffix(filepath.Base(path), ".pt")
	return run.Replace(path, func(w io.Writer) error { return weights.WriteTorch(w, folder, train.Arrays(params)) })
}
