package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"hdas/model"
	"hdas/setting"
	"hdas/torch"
)

// exported is the output of export.
type exported struct {
	File      string `json:"file"`
	Names     string `json:"names,omitempty"`
	Tensors   int    `json:"tensors,omitempty"`
	Precision string `json:"precision,omitempty"`
	Opset     int    `json:"opset,omitempty"`
	Nodes     int    `json:"nodes,omitempty"`
}

func (r exported) write(w io.Writer) {
	switch {
	case r.Nodes > 0:
		fmt.Fprintf(w, "ONNX model of %d operations (opset %d), %s\n", r.Nodes, r.Opset, r.Precision)
	case r.Tensors > 0:
		fmt.Fprintf(w, "%d tensors, names of %s\n", r.Tensors, r.Names)
	}
	fmt.Fprintln(w, r.File)
}

// exporter holds the flags of export.
type exporter struct {
	out, names, precision string
	fold, ema             bool
}

var (
	exportNames      = []string{model.NamesDARTS, model.NamesHDAS}
	exportPrecisions = []string{torch.Float32.String(), torch.Float16.String()}
)

func (p *program) export() *cobra.Command {
	var f exporter
	c := &cobra.Command{
		Use: "export RUN|CHECKPOINT -o x.onnx|x.py|x.pt|x.safetensors", Short: "Write a trained network for other programs",
		Long: `Write a trained network for other programs, in the form of the file's ending:

  .onnx         an ONNX model (opset 17) of the network in evaluation. Input "images"
                (N,C,H,W), normalised, with any N; output "logits" (N,classes). Its
                metadata has the classes, mean, std, size and genotype.
  .py           the source of a PyTorch module, which needs torch alone and loads
                the .pt file
  .pt           the weights for PyTorch: torch.load(weights_only=True),
                load_state_dict(strict=True)
  .safetensors  the weights

Names of tensors: darts, those of DARTS and its descendants; hdas, those of the
H-DAS authors' program. docs/deployment.md shows how each is used.`,
		Example: "  hdas export runs/trained -o trained.onnx\n  hdas export runs/trained -o trained.onnx --fold --precision float16\n" +
			"  hdas export runs/trained -o trained.pt && hdas export runs/trained -o trained.py\n  hdas export runs/trained -o trained.safetensors --names hdas",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			form, err := f.check(c)
			if err == nil {
				err = form.may(f.out, a[0])
			}
			if err != nil {
				return usageError{err}
			}
			r, err := f.write(a[0])
			if err != nil {
				return err
			}
			return p.print(r, r.write)
		},
	}
	s := c.Flags()
	s.StringVarP(&f.out, "output", "o", "", "file to write: .onnx, .py, .pt or .safetensors")
	s.StringVar(&f.names, "names", model.NamesDARTS, "naming scheme of the tensors in .pt and .safetensors: darts or hdas")
	s.StringVar(&f.precision, "precision", "float32", "of an ONNX model, its images and its logits: float32 or float16")
	s.BoolVar(&f.fold, "fold", false, "multiply the batch norms of an ONNX model into the convolutions before them")
	emaFlag(c, &f.ema)
	return c
}

// check returns the kind of the file to write, or an error for flags that are wrong or that this kind does not use.
func (f exporter) check(c *cobra.Command) (output, error) {
	forms := map[string]output{".onnx": asONNX, ".py": asModule, ".pt": asPyTorch, ".safetensors": asTensors}
	ending := filepath.Ext(f.out)
	form, known := forms[ending]
	given := c.Flags().Changed
	switch {
	case !known:
		return form, fmt.Errorf("-o %q is none of the files to write: .onnx, .py, .pt or .safetensors", f.out)
	case !slices.Contains(exportNames, f.names):
		return form, fmt.Errorf("--names %q %s", f.names, setting.Unknown(f.names, exportNames))
	case !slices.Contains(exportPrecisions, f.precision):
		return form, fmt.Errorf("--precision %q %s", f.precision, setting.Unknown(f.precision, exportPrecisions))
	case ending != ".onnx" && (given("fold") || given("precision")):
		return form, fmt.Errorf("--fold and --precision are for ONNX models, and -o %s is %s", f.out, form.what)
	case ending == ".py" && given("ema"):
		return form, fmt.Errorf("--ema selects weights, and -o %s is %s, which has none; give it for the .pt file", f.out, form.what)
	case (ending == ".onnx" || ending == ".py") && given("names"):
		return form, fmt.Errorf("--names is for .pt and .safetensors files, and -o %s is %s", f.out, form.what)
	}
	return form, nil
}

// write writes the file from a checkpoint.
func (f exporter) write(path string) (r exported, err error) {
	r.File = f.out
	switch filepath.Ext(f.out) {
	case ".onnx":
		precision := torch.Float32
		if f.precision == torch.Float16.String() {
			precision = torch.Float16
		}
		r.Precision, r.Opset = f.precision, model.Opset
		r.Nodes, err = model.ExportONNX(f.out, path, f.ema, precision, f.fold)
	case ".py":
		err = model.ExportModule(f.out, path)
	default:
		r.Names = f.names
		r.Tensors, err = model.ExportTo(f.out, path, f.ema, f.names)
	}
	return r, err
}
