package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/run"
	"hdas/search"
	"hdas/search/space"
	"hdas/train"
)

// baseline says what a found genotype is compared with.
type baseline struct {
	Random  int `json:"random"`  // genotypes drawn
	Repeats int `json:"repeats"` // trainings of the found one
	window  int
}

// comparison is what compare prints.
type comparison struct {
	Folder   string   `json:"folder"`
	Space    sizeOf   `json:"space"`
	Networks []scored `json:"networks"`
	Found    spread   `json:"found"`  // top-1 on the test images, of the repeated trainings
	Random   spread   `json:"random"` // of the random genotypes
	RI       spread   `json:"ri"`     // percent: 100 (found - random) / random; the spread is that over the random ones
}

type sizeOf struct {
	Kind string `json:"kind"`
	Size string `json:"size"`
}

// scored is one training.
type scored struct {
	Name string  `json:"name"`
	Run  string  `json:"run"`
	Top1 float64 `json:"top1"` // on the test images, last epoch
}

func (p *program) compare() *cobra.Command {
	var s settings
	var r place
	var b baseline
	c := &cobra.Command{
		Use: "compare RUN|NAME|FILE|CELLS+STAGES", Short: "Compare what was found with random genotypes of its space",
		Long: `Train what a search found and genotypes drawn uniformly from its space, all alike,
and print how much better it is: RI = 100 (found - random) / random of the
accuracies, with its spread over the random ones. The space is that of the
search whose folder is named; of another genotype, its stages over its own
cells, or, of a chain, its cells. (hdas compare pytorch is about this program.)`,
		Example: "  hdas compare runs/stages --random 4 --config tiny-train --out runs/compared",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if r.resume == (len(a) == 1) {
				return usageError{errors.New("either name what to compare, or go on with --resume --out DIR")}
			}
			if b.Random < 1 || b.Repeats < 1 {
				return usageError{fmt.Errorf("--random %d and --repeats %d are to be at least 1", b.Random, b.Repeats)}
			}
			for _, flag := range []string{"random", "repeats", "window"} {
				if r.resume && c.Flags().Changed(flag) {
					return usageError{fmt.Errorf("--resume goes on with the comparison that was begun, which --%s cannot change", flag)}
				}
			}
			var config configs.Train
			var drawn contest
			dir, err := r.open(c, &s, "compare", func() (err error) {
				if config, err = configs.LoadTrain(s.overrides(c)); err != nil || r.resume {
					return err
				}
				drawn, err = b.draw(a[0], c.Flags().Changed("window"), config.Seed)
				return err
			})
			if err != nil {
				return err
			}
			defer dir.Close()
			if !r.resume {
				if err := drawn.write(config, dir); err != nil {
					return err
				}
			}
			result, err := p.runComparison(c.Context(), config, dir)
			if err != nil {
				return resumable(err, "hdas compare --resume --out "+dir.Path())
			}
			return p.print(result, result.write)
		},
	}
	s.flags(c)
	r.flags(c)
	c.Flags().IntVar(&b.Random, "random", 4, "random genotypes to train")
	c.Flags().IntVar(&b.Repeats, "repeats", 1, "trainings of the found genotype, with seeds from --seed on")
	c.Flags().IntVar(&b.window, "window", 3, "of stages that are no search's: states before it that a cell may read")
	c.AddCommand(p.comparePyTorch())
	return c
}

// contestFile keeps what was begun.
const contestFile = "compare.json"

// contest is what is compared.
type contest struct {
	begun
	networks []genotype.Genotype
}

// begun is what a folder keeps of it, besides the genotypes.
type begun struct {
	baseline
	Space sizeOf `json:"space"`
}

// draw draws the random genotypes.
func (b baseline) draw(name string, window bool, seed uint64) (contest, error) {
	g, err := run.LoadGenotype(name)
	if err != nil {
		return contest{}, err
	}
	kind, s, err := b.space(name, g, window)
	if err != nil {
		return contest{}, err
	}
	c := contest{begun: begun{b, sizeOf{kind, s.Size(ops.IsNull).String()}}}
	for i := range b.Repeats {
		g.Name = fmt.Sprintf("found-%d", i+1)
		c.networks = append(c.networks, g)
	}
	random, err := draws(s, b.Random, seed)
	c.networks = append(c.networks, random...)
	return c, err
}

// write keeps it in the folder.
func (c contest) write(config configs.Train, dir *run.Dir) error {
	for _, g := range c.networks {
		var text bytes.Buffer
		if err := errors.Join(g.Encode(&text), dir.WriteFile(g.Name+".yaml", text.Bytes())); err != nil {
			return err
		}
	}
	resolved, err := config.YAML()
	if err != nil {
		return err
	}
	text, err := json.Marshal(c.begun)
	if err != nil {
		return err
	}
	// The configuration last: with it the folder can be gone on with.
	return errors.Join(dir.WriteFile(contestFile, text), dir.WriteConfig(resolved))
}

// space is where the found genotype comes from.
func (b baseline) space(name string, g genotype.Genotype, window bool) (string, space.Space, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if window {
			return "", space.Space{}, errors.New("--window is about genotypes that are no search's; the search has its own")
		}
		file := filepath.Join(name, run.ConfigFile)
		text, err := os.ReadFile(file)
		if err != nil {
			return "", space.Space{}, err
		}
		var kind struct {
			Search struct{ Kind search.Kind }
		}
		if err := yaml.Unmarshal(text, &kind); err != nil || kind.Search.Kind == "" {
			return "", space.Space{}, fmt.Errorf("%s is not the configuration of a search: name the search's folder, or a genotype", file)
		}
		c, err := configs.LoadSearch(kind.Search.Kind, configs.Overrides{File: file, Alone: true})
		if err != nil {
			return "", space.Space{}, err
		}
		s, err := c.Search.Space()
		return string(kind.Search.Kind), s, err
	}
	if len(g.Stages) == 0 {
		if window {
			return "", space.Space{}, fmt.Errorf("%s is a chain; --window is about stages", g.Name)
		}
		s := space.Cells(g.CellNames(), len(g.Cells[g.CellNames()[0]].Nodes), ops.Cell)
		return string(search.Cell), s, nil
	}
	l := space.Layout{Window: b.window, Ops: ops.Stage}
	for _, s := range g.Stages {
		l.Lengths = append(l.Lengths, len(s.Nodes))
	}
	s, err := space.Fixed(g).Under(l)
	return string(search.Stage), s, err
}

// runComparison trains what is not trained yet and sums up.
func (p *program) runComparison(ctx context.Context, c configs.Train, dir *run.Dir) (comparison, error) {
	text, err := os.ReadFile(dir.Path(contestFile))
	if err != nil {
		return comparison{}, err
	}
	var b begun
	if err := json.Unmarshal(text, &b); err != nil {
		return comparison{}, fmt.Errorf("%s: %w", dir.Path(contestFile), err)
	}
	result := comparison{Folder: dir.Path(), Space: b.Space}
	learn := func(name string, seed uint64) (float64, error) {
		g, err := run.LoadGenotype(dir.Path(name + ".yaml"))
		if err != nil {
			return 0, err
		}
		config := c
		config.Seed = seed
		var last train.Epoch
		err = p.inFolder(dir.Path(name), func(d *run.Dir) error {
			last, err = p.runTrain(ctx, config, g, d)
			return err
		})
		result.Networks = append(result.Networks, scored{name, dir.Path(name), last.Test.Top1})
		return last.Test.Top1, err
	}
	var found, random, ri []float64
	for i := range b.Repeats {
		top1, err := learn(fmt.Sprintf("found-%d", i+1), c.Seed+uint64(i))
		if err != nil {
			return result, err
		}
		found = append(found, top1)
	}
	result.Found = spreadOf(found)
	for i := range b.Random {
		top1, err := learn(fmt.Sprintf("random-%d", i+1), c.Seed+uint64(i))
		if err != nil {
			return result, err
		}
		random = append(random, top1)
		ri = append(ri, 100*(result.Found.Mean-top1)/top1)
	}
	result.Random, result.RI = spreadOf(random), spreadOf(ri)
	result.RI.Mean = 100 * (result.Found.Mean - result.Random.Mean) / result.Random.Mean
	text, err = json.MarshalIndent(result, "", "  ")
	if err != nil {
		return result, err
	}
	return result, dir.WriteFile("comparison.json", append(text, '\n'))
}

func (r comparison) write(w io.Writer) {
	fmt.Fprintf(w, "out of a %s space of %s genotypes\n\n", r.Space.Kind, r.Space.Size)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "network\ttest accuracy\t")
	for _, n := range r.Networks {
		fmt.Fprintf(t, "%s\t%s\t\n", n.Name, percent(n.Top1))
	}
	t.Flush()
	fmt.Fprintf(w, "\nfound   %s\nrandom  %s\nRI      %s; the paper: 0.44, DARTS 0.32\nruns    %s\n", r.Found.percent(), r.Random.percent(), r.RI.text(1, ""), r.Folder)
}
