package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/internal/filekind"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/run"
	"hdas/search/space"
)

// Found is a genotype. If it comes from the folder of a search, Search is the configuration of that
// search; otherwise Search is nil.
type Found struct {
	Genotype genotype.Genotype
	Search   *configs.Search
}

// LoadFound returns the genotype of a name, a file or a folder, as run.LoadGenotype does.
func LoadFound(name string) (f Found, err error) {
	if f.Genotype, err = run.LoadGenotype(name); err != nil {
		return f, err
	}
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return f, nil
	}
	file := filepath.Join(name, run.ConfigFile)
	text, err := filekind.Read(file, mostPlan)
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

// space returns the space from which random genotypes are drawn: the space of the search, if there is
// one; for another genotype with stages, the space of stages of its lengths and that window over its own
// cells; for a chain, the space of its cells.
func (f Found) space(window int) (configs.Kind, space.Space, error) {
	g := f.Genotype
	switch {
	case f.Search != nil:
		s, err := f.Search.Search.Space()
		return f.Search.Search.Kind, s, err
	case len(g.Stages) == 0:
		return configs.CellSearch, space.Cells(g.CellNames(), len(g.Cells[g.CellNames()[0]].Nodes), ops.Cell), nil
	}
	s, err := space.Fixed(g).Under(g.Lengths(), window, genotype.Candidates{Stage: ops.Stage})
	return configs.StageSearch, s, err
}

// Baseline says with how many random genotypes a found genotype is compared.
type Baseline struct {
	Random  int `json:"random"`  // number of random genotypes; 0: the found one alone, with its spread
	Repeats int `json:"repeats"` // number of trainings of the found genotype
	// Window is the number of preceding states that a cell of a stage may read. It is used for
	// genotypes that do not come from the folder of a search.
	Window int `json:"-"`
}

func (b Baseline) check() error {
	if b.Random < 0 || b.Repeats < 1 || b.Random > MostRuns || b.Repeats > MostRuns {
		return fmt.Errorf("%d random genotypes are not 0 to %d, or %d trainings of the found one not 1 to %d", b.Random, MostRuns, b.Repeats, MostRuns)
	}
	return nil
}

// SpaceSize is the number of genotypes of a space.
type SpaceSize struct {
	Kind string `json:"kind"`
	Size string `json:"size"`
}

// String returns the size in words, as in "a stage space of 282,429,536,481 genotypes", with three digits if there are
// more than 15.
func (s SpaceSize) String() string {
	n := s.Size
	if len(n) > 15 {
		if v, ok := new(big.Float).SetString(n); ok {
			n = v.Text('e', 2)
		}
	} else {
		n = Thousands(n)
	}
	return fmt.Sprintf("a %s space of %s genotypes", s.Kind, n)
}

// Thousands returns the digits of a number with commas between groups of three.
func Thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// ComparePlan lists the genotypes that Compare trains: found-1, found-2 and so on, and random-1,
// random-2 and so on.
type ComparePlan struct {
	Baseline
	Space    SpaceSize `json:"space"`
	networks []genotype.Genotype
}

// NewComparePlan returns a plan with random genotypes, drawn from the space of f. Numbers below 1 are a
// *ConfigError.
func NewComparePlan(f Found, b Baseline, seed uint64) (ComparePlan, error) {
	if err := b.check(); err != nil {
		return ComparePlan{}, &ConfigError{err}
	}
	kind, s, err := f.space(b.Window)
	if err != nil {
		return ComparePlan{}, err
	}
	random, err := s.Draws(b.Random, seed, ops.IsNull)
	return planOf(b, SpaceSize{string(kind), s.Size(ops.IsNull).String()}, f.Genotype, random), err
}

// planOf returns the plan with these genotypes.
func planOf(b Baseline, s SpaceSize, found genotype.Genotype, random []genotype.Genotype) ComparePlan {
	c := ComparePlan{Baseline: b, Space: s}
	for i := range b.Repeats {
		found.Name = fmt.Sprintf("found-%d", i+1)
		c.networks = append(c.networks, found)
	}
	c.networks = append(c.networks, random...)
	return c
}

// The files of a comparison's folder, besides the configuration and the genotypes: the plan and the
// result.
const (
	planFile       = "compare.json"
	comparisonFile = "comparison.json"
)

// Begin writes the plan, its genotypes and the configuration of the trainings to a folder, which Compare
// then uses. If the folder holds a comparison, it returns an error unless that is the same.
func (p ComparePlan) Begin(c configs.Train, d *run.Dir) error {
	if h, err := HeldIn(d.Path()); err != nil || h.Comparison {
		return errors.Join(err, p.same(d))
	}
	for _, g := range p.networks {
		if err := d.Vacant(g.Name, g.Name+".yaml"); err != nil {
			return err
		}
	}
	for _, g := range p.networks {
		var text bytes.Buffer
		if err := errors.Join(g.Encode(&text), d.WriteFile(g.Name+".yaml", text.Bytes())); err != nil {
			return err
		}
	}
	c.Form = configs.FormOf(len(p.networks[0].Stages) > 0)
	resolved, err := c.YAML()
	if err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	// The configuration is written last, because it marks the folder as resumable.
	return errors.Join(d.WriteFile(planFile, text), d.WriteConfig(resolved))
}

// Comparison is the result of Compare.
type Comparison struct {
	Folder   string    `json:"folder"`
	Space    SpaceSize `json:"space"`
	Networks []Scored  `json:"networks"`
	Found    Spread    `json:"found"`            // top-1 on the test images, over the repeated trainings
	Random   *Spread   `json:"random,omitempty"` // top-1 on the test images, over the random genotypes; nil without any
	// Difference is Found - Random by Welch's t-test; nil with fewer than two trainings of either.
	Difference *Difference `json:"difference,omitempty"`
	RI         *Spread     `json:"ri,omitempty"` // relative improvement in percent, 100 (found - random) / random; SD is over the random genotypes
}

// Scored is the result of one training.
type Scored struct {
	Name string  `json:"name"`
	Run  string  `json:"run"`
	Top1 float64 `json:"top1"` // on the test images, last epoch
}

// Compare trains the networks of the folder's plan that are not trained yet, and returns the comparison: side by side
// or, if p has no command, one after the other in this process. If one fails, the others go on, and the error names all that
// have failed. If ctx is cancelled, it returns a *Stopped error.
func Compare(ctx context.Context, c configs.Train, p Jobs, d *run.Dir, w Watch) (Comparison, error) {
	r := Comparison{Folder: d.Path()}
	k, list, err := planned(d, c.Seed)
	if err != nil {
		return r, err
	}
	r.Space = k.Space
	c.Form = configs.FormOf(len(list[0].Stages) > 0)
	if p.Command != nil {
		was, _, _, err := run.ReadBasis(d.Path())
		if err != nil {
			return r, err
		}
		c.Threads = p.threads(c.Common, was.Last().Threads)
	}
	basis, err := w.beginTrainings(c, d, k.folders(d))
	if err != nil {
		return r, err
	}
	if err := w.warnTrainings(ctx, c, list[0].Genotype, len(list), p); err != nil {
		return r, err
	}
	start := w.starting(fmt.Sprintf("comparison of %d trainings", len(list)), "comparison", c.Common, c.Train.Epochs, basis.Last(), d)
	start.Runs, start.AtOnce = len(list), p.atOnce(len(list))
	ofBasis(&start.Data, basis)
	if err := w.several(d, start); err != nil {
		return r, err
	}
	if err := w.trainAll(ctx, c, p, d, basis, list); err != nil {
		return r, stopped(err, "compare", d)
	}
	var found, random []float64
	for i, n := range list {
		last, err := lastTraining(n.folder)
		if err != nil {
			return r, err
		}
		r.Networks = append(r.Networks, Scored{n.Name, n.folder, last.Test.Top1})
		if i < k.Repeats {
			found = append(found, last.Test.Top1)
		} else {
			random = append(random, last.Test.Top1)
		}
	}
	r.Found = spreadOf(found)
	if k.Random > 0 {
		of, ri := spreadOf(random), improvement(r.Found.Mean, random)
		r.Random, r.RI, r.Difference = &of, &ri, r.Found.Minus(of)
	}
	return r, writeJSON(d, comparisonFile, r)
}

// compared is a network of a comparison.
type compared struct {
	genotype.Genotype // with the name of its folder
	folder            string
	seed              uint64
}

// planned returns the plan in a folder and its networks. Those that were found have consecutive seeds from the given one
// on, and so have the random ones.
func planned(d *run.Dir, seed uint64) (k ComparePlan, list []compared, err error) {
	text, err := filekind.Read(d.Path(planFile), mostPlan)
	if err != nil {
		return k, nil, err
	}
	if err = json.Unmarshal(text, &k); err == nil {
		err = k.check()
	}
	if err != nil {
		return k, nil, fmt.Errorf("%s: %w", d.Path(planFile), err)
	}
	for i, folder := range k.folders(d) {
		g, err := run.LoadGenotype(folder + ".yaml")
		if err != nil {
			return k, nil, err
		}
		if i >= k.Repeats {
			i -= k.Repeats
		}
		list = append(list, compared{g, folder, seed + uint64(i)})
	}
	return k, list, nil
}

// beginTrainings returns the basis of several trainings with their folders, or an error if the data or the settings
// have changed since they began.
func (w Watch) beginTrainings(c configs.Train, d *run.Dir, folders []string) (run.Basis, error) {
	m, err := w.remember(d.Path(), folders...)
	if err != nil {
		return run.Basis{}, err
	}
	x, err := openBoth(c, m)
	if err != nil {
		return run.Basis{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return run.Basis{}, err
	}
	now, err := x.basis(resolved)
	if err != nil {
		return run.Basis{}, err
	}
	o, _, err := Watch{Devices: w.Devices}.again(c.Common, m.was.Last())
	if err != nil {
		return run.Basis{}, err
	}
	return w.keep(d, m, computed(now, o))
}

// folders returns the folders of the trainings.
func (k ComparePlan) folders(d *run.Dir) (list []string) {
	for i := range k.Repeats {
		list = append(list, d.Path(fmt.Sprintf("found-%d", i+1)))
	}
	for i := range k.Random {
		list = append(list, d.Path(fmt.Sprintf("random-%d", i+1)))
	}
	return list
}

// trainAll trains the networks of a comparison that are not trained yet.
func (w Watch) trainAll(ctx context.Context, c configs.Train, p Jobs, d *run.Dir, basis run.Basis, list []compared) error {
	var runs []oneOf
	var failed []error
	for _, n := range list {
		config := c
		config.Seed = n.seed
		if p.Command != nil {
			runs = append(runs, oneOf{n.Name, n.folder, func() error { return beginTraining(config, n.Genotype, basis, n.folder) }})
			continue
		}
		err := inFolder(n.folder, func(d *run.Dir) error {
			if err := inherit(d, basis); err != nil {
				return err
			}
			_, err := Train(ctx, config, n.Genotype, d, w)
			return err
		})
		if errors.Is(err, run.ErrStopped) {
			return err
		} else if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w (in %s)", n.Name, err, n.folder))
		}
	}
	if p.Command != nil {
		return p.runAll(ctx, d, w, runs)
	}
	return someFailed(failed, len(list), d, nil)
}

// inFolder calls f with the folder of a run, which it creates or opens.
func inFolder(folder string, f func(d *run.Dir) error) error {
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
