package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/setting"
)

// Choice says which part of an experiment runs, at which size and where.
type Choice struct {
	Scale string
	Rows  []string // names of rows; empty: all
	Seeds int      // repetitions of each row; 0: those of the scale
	Root  string   // folder of the runs
	Found string   // name of the file in the folder of a search that has the genotype found
	// Set holds settings, KEY=VALUE, which win over all others: those of search are of every search, those of train of
	// every training, and the rest of both.
	Set []string
	// Variations are settings under which each network is trained, besides each other; empty: only the recipe's own.
	Variations []Variation
}

// except returns the settings but for those of a section.
func (c Choice) except(section string) []string {
	return slices.DeleteFunc(slices.Clone(c.Set), func(s string) bool { return strings.HasPrefix(s, section) })
}

// Graph is an experiment as runs, in an order in which each comes after those that it needs.
type Graph struct {
	Recipe Recipe
	Choice
	Nodes []Node
	Rows  []Networks
	Files map[string]genotype.Genotype // genotypes that the runs read, by path
}

// Node is a run: a search (or the best of several), or a training. Two experiments whose runs compute the same have the
// same node.
type Node struct {
	ID     string   // its kind and the digest of what its result depends on
	Name   string   // what it is, in words
	Folder string   // of the run
	Needs  []string // IDs of the runs before it
	Args   []string // of hdas; they begin the run or go on with it
	Search *configs.Search
	BestOf int            // searches of which the best is selected; 0: one
	Train  *configs.Train // of a training, and of the training that selects the best of several searches
	Form   configs.Form   // of the network
}

// Embedded reports whether the images of the run are part of the program.
func (n Node) Embedded() bool {
	if n.Search != nil {
		return n.Search.Data.Embedded()
	}
	return n.Train.Data.Embedded()
}

// Networks is a row with its runs.
type Networks struct {
	Row
	List    []Network
	Skipped string // why it has none at this scale
	// Of is the name of the recipe's row, and Variation that of the settings of its trainings; empty without variations.
	Of, Variation string
}

// Network is one repetition of a row.
type Network struct {
	Seed     uint64
	Genotype *genotype.Genotype // nil: the one that Search finds
	Search   string             // ID of its search; empty: none
	Train    string             // ID of its training; empty: none
}

// Graph returns the runs of an experiment. An error names the row or the setting that is wrong.
func (r Recipe) Graph(c Choice) (Graph, error) {
	scale, err := r.scale(c.Scale)
	if err != nil {
		return Graph{}, err
	}
	if c.Seeds == 0 {
		c.Seeds = max(1, scale.Seeds)
	}
	if c.Seeds < 1 || c.Seeds > most {
		return Graph{}, fmt.Errorf("%d seeds are not 1 to %d", c.Seeds, most)
	}
	for _, name := range c.Rows {
		if names := r.names(); !slices.Contains(names, name) {
			return Graph{}, fmt.Errorf("row %q %s", name, setting.Unknown(name, names))
		}
	}
	for _, s := range c.Set {
		if strings.HasPrefix(s, "seed=") {
			return Graph{}, errors.New("each run of an experiment has a seed of its own; choose their number instead")
		}
	}
	g := Graph{Recipe: r, Choice: c, Files: map[string]genotype.Genotype{}}
	b := builder{Graph: &g, scale: scale, known: map[string]bool{}, searches: map[string]configs.Search{}, trainings: map[string]configs.Train{}}
	for _, row := range r.Rows {
		if len(c.Rows) > 0 && !slices.Contains(c.Rows, row.Name) {
			continue
		}
		variations := c.Variations
		if len(variations) == 0 || row.Train == "" {
			variations = []Variation{{}}
		}
		for i, v := range variations {
			b.variation = v
			one := row
			if v.Name != "" {
				one.Name += ", " + v.Name
			}
			if i > 0 {
				one.Paper, one.Independent = Values{}, nil
			}
			n, err := b.row(one)
			if err != nil {
				return g, fmt.Errorf("row %q: %w", one.Name, err)
			}
			n.Of, n.Variation = row.Name, v.Name
			g.Rows = append(g.Rows, n)
		}
	}
	return g, nil
}

// Node returns the run with an ID.
func (g Graph) Node(id string) Node {
	return g.Nodes[slices.IndexFunc(g.Nodes, func(n Node) bool { return n.ID == id })]
}

func (r Recipe) names() (names []string) {
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	return names
}

// AllScales returns the sizes at which the experiment can run: the built-in ones and its own, by name.
func (r Recipe) AllScales() (map[string]Scale, error) {
	all := map[string]Scale{}
	d := yaml.NewDecoder(bytes.NewReader(configs.RecipeScales()))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("scales: %w", err)
	}
	maps.Copy(all, r.Scales)
	return all, nil
}

func (r Recipe) scale(name string) (Scale, error) {
	all, err := r.AllScales()
	if err != nil {
		return Scale{}, err
	}
	s, there := all[name]
	if !there {
		return s, fmt.Errorf("scale %q %s", name, setting.Unknown(name, slices.Sorted(maps.Keys(all))))
	}
	return s, nil
}

// builder adds the runs of rows to a graph.
type builder struct {
	*Graph
	scale Scale
	known map[string]bool // IDs
	// Loaded configurations, by file and settings.
	searches  map[string]configs.Search
	trainings map[string]configs.Train
	variation Variation
}

func (b *builder) row(row Row) (n Networks, err error) {
	n.Row = row
	var drawn []genotype.Genotype
	switch {
	case row.Unknown != "":
		return n, nil
	case row.Genotype != "":
		g, err := text.Load(row.Genotype)
		if err != nil {
			return n, err
		}
		if row.Operations != "" {
			g = replaced(g, row.Operations)
		}
		drawn = slices.Repeat([]genotype.Genotype{g}, b.Seeds)
		if row.Train == "" {
			drawn = drawn[:1]
		}
	case row.Random != "":
		if drawn, err = b.draws(row); err != nil {
			return n, err
		}
	default:
		drawn = make([]genotype.Genotype, b.Seeds)
	}
	for i := range drawn {
		one := Network{Seed: uint64(i)}
		if row.Search != "" {
			if one.Search, err = b.search(row.Search, one.Seed); err != nil {
				return n, fmt.Errorf("search %s: %w", row.Search, err)
			}
		} else {
			one.Genotype = &drawn[i]
		}
		if row.Train != "" {
			var skip string
			if one.Train, skip, err = b.training(row, one); err != nil {
				return n, fmt.Errorf("training %s: %w", row.Train, err)
			} else if skip != "" {
				return Networks{Row: row, Skipped: skip}, nil
			}
		}
		n.List = append(n.List, one)
	}
	return n, nil
}

// draws returns the networks of a row with Random.
func (b *builder) draws(row Row) ([]genotype.Genotype, error) {
	n := row.Draws
	if b.scale.Draws > 0 {
		n = b.scale.Draws
	}
	s := b.Recipe.Searches[row.Random]
	c, err := b.loadSearch(s, b.searchSet(s))
	if err != nil {
		return nil, err
	}
	space, err := c.Search.Space()
	if err != nil {
		return nil, err
	}
	return space.Draws(n, c.Seed, ops.IsNull)
}

func (b *builder) loadSearch(s Search, set []string) (c configs.Search, err error) {
	key := fmt.Sprintf("%q", append([]string{string(s.Kind), s.Config}, set...))
	c, there := b.searches[key]
	if !there {
		c, err = configs.LoadSearch(s.Kind, configs.Overrides{File: s.Config, Set: set})
		if err == nil {
			b.searches[key] = c
		}
	}
	return c, err
}

func (b *builder) loadTrain(o configs.Overrides) (c configs.Train, err error) {
	key := fmt.Sprintf("%q", append([]string{string(o.Form), o.File}, o.Set...))
	c, there := b.trainings[key]
	if !there {
		if c, err = configs.LoadTrain(o); err == nil {
			b.trainings[key] = c
		}
	}
	return c, err
}

func (b *builder) searchSet(s Search) []string {
	return slices.Concat(settings(b.scale.Search), settings(s.Set), b.except("train."))
}

// search adds a search with that seed and returns its ID.
func (b *builder) search(name string, seed uint64) (string, error) {
	s := b.Recipe.Searches[name]
	set := b.searchSet(s)
	n := Node{Name: fmt.Sprintf("search %s, seed %d", name, seed), BestOf: s.BestOf, Form: configs.FormOf(s.Kind.FindsStages())}
	if b.scale.BestOf > 0 && n.BestOf > 0 {
		n.BestOf = b.scale.BestOf
	}
	if n.BestOf > 0 {
		seed *= uint64(n.BestOf) // no two repetitions share a search
	}
	of := "" // the cells of another search
	resolve := set
	if s.Cells != "" {
		id, err := b.search(s.Cells, seed)
		if err != nil {
			return "", fmt.Errorf("search %s: %w", s.Cells, err)
		}
		cells := b.Node(id)
		n.Needs, of = []string{id}, id
		set = append(set, "search.cells="+filepath.Join(cells.Folder, b.Found))
		likeness := "DARTS_V1" // has the names of the cells that the search finds
		if cells.Search.Search.StageSpecific {
			likeness = "Hc_DAS_cells"
		}
		resolve = append(slices.Clone(resolve), "search.cells="+likeness)
	}
	c, err := b.loadSearch(s, resolve)
	if err != nil {
		return "", err
	}
	c.Seed = seed
	own := c
	n.Search = &own
	switch {
	case of != "":
		c.Search.Cells = of
	case !s.Kind.FindsCells(): // what they are, not where they come from
		g, err := text.Load(c.Search.Cells)
		if err != nil {
			return "", err
		}
		content, err := encoded(g)
		if err != nil {
			return "", err
		}
		c.Search.Cells = digest(content)
	}
	depends, err := c.YAML()
	if err != nil {
		return "", err
	}
	n.Args = append([]string{"search", string(s.Kind), "--config", s.Config, "--seed", fmt.Sprint(seed)}, flags("--set", set)...)
	parts := []any{depends}
	if n.BestOf > 0 {
		t := b.Recipe.Trainings[s.By]
		var set []string
		if n.Train, set, err = b.resolve(t, n.Form, Variation{}); err != nil {
			return "", fmt.Errorf("training %s: %w", s.By, err)
		}
		selecting, err := n.Train.YAML()
		if err != nil {
			return "", err
		}
		parts = append(parts, selecting, n.BestOf)
		n.Args = append(n.Args, "--seeds", fmt.Sprint(n.BestOf), "--select", t.Config)
		n.Args = append(n.Args, flags("--select-set", set)...)
		n.Name = fmt.Sprintf("best of %d searches %s, seeds from %d", n.BestOf, name, seed)
	}
	return b.add(n, "search", parts...)
}

// training adds the training of a network and returns its ID, or why there is none at this scale.
func (b *builder) training(row Row, of Network) (id, skip string, err error) {
	t := b.Recipe.Trainings[row.Train]
	n := Node{Name: fmt.Sprintf("training of %s, seed %d", row.Name, of.Seed)}
	var network any
	genotypeArg := ""
	if of.Search != "" {
		s := b.Node(of.Search)
		n.Needs, n.Form, network, genotypeArg = []string{of.Search}, s.Form, of.Search, s.Folder
	} else {
		g := *of.Genotype
		n.Form = configs.FormOf(len(g.Stages) > 0)
		content, err := encoded(g)
		if err != nil {
			return "", "", err
		}
		network, genotypeArg = content, row.Genotype
		if row.Operations != "" || row.Random != "" {
			genotypeArg = filepath.Join(b.Root, "genotypes", g.Name+"-"+digest(content)+".yaml")
			b.Files[genotypeArg] = *of.Genotype
		}
	}
	c, set, err := b.resolve(t, n.Form, b.variation)
	if err == errNoImageNet {
		return "", err.Error(), nil
	} else if err != nil {
		return "", "", err
	}
	c.Seed = of.Seed
	n.Train = c
	depends, err := c.YAML()
	if err != nil {
		return "", "", err
	}
	n.Args = append([]string{"train", genotypeArg, "--config", t.Config, "--seed", fmt.Sprint(of.Seed)}, flags("--set", set)...)
	id, err = b.add(n, "train", depends, network)
	return id, "", err
}

var errNoImageNet = errors.New("this scale has no settings for networks of ImageNet")

// resolve returns the configuration of a training with a variation, and the settings that make it.
func (b *builder) resolve(t Training, form configs.Form, v Variation) (*configs.Train, []string, error) {
	o := configs.Overrides{File: t.Config, Form: form}
	c, err := b.loadTrain(o)
	if err != nil {
		return nil, nil, err
	}
	o.Set = settings(b.scale.Train)
	if c.Network.Preset == plan.ImageNet {
		if s := b.scale; s.ImageNet == nil && (s.Train != nil || s.Search != nil) {
			return nil, nil, errNoImageNet
		}
		o.Set = append(o.Set, settings(b.scale.ImageNet)...)
	}
	o.Set = slices.Concat(o.Set, settings(t.Set), b.except("search."))
	c, err = b.loadTrain(o)
	if err != nil || v.Name == "" {
		return &c, o.Set, err
	}
	more, err := v.settings(c)
	if err != nil {
		return nil, nil, fmt.Errorf("variation %s: %w", v.Name, err)
	}
	o.Set = append(o.Set, more...)
	c, err = b.loadTrain(o)
	return &c, o.Set, err
}

// add adds a run unless it is there, and returns its ID.
func (b *builder) add(n Node, kind string, depends ...any) (string, error) {
	for i, d := range depends {
		if resolved, ok := d.([]byte); ok {
			text, err := without(resolved)
			if err != nil {
				return "", err
			}
			depends[i] = string(text)
		}
	}
	text, err := json.Marshal(depends)
	if err != nil {
		return "", err
	}
	n.ID = kind + "-" + digest(text)
	n.Folder = filepath.Join(b.Root, n.ID)
	n.Args = append(n.Args, "--out", n.Folder)
	if !b.known[n.ID] {
		b.known[n.ID] = true
		b.Nodes = append(b.Nodes, n)
	}
	return n.ID, nil
}

// encoded returns a genotype as YAML without what is only said of it.
func encoded(g genotype.Genotype) ([]byte, error) {
	g.Name, g.Source, g.Reported = "", "", genotype.Reported{}
	var text bytes.Buffer
	err := g.Encode(&text)
	return text.Bytes(), err
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:5])
}

// without returns a saved configuration, or a genotype, without what its result does not depend on.
func without(resolved []byte) ([]byte, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(resolved, &tree); err != nil {
		return nil, err
	}
	for _, key := range []string{"device", "threads", "cuda"} {
		delete(tree, key)
	}
	for section, keys := range map[string][]string{"data": {"dir", "workers"}, "search": {"checkpoint_steps"}, "train": {"checkpoint_steps"}} {
		if part, ok := tree[section].(map[string]any); ok {
			for _, key := range keys {
				delete(part, key)
			}
		}
	}
	return json.Marshal(tree)
}

// settings returns KEY=VALUE for each setting, sorted by key.
func settings(set map[string]any) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		value, ok := set[key].(string)
		if !ok {
			text, err := json.Marshal(set[key])
			if err != nil {
				panic(err) // YAML's scalars, lists and mappings with text keys have a JSON
			}
			value = string(text)
		}
		list = append(list, key+"="+value)
	}
	return list
}

func flags(name string, set []string) (args []string) {
	// The last value of a key counts, so that the others need not be shown.
	last := map[string]int{}
	for i, s := range set {
		key, _, _ := strings.Cut(s, "=")
		last[key] = i
	}
	for i, s := range set {
		if key, _, _ := strings.Cut(s, "="); last[key] == i {
			args = append(args, name, s)
		}
	}
	return args
}
