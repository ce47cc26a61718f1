package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/internal/filekind"
	"hdas/lab"
	"hdas/model"
	"hdas/models/plan"
	"hdas/run"
	"hdas/setting"
)

func (p *program) importing() *cobra.Command {
	var f importer
	var notation, name string
	c := &cobra.Command{
		Use:   "import FILE --genotype NAME -o OUT, or import --genotype-text FILE|- -o FILE.yaml",
		Short: "Import weights or a genotype from another program",
		Long: `Convert the weights in a PyTorch file (.pt, .pth, .pth.tar, of any version since
0.1.10) or a safetensors file to a checkpoint for eval, predict and export. The
tensors must have the names of DARTS (also used by PC-DARTS and P-DARTS) or of
the H-DAS authors' program. Channels, layers, classes and whether there is an
auxiliary head follow from the tensors. No code in the file is run.

Or convert a genotype in the notation of DARTS' program to YAML:

  NAME = Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)

The text is parsed, never evaluated. All arguments need keywords: normal and
reduce, or normal1, reduce1, normal2 and so on (Genotype3 of H-DAS) for cells;
DAG1, DAG2 and so on, or stage1 (Genotype2), for stages; and the same names with
_concat appended for the outputs. Edges are given in one list, two for each node;
or in a list for each node; or as triples (operation, node, state) as in
FairDARTS, where a node without edges is removed from the output. A genotype
without a name gets that of --name or of the file.`,
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
				return p.print(r, r.write, step{command("eval", r.File, "--data-dir", "DIR"), "its accuracy on the data set"},
					step{command("finetune", r.File, "--data-dir", "PHOTOS"), "train it further on your own images"})
			}
			if flag := given("genotype", "preset", "dataset", "classes", "key"); flag != "" || len(a) > 0 {
				return usageError{fmt.Errorf("--genotype-text reads a genotype, for which a file of weights and --%s are of no use", cmp.Or(flag, "genotype"))}
			}
			return p.importGenotype(c.InOrStdin(), notation, name, f.out)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&notation, "genotype-text", "", "file with a genotype in DARTS' notation; - for standard input")
	c.Flags().StringVar(&name, "name", "", "with --genotype-text: name of the genotype; default: the name in the text, or that of the file")
	return c
}

// importGenotype converts a genotype in DARTS' notation to YAML.
func (p *program) importGenotype(in io.Reader, notation, name, out string) error {
	if out == "" {
		return usageError{errors.New("--output is missing, or - for standard output; usage: hdas import --genotype-text FILE|- -o FILE.yaml")}
	}
	g, err := lab.ImportGenotype(in, notation, name)
	if err != nil {
		return usageError{err}
	}
	if out == "-" {
		return g.Encode(p.out)
	}
	if err := aGenotype.may(out, notation); err != nil {
		return usageError{err}
	}
	if err := writeGenotype(out, g); err != nil {
		return err
	}
	return p.print(map[string]string{"name": g.Name, "file": out}, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", out, plain(g.Name)) },
		step{command("show", out), "its sizes"}, step{command("train", out), "train its network"})
}

// imported is the output of import.
type imported struct {
	File       string   `json:"file"`
	Key        string   `json:"key,omitempty"` // key of the weights in the file
	Genotype   string   `json:"genotype"`
	Preset     string   `json:"preset"`
	Channels   int64    `json:"channels"`
	Layers     int      `json:"layers"`
	Classes    int64    `json:"classes"`
	Auxiliary  bool     `json:"auxiliary"`
	PoolNorm   string   `json:"pool_norm"`
	Dataset    string   `json:"dataset"`
	Notices    []string `json:"notices,omitempty"` // parts of the file that were skipped
	Parameters int64    `json:"parameters"`        // number of elements, with the auxiliary head and the running statistics
}

// importer holds the flags of import.
type importer struct {
	genotype, preset, dataset, classes, key, out string
}

func (f *importer) flags(c *cobra.Command) {
	f.originFlags(c)
	c.Flags().StringVarP(&f.out, "output", "o", "", "file to write: a checkpoint (.safetensors), or a genotype (.yaml; - for standard output)")
}

// originFlags adds the flags that describe the network of a file of weights.
func (f *importer) originFlags(c *cobra.Command) {
	c.Flags().StringVar(&f.genotype, "genotype", "", "genotype of the network: NAME, FILE, CELLS+STAGES or RUN")
	c.Flags().StringVar(&f.preset, "preset", string(plan.CIFAR), setting.List(plan.Presets))
	c.Flags().StringVar(&f.dataset, "dataset", "", "data set of the training: "+strings.Join(datasets.Described(), ", ")+"; default: that of the preset")
	c.Flags().StringVar(&f.classes, "classes", "", "file with the names of the classes, one in a line; default: those of the data set, or numbers")
	c.Flags().StringVar(&f.key, "key", "", "key of the weights in the file, such as ema.state_dict; default: the usual ones are tried")
}

// checkpoint converts the weights in a file to a checkpoint.
func (f *importer) checkpoint(file string) (r imported, err error) {
	if f.genotype == "" || f.out == "" {
		return r, usageError{errors.New("import needs --genotype, the genotype of the network, and -o, the checkpoint to write")}
	}
	o, err := f.origin()
	if err != nil {
		return r, usageError{err}
	}
	if err := aCheckpoint.may(f.out, append(genotypeInputs(f.genotype), file, f.classes)...); err != nil {
		return r, usageError{err}
	}
	i, err := model.ImportTo(f.out, file, f.key, o)
	if err != nil {
		return r, err
	}
	m := i.Macro
	return imported{File: f.out, Key: i.Key, Genotype: o.Genotype.Name, Preset: string(m.Preset), Channels: m.Channels, Layers: m.Layers, Classes: m.Classes,
		Auxiliary: m.Auxiliary, PoolNorm: string(m.PoolNorm), Dataset: i.Dataset, Notices: i.Notices, Parameters: i.Parameters}, nil
}

// origin returns the description of the network that the flags give.
func (f *importer) origin() (o model.Origin, err error) {
	if err := o.Preset.UnmarshalText([]byte(f.preset)); err != nil {
		return o, fmt.Errorf("--preset %w", err)
	}
	if f.dataset == "" {
		f.dataset = map[plan.Preset]string{plan.CIFAR: "cifar10", plan.ImageNet: "imagenet"}[o.Preset]
	}
	if o.Genotype, err = run.LoadGenotype(f.genotype); err != nil {
		return o, err
	}
	if o.Dataset, err = datasets.Describe(f.dataset); err != nil {
		return o, err
	}
	if f.classes != "" {
		const most = 1 << 20
		text, err := filekind.Read(f.classes, most)
		if err != nil {
			return o, err
		}
		o.Classes = strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	}
	return o, nil
}

func (r imported) write(w io.Writer) {
	from := ""
	if r.Key != "" {
		from = fmt.Sprintf(" (weights under %q)", r.Key)
	}
	head := "without"
	if r.Auxiliary {
		head = "with"
	}
	for _, line := range r.Notices {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "%s, %s: C=%d, %d cells, %d classes, %s an auxiliary head%s\ncheckpoint %s\n",
		plain(r.Genotype), r.Preset, r.Channels, r.Layers, r.Classes, head, from, r.File)
}
