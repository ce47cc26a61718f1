package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/run"
	"hdas/search/space"
	"hdas/train"
)

// Found is a genotype and, where it is the folder of a search that was named, that search.
type Found struct {
	Genotype genotype.Genotype
	Search   *configs.Search
}

// LoadFound returns the genotype that a name means, as run.LoadGenotype does.
func LoadFound(name string) (f Found, err error) {
	if f.Genotype, err = run.LoadGenotype(name); err != nil {
		return f, err
	}
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return f, nil
	}
	file := filepath.Join(name, run.ConfigFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return f, err
	}
	var kind struct {
		Search struct{ Kind configs.Kind }
	}
	if err := yaml.Unmarshal(text, &kind); err != nil || kind.Search.Kind == "" {
		return f, fmt.Errorf("%s is not the configuration of a search: name the search's folder, or a genotype", file)
	}
	c, err := configs.LoadSearch(kind.Search.Kind, configs.Overrides{File: file, Alone: true})
	f.Search = &c
	return f, err
}

// space is that of the search; of another genotype, its stages over its own cells with that window, or,
// of a chain, its cells.
func (f Found) space(window int) (configs.Kind, space.Space, error) {
	g := f.Genotype
	switch {
	case f.Search != nil:
		s, err := f.Search.Search.Space()
		return f.Search.Search.Kind, s, err
	case len(g.Stages) == 0:
		return configs.CellSearch, space.Cells(g.CellNames(), len(g.Cells[g.CellNames()[0]].Nodes), ops.Cell), nil
	}
	var lengths []int
	for _, s := range g.Stages {
		lengths = append(lengths, len(s.Nodes))
	}
	s, err := space.Fixed(g).Under(lengths, window, genotype.Candidates{Stage: ops.Stage})
	return configs.StageSearch, s, err
}

// Baseline says what a found genotype is compared with.
type Baseline struct {
	Random  int `json:"random"`  // genotypes drawn
	Repeats int `json:"repeats"` // trainings of the found one
	// Window is that of stages that are no search's: how many states before it a cell may read.
	Window int `json:"-"`
}

// SpaceSize is the number of genotypes of a space.
type SpaceSize struct {
	Kind string `json:"kind"`
	Size string `json:"size"`
}

// Contest is what is compared: genotypes found-1, found-2 and so on, and random-1, random-2 and so on.
type Contest struct {
	Baseline
	Space    SpaceSize `json:"space"`
	networks []genotype.Genotype
}

// NewContest draws the random genotypes from the space of the one that was found.
func NewContest(f Found, b Baseline, seed uint64) (Contest, error) {
	if b.Random < 1 || b.Repeats < 1 {
		return Contest{}, &ConfigError{fmt.Errorf("%d random genotypes and %d trainings of the found one: at least one of each is needed", b.Random, b.Repeats)}
	}
	kind, s, err := f.space(b.Window)
	if err != nil {
		return Contest{}, err
	}
	c := Contest{Baseline: b, Space: SpaceSize{string(kind), s.Size(ops.IsNull).String()}}
	for i := range b.Repeats {
		f.Genotype.Name = fmt.Sprintf("found-%d", i+1)
		c.networks = append(c.networks, f.Genotype)
	}
	random, err := draws(s, b.Random, seed)
	c.networks = append(c.networks, random...)
	return c, err
}

// The files of a comparison's folder, besides the configuration and the genotypes: what was begun, and
// its result.
const (
	contestFile    = "compare.json"
	comparisonFile = "comparison.json"
)

// Begin writes the contest and the configuration of its trainings into a folder, from which Compare
// goes on.
func (k Contest) Begin(c configs.Train, d *run.Dir) error {
	for _, g := range k.networks {
		var text bytes.Buffer
		if err := errors.Join(g.Encode(&text), d.WriteFile(g.Name+".yaml", text.Bytes())); err != nil {
			return err
		}
	}
	resolved, err := c.YAML()
	if err != nil {
		return err
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	// The configuration last: with it the folder can be gone on with.
	return errors.Join(d.WriteFile(contestFile, text), d.WriteConfig(resolved))
}

// Comparison is the result of a contest.
type Comparison struct {
	Folder   string    `json:"folder"`
	Space    SpaceSize `json:"space"`
	Networks []Scored  `json:"networks"`
	Found    Spread    `json:"found"`  // top-1 on the test images, of the repeated trainings
	Random   Spread    `json:"random"` // of the random genotypes
	RI       Spread    `json:"ri"`     // percent: 100 (found - random) / random; the spread is that over the random ones
}

// Scored is one training.
type Scored struct {
	Name string  `json:"name"`
	Run  string  `json:"run"`
	Top1 float64 `json:"top1"` // on the test images, last epoch
}

// Compare trains the networks of the folder's contest that are not trained yet, one after the other, and
// sums up. The end of ctx is a *Stopped.
func Compare(ctx context.Context, c configs.Train, d *run.Dir, w Watch) (Comparison, error) {
	r := Comparison{Folder: d.Path()}
	var k Contest
	text, err := os.ReadFile(d.Path(contestFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &k); err != nil {
		return r, fmt.Errorf("%s: %w", d.Path(contestFile), err)
	}
	r.Space = k.Space
	found, err := w.compete(ctx, c, d, &r, "found", k.Repeats)
	if err != nil {
		return r, err
	}
	random, err := w.compete(ctx, c, d, &r, "random", k.Random)
	if err != nil {
		return r, err
	}
	r.Found, r.Random = spreadOf(found), spreadOf(random)
	var ri []float64
	for _, top1 := range random {
		ri = append(ri, 100*(r.Found.Mean-top1)/top1)
	}
	r.RI = spreadOf(ri)
	r.RI.Mean = 100 * (r.Found.Mean - r.Random.Mean) / r.Random.Mean
	return r, writeJSON(d, comparisonFile, r)
}

// compete trains the networks of that name, with seeds from the configuration's on, and returns the top-1
// of each on the test images.
func (w Watch) compete(ctx context.Context, c configs.Train, d *run.Dir, r *Comparison, name string, n int) (top1 []float64, err error) {
	for i := range n {
		folder := d.Path(fmt.Sprintf("%s-%d", name, i+1))
		g, err := run.LoadGenotype(folder + ".yaml")
		if err != nil {
			return top1, err
		}
		config := c
		config.Seed += uint64(i)
		var last train.Epoch
		err = within(folder, func(d *run.Dir) (err error) {
			last, err = Train(ctx, config, g, d, w)
			return err
		})
		if err != nil {
			return top1, stopped(err, "compare", d)
		}
		r.Networks = append(r.Networks, Scored{filepath.Base(folder), folder, last.Test.Top1})
		top1 = append(top1, last.Test.Top1)
	}
	return top1, nil
}

// within runs f in the folder of a run, a new one or one that is gone on with.
func within(folder string, f func(d *run.Dir) error) error {
	d, err := run.Begin(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d)
}

func writeJSON(d *run.Dir, name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return d.WriteFile(name, append(text, '\n'))
}
