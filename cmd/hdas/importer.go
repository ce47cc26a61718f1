package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/model"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/run"
)

// imported is what import prints.
type imported struct {
	File       string `json:"file"`
	Key        string `json:"key,omitempty"` // under which the weights were in the file
	Genotype   string `json:"genotype"`
	Preset     string `json:"preset"`
	Channels   int64  `json:"channels"`
	Layers     int    `json:"layers"`
	Classes    int64  `json:"classes"`
	Auxiliary  bool   `json:"auxiliary"`
	PoolNorm   string `json:"pool_norm"`
	Dataset    string `json:"dataset"`
	Parameters int64  `json:"parameters"` // those of the auxiliary head and of batch norms' statistics included
}

// importer are the flags of import.
type importer struct {
	genotype, preset, dataset, classes, key, out string
}

func (f *importer) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.genotype, "genotype", "", "whose network it is: NAME, FILE, CELLS+STAGES or RUN")
	c.Flags().StringVar(&f.preset, "preset", models.CIFAR, "cifar or imagenet")
	c.Flags().StringVar(&f.dataset, "dataset", "", "that it was trained on: "+strings.Join(datasets.Described(), ", ")+"; default the preset's")
	c.Flags().StringVar(&f.classes, "classes", "", "file with the classes' names, one a line; default the data set's, or numbers")
	c.Flags().StringVar(&f.key, "key", "", "where in the file the weights are, as in ema.state_dict; default where they usually are")
	c.Flags().StringVarP(&f.out, "output", "o", "", "file to write: a checkpoint, or a genotype's YAML (- for standard output)")
	for flag, values := range map[string][]string{"genotype": genotype.Names(), "preset": {models.CIFAR, models.ImageNet}, "dataset": datasets.Described()} {
		c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveDefault))
	}
}

// checkpoint imports the weights in a file.
func (f *importer) checkpoint(file string) (r imported, err error) {
	o, err := f.origin()
	if err != nil {
		return r, usageError{err}
	}
	i, err := model.ImportTo(f.out, file, f.key, o)
	if err != nil {
		return r, err
	}
	m := i.Macro
	return imported{File: f.out, Key: i.Key, Genotype: o.Genotype.Name, Preset: m.Preset, Channels: m.Channels, Layers: m.Layers, Classes: m.Classes,
		Auxiliary: m.Auxiliary, PoolNorm: m.PoolNorm, Dataset: i.Dataset, Parameters: i.Parameters}, nil
}

// origin is what the flags say.
func (f *importer) origin() (o model.Origin, err error) {
	if f.genotype == "" || f.out == "" {
		return o, fmt.Errorf("import needs --genotype, whose network the weights are of, and -o, the checkpoint to write")
	}
	if f.dataset == "" {
		f.dataset = map[string]string{models.CIFAR: "cifar10", models.ImageNet: "imagenet"}[f.preset]
	}
	if f.dataset == "" {
		return o, fmt.Errorf("preset %q is unknown; known are %s, %s", f.preset, models.CIFAR, models.ImageNet)
	}
	o.Preset = f.preset
	if o.Genotype, err = run.LoadGenotype(f.genotype); err != nil {
		return o, err
	}
	if o.Dataset, err = datasets.Describe(f.dataset); err != nil {
		return o, err
	}
	if f.classes != "" {
		text, err := os.ReadFile(f.classes)
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
	fmt.Fprintf(w, "%s, %s: C=%d, %d cells, %d classes, %s an auxiliary head%s\ncheckpoint %s\n",
		r.Genotype, r.Preset, r.Channels, r.Layers, r.Classes, head, from, r.File)
}
