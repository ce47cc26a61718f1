// Package recipe describes experiments: searches, trainings, and the table whose rows they fill. A recipe is a YAML file.
// Graph makes it a graph of runs, each a command of hdas with a folder of its own.
package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/setting"
)

// Recipe is an experiment.
type Recipe struct {
	Name   string `yaml:"name"`
	About  string `yaml:"about"`  // what it measures, in a line
	Source string `yaml:"source"` // the table or figure of the paper
	Note   string `yaml:"note"`   // what a reader of the table must know
	// Searches and Trainings are what rows refer to, by name.
	Searches  map[string]Search   `yaml:"searches"`
	Trainings map[string]Training `yaml:"trainings"`
	Rows      []Row               `yaml:"rows"`
	// Reference is the row with which the others are compared; empty: none.
	Reference string `yaml:"reference"`
	// Scales replaces scales of these names (see AllScales), or adds to them.
	Scales map[string]Scale `yaml:"scales"`
}

// Search is a search of architectures.
type Search struct {
	Kind   configs.Kind   `yaml:"kind"`
	Config string         `yaml:"config"` // name of a built-in configuration, or a file
	Set    map[string]any `yaml:"set"`    // settings that differ, by key
	// Cells is the name of another search of the recipe, whose cells the stages have; empty: those of search.cells.
	Cells string `yaml:"cells"`
	// BestOf is the number of searches with different seeds of which the best is selected by the training By, on a part of
	// the training images (DARTS section 3.1); 0: one search, and no selection.
	BestOf int    `yaml:"best_of"`
	By     string `yaml:"by"`
}

// Training is the training of a network from scratch.
type Training struct {
	Config string         `yaml:"config"`
	Set    map[string]any `yaml:"set"`
}

// Row is a row of the table. One of Search, Genotype and Random says what its networks are; a row with Unknown has none.
type Row struct {
	Name     string `yaml:"name"`
	Search   string `yaml:"search"`   // the search that finds its networks, one for each seed
	Genotype string `yaml:"genotype"` // name, file or CELLS+STAGES
	Random   string `yaml:"random"`   // the search from whose space its networks are drawn, Draws of them
	Draws    int    `yaml:"draws"`
	// Operations, of a row with Genotype, replaces the operation of every edge of a stage.
	Operations string `yaml:"operations"`
	// Preset is the preset of the network of a row without training, for its size; empty: cifar.
	Preset plan.Preset `yaml:"preset"`
	Train  string      `yaml:"train"` // the training; empty: none, and the row has no error
	Paper  Values      `yaml:"paper"`
	// Independent is the error of an independent user of the authors' program, in percent.
	Independent *float64 `yaml:"independent"`
	Unknown     string   `yaml:"unknown"` // why the row cannot be reproduced
	Remark      string   `yaml:"remark"`
	// Reference is the row with which this one is compared, also itself; empty: the recipe's.
	Reference string `yaml:"reference"`
}

// Values are numbers that the paper reports; nil: none.
type Values struct {
	Error    *float64 `yaml:"error" json:"error,omitempty"`           // top-1 on the test images, in percent
	Top5     *float64 `yaml:"top5_error" json:"top5_error,omitempty"` // in percent
	Millions *float64 `yaml:"parameters" json:"parameters,omitempty"` // of parameters
	MACs     *float64 `yaml:"macs" json:"macs,omitempty"`             // multiply-adds, in millions
	Dead     *int     `yaml:"dead" json:"dead,omitempty"`             // dead cells of a stage
	Longest  *int     `yaml:"longest" json:"longest,omitempty"`       // longest path through a stage, in cells
	Days     *float64 `yaml:"days" json:"days,omitempty"`             // of one GPU, for the search
	RI       *float64 `yaml:"ri" json:"ri,omitempty"`                 // relative improvement over the reference, in percent
	Cells    []int    `yaml:"cells" json:"cells,omitempty"`           // of each stage
}

// Scale says at which size an experiment runs. Its settings replace those of the configurations; a row's own win.
type Scale struct {
	About    string         `yaml:"about"`
	Seeds    int            `yaml:"seeds"`    // repetitions of each row
	Draws    int            `yaml:"draws"`    // networks of a row with Random; 0: the row's own number
	BestOf   int            `yaml:"best_of"`  // of searches with a selection; 0: their own
	Search   map[string]any `yaml:"search"`   // of every search
	Train    map[string]any `yaml:"train"`    // of every training
	ImageNet map[string]any `yaml:"imagenet"` // of trainings with the preset imagenet, after Train
}

// Decode reads a recipe and checks it. The error names the file.
func Decode(r io.Reader, file string) (Recipe, error) {
	var c Recipe
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Load returns the recipe with that name, built in or a file.
func Load(name string) (Recipe, error) {
	text, err := configs.ReadRecipe(name)
	if err != nil {
		return Recipe{}, err
	}
	return Decode(bytes.NewReader(text), name)
}

// List returns the built-in recipes, by name.
func List() (list []Recipe, err error) {
	for _, name := range configs.Recipes() {
		r, err := Load(name)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Rows that can be run at most; a mistyped number shall not begin a million trainings.
const most = 1000

func (r Recipe) check() error {
	if r.Name == "" || len(r.Rows) == 0 {
		return errors.New("a recipe has a name and rows")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Searches)) {
		if err := r.checkSearch(r.Searches[name]); err != nil {
			return fmt.Errorf("search %s: %w", name, err)
		}
	}
	seen := map[string]bool{}
	for i, row := range r.Rows {
		if row.Name == "" || seen[row.Name] {
			return fmt.Errorf("row %d: its name %q is empty or another row's", i+1, row.Name)
		}
		seen[row.Name] = true
		if err := r.checkRow(row); err != nil {
			return fmt.Errorf("row %q: %w", row.Name, err)
		}
	}
	if r.Reference != "" && !seen[r.Reference] {
		return fmt.Errorf("reference: there is no row %q", r.Reference)
	}
	for _, row := range r.Rows {
		if row.Reference != "" && !seen[row.Reference] {
			return fmt.Errorf("row %q: reference: there is no row %q", row.Name, row.Reference)
		}
	}
	for name, s := range r.Scales {
		if s.Seeds < 0 || s.Seeds > most || s.Draws < 0 || s.Draws > most {
			return fmt.Errorf("scale %s: %d seeds and %d draws are not in 0 to %d", name, s.Seeds, s.Draws, most)
		}
	}
	return nil
}

func (r Recipe) checkSearch(s Search) error {
	if !slices.Contains(configs.Kinds, s.Kind) {
		return fmt.Errorf("kind %q %s", s.Kind, setting.Unknown(string(s.Kind), configs.Kinds))
	}
	if s.Cells != "" {
		of, there := r.Searches[s.Cells]
		switch {
		case !there:
			return fmt.Errorf("cells: there is no search %q", s.Cells)
		case !of.Kind.FindsCells() || of.Kind.FindsStages():
			return fmt.Errorf("cells: %s is a %s search, which does not find cells alone", s.Cells, of.Kind)
		case s.Kind.FindsCells():
			return fmt.Errorf("cells: a %s search finds its own", s.Kind)
		}
	}
	if (s.BestOf > 0) != (s.By != "") || s.BestOf < 0 || s.BestOf == 1 || s.BestOf > most {
		return fmt.Errorf("best_of %d and by %q: a selection has at least two searches and a training", s.BestOf, s.By)
	}
	return r.knownTraining(s.By)
}

func (r Recipe) knownTraining(name string) error {
	if _, there := r.Trainings[name]; name != "" && !there {
		return fmt.Errorf("there is no training %q", name)
	}
	return nil
}

func (r Recipe) checkRow(row Row) error {
	of := 0
	for _, name := range []string{row.Search, row.Genotype, row.Random, row.Unknown} {
		if name != "" {
			of++
		}
	}
	if of != 1 {
		return errors.New("it has one of search, genotype, random and unknown")
	}
	for _, name := range []string{row.Search, row.Random} {
		if _, there := r.Searches[name]; name != "" && !there {
			return fmt.Errorf("there is no search %q", name)
		}
	}
	if (row.Random != "") != (row.Draws > 0) || row.Draws > most {
		return fmt.Errorf("draws %d: it is the number of networks, 1 to %d, of a row with random, and of no other", row.Draws, most)
	}
	if row.Random != "" && r.Searches[row.Random].Cells != "" {
		return errors.New("random: networks are drawn before any search has run, and this search needs the cells of another")
	}
	if row.Operations != "" && row.Genotype == "" {
		return errors.New("operations is for a row with genotype")
	}
	if row.Preset != "" && row.Train != "" {
		return errors.New("preset is for a row without training")
	}
	return r.knownTraining(row.Train)
}

// replaced returns a genotype whose stages have that operation on every edge.
func replaced(g genotype.Genotype, op string) genotype.Genotype {
	g.Name += "_" + op
	g.Reported = genotype.Reported{}
	g.Stages = slices.Clone(g.Stages)
	for i := range g.Stages {
		s := &g.Stages[i]
		s.Nodes = slices.Clone(s.Nodes)
		for k := range s.Nodes {
			s.Nodes[k].In = slices.Clone(s.Nodes[k].In)
			for e := range s.Nodes[k].In {
				s.Nodes[k].In[e].Op = op
			}
		}
	}
	return g
}
