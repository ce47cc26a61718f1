package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/filekind"
	"hdas/live"
	"hdas/metric"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/search"
	"hdas/search/space"
	"hdas/train"
)

// Seeds says how a search or a training is repeated with N consecutive seeds, from the configuration's seed on.
type Seeds struct {
	N int
	Jobs
	// Select, of searches, is the configuration of the short trainings that select the best genotype. nil: no
	// selection, or that of the folder, if it was begun with one.
	Select *configs.Train
}

// The files of a folder of several seeds, besides the configuration of the runs: the number of seeds,
// the configuration of the selecting training, and the result.
const (
	seedsFile     = "seeds.json"
	selectionFile = "selection.yaml"
	summaryFile   = "summary.json"
)

// MostRuns is the largest number of runs that are begun at once: of seeds, and of genotypes to compare.
const MostRuns = 1000

// mostPlan is the largest size in bytes of a file that lists such runs.
const mostPlan = 1 << 20

// begun is the content of seedsFile.
type begun struct {
	Seeds   int `json:"seeds"`
	Threads int `json:"threads,omitempty"` // of each search
}

// share returns the configuration of one of the searches, with its number of threads.
func (s Seeds) share(c configs.Search, folder string) configs.Search {
	c.Threads = s.threads(c.Common, folder)
	return c
}

// threads returns the number of threads of each process of the runs in a folder, which may be empty.
func (s Seeds) threads(c configs.Common, folder string) int {
	var b begun
	if folder != "" {
		b, _ = readBegun(folder)
	}
	return s.Jobs.threads(c, b.Threads)
}

// check returns an error for numbers of runs that are not possible.
func (s Seeds) check() error {
	if s.N < 1 || s.N > MostRuns || s.Command == nil {
		return &ConfigError{fmt.Errorf("seeds: %d of them, with a command: %t; 1 to %d and a command are needed", s.N, s.Command != nil, MostRuns)}
	}
	return nil
}

// BegunSeeds returns the number of seeds of a folder, 0 if it is not a folder of several seeds.
func BegunSeeds(folder string) (int, error) {
	b, err := readBegun(folder)
	return b.Seeds, err
}

func readBegun(folder string) (b begun, err error) {
	file := filepath.Join(folder, seedsFile)
	text, err := filekind.Read(file, mostPlan)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err == nil && (b.Seeds < 1 || b.Seeds > MostRuns || b.Threads < 0 || b.Threads > 1024) {
		err = fmt.Errorf("%d seeds are not in 1..%d, or %d threads not in 0..1024", b.Seeds, MostRuns, b.Threads)
	}
	if err != nil {
		return begun{}, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// Untrainable is the error for a selecting training that cannot train the genotypes of the search.
type Untrainable struct{ Err error }

func (e *Untrainable) Error() string {
	return "what the search finds could not be trained: " + e.Err.Error()
}
func (e *Untrainable) Unwrap() error { return e.Err }

// keep writes the number of seeds and the configurations of searches to their folder. A selecting training that
// the folder already has is not replaced.
func (s Seeds) keep(c configs.Search, d *run.Dir) error {
	resolved, err := c.YAML()
	if err != nil {
		return err
	}
	if err := s.vacant(c.Common, d); err != nil {
		return err
	}
	if s.Select != nil {
		if err := trainable(c, *s.Select); err != nil {
			return &Untrainable{err}
		}
		training, err := s.Select.YAML()
		if err != nil {
			return err
		}
		if was, err := filekind.Read(d.Path(selectionFile), mostPlan); err == nil && !bytes.Equal(was, training) {
			return fmt.Errorf("%s was begun with another selecting training; choose another folder with --out", d.Path())
		}
		if err := d.WriteFile(selectionFile, training); err != nil {
			return err
		}
	}
	return s.write(resolved, c.Common, d)
}

// vacant returns an error if a new folder of seeds has what is not theirs.
func (s Seeds) vacant(c configs.Common, d *run.Dir) error {
	if run.Begun(d.Path()) {
		return nil
	}
	for _, folder := range s.folders(c, d) {
		if err := d.Vacant(filepath.Base(folder)); err != nil {
			return err
		}
	}
	return nil
}

// write writes the number of seeds and then the configuration, which marks the folder as one to be resumed.
func (s Seeds) write(resolved []byte, c configs.Common, d *run.Dir) error {
	text, err := json.Marshal(begun{s.N, s.threads(c, d.Path())})
	if err != nil {
		return err
	}
	return errors.Join(d.WriteFile(seedsFile, text), d.WriteConfig(resolved))
}

// selecting reports whether a folder holds the configuration of a selecting training.
func selecting(d *run.Dir) bool {
	_, err := os.Stat(d.Path(selectionFile))
	return err == nil
}

// trainable returns an error if a genotype of the search's space cannot be trained.
func trainable(c configs.Search, t configs.Train) error {
	drawn, err := Random(c, 1)
	if err != nil {
		return err
	}
	data, err := t.Data.Open(datasets.Train)
	if err != nil {
		return err
	}
	_, err = model.Describe(t.Network, data.Info(), t.Data.Spec).Plan(drawn[0])
	return err
}

// Seeded is the result of one seed.
type Seeded struct {
	Seed     uint64        `json:"seed"`
	Run      string        `json:"run"`
	Valid    float64       `json:"valid"`              // top-1 of the supernet after the last epoch, on the half of the data for the architecture
	Selected *metric.Score `json:"selected,omitempty"` // score after the short training, on the half of the data that it did not learn from
	genotype genotype.Genotype
}

// Summary is the result of several seeds.
type Summary struct {
	Folder    string   `json:"folder"`
	Seeds     []Seeded `json:"seeds"`
	Valid     Spread   `json:"valid"`
	Agreement Spread   `json:"agreement"`          // space.Agreement over all pairs of genotypes
	Selected  string   `json:"selected,omitempty"` // the file of the selected genotype
}

// SearchSeeds runs the searches that have not ended yet, each in a process and a folder of its own, and
// returns their summary. If a selecting training is given, it also selects the best genotype. If a search
// fails, the others go on, and the error names all that have failed. If ctx is cancelled, all searches are stopped with
// a checkpoint, and the error is a *Stopped.
func SearchSeeds(ctx context.Context, c configs.Search, s Seeds, d *run.Dir, w Watch) (Summary, error) {
	if err := s.check(); err != nil {
		return Summary{}, err
	}
	if err := s.keep(c, d); err != nil {
		return Summary{}, err
	}
	basis, err := w.beginSeeds(c, s, d)
	if err != nil {
		return Summary{}, err
	}
	if err := w.warnSeeds(ctx, c, s, d.Path()); err != nil {
		return Summary{}, err
	}
	kind := string(c.Search.Kind) + " search"
	if err := w.several(d, s.starting(w, kind, kind+"es", c.Common, c.Search.Epochs, basis, d)); err != nil {
		return Summary{}, err
	}
	shared := s.share(c, d.Path())
	begin := func(seed uint64, b run.Basis, folder string) error {
		one := shared
		one.Seed = seed
		return beginSearch(one, b, folder)
	}
	if err := s.runAll(ctx, c.Common, d, w, basis, begin); err != nil {
		return Summary{}, stopped(err, searchKind(c), d)
	}
	sum, err := s.sumUp(c, d)
	if err != nil {
		return sum, err
	}
	if selecting(d) {
		if err := w.selectBest(ctx, c.Common, &sum, d); err != nil {
			return sum, stopped(err, searchKind(c), d)
		}
	}
	return sum, writeJSON(d, summaryFile, sum)
}

// beginSeeds returns the basis of the searches, or an error if the data or the settings have changed since they
// began.
func (w Watch) beginSeeds(c configs.Search, s Seeds, d *run.Dir) (run.Basis, error) {
	m, err := w.remember(d.Path(), s.folders(c.Common, d)...)
	if err != nil {
		return run.Basis{}, err
	}
	spec, err := m.spec(c.Data.Spec)
	if err != nil {
		return run.Basis{}, err
	}
	learn, err := spec.Open(datasets.Train)
	if err != nil {
		return run.Basis{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return run.Basis{}, err
	}
	now, err := data{spec.Dir, "", map[string]datasets.Dataset{datasets.Train: learn}, map[string]datasets.Cut{testCut: spec.Cut}}.basis(resolved)
	if err != nil {
		return run.Basis{}, err
	}
	o, _, err := Watch{Devices: w.Devices}.again(c.Common, m.was.Last())
	if err != nil {
		return run.Basis{}, err
	}
	return w.keep(d, m, computed(now, o))
}

func seedFolder(d *run.Dir, seed uint64) string { return d.Path(fmt.Sprintf("seed-%d", seed)) }

// starting returns what several runs of a kind are.
func (s Seeds) starting(w Watch, kind, plural string, c configs.Common, epochs int, b run.Basis, d *run.Dir) live.Start {
	m := b.Last()
	m.Threads = s.threads(c, d.Path())
	start := w.starting(fmt.Sprintf("%d %s, seeds %d to %d", s.N, plural, c.Seed, c.Seed+uint64(s.N)-1), kind, c, epochs, m, d)
	start.Runs, start.AtOnce = s.N, s.atOnce(s.N)
	ofBasis(&start.Data, b)
	return start
}

// folders returns the folders of the runs.
func (s Seeds) folders(c configs.Common, d *run.Dir) (list []string) {
	for i := range s.N {
		list = append(list, seedFolder(d, c.Seed+uint64(i)))
	}
	return list
}

// runAll does the runs that have not ended. begin prepares the folder of the run with that seed.
func (s Seeds) runAll(ctx context.Context, c configs.Common, d *run.Dir, w Watch, basis run.Basis, begin func(seed uint64, b run.Basis, folder string) error) error {
	var list []oneOf
	basis.Machine, basis.Later = basis.Last(), nil
	basis.Threads = s.threads(c, d.Path())
	for i, folder := range s.folders(c, d) {
		seed := c.Seed + uint64(i)
		list = append(list, oneOf{fmt.Sprintf("seed %d", seed), folder, func() error { return begin(seed, basis, folder) }})
	}
	return s.Jobs.runAll(ctx, d, w, list)
}

// beginSearch writes the configuration of a search to its folder, so that resuming it depends on no other
// file and on no environment variable.
func beginSearch(c configs.Search, basis run.Basis, folder string) error {
	if run.Begun(folder) {
		return nil
	}
	text, err := c.YAML()
	if err != nil {
		return err
	}
	return inFolder(folder, func(d *run.Dir) error { return errors.Join(inherit(d, basis), d.WriteConfig(text)) })
}

// sumUp returns the summary of the searches, from their folders.
func (s Seeds) sumUp(c configs.Search, d *run.Dir) (Summary, error) {
	sum := Summary{Folder: d.Path()}
	sp, err := c.Search.Space()
	if err != nil {
		return sum, err
	}
	var valid []float64
	for i := range s.N {
		r := Seeded{Seed: c.Seed + uint64(i)}
		r.Run = seedFolder(d, r.Seed)
		if r.genotype, err = run.LoadGenotype(r.Run); err != nil {
			return sum, err
		}
		last, err := lastEpoch(r.Run)
		if err != nil {
			return sum, err
		}
		r.Valid = last.Valid.Top1
		valid = append(valid, r.Valid)
		sum.Seeds = append(sum.Seeds, r)
	}
	sum.Valid, sum.Agreement = spreadOf(valid), spreadOf(agreements(sp, sum.Seeds))
	return sum, nil
}

// agreements returns the agreement of each pair of genotypes.
func agreements(s space.Space, rs []Seeded) []float64 {
	var all []float64
	for i, a := range rs {
		for _, b := range rs[:i] {
			all = append(all, s.Agreement(a.genotype, b.genotype))
		}
	}
	return all
}

// lastEpoch returns the last record of a search.
func lastEpoch(folder string) (e search.Epoch, err error) {
	err = eachEpoch(folder, func(r search.Epoch) { e = r })
	return e, err
}

// eachEpoch calls f with the records of the run in a folder.
func eachEpoch[E any](folder string, f func(E)) error {
	d, err := run.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Records(func(line []byte) error {
		var e E
		err := json.Unmarshal(line, &e)
		f(e)
		return err
	})
}

// where returns the settings of a training with the device and the number of threads of the searches that it selects from,
// where it names none of its own.
func where(c, searches configs.Common) configs.Common {
	if c.Device == configs.AutoDevice {
		c.Device = searches.Device
	}
	if c.Threads == 0 {
		c.Threads = searches.Threads
	}
	return c
}

// selectBest trains the genotype of each seed on one half of the training data and selects the one with
// the highest accuracy on the other half, as DARTS does.
func (w Watch) selectBest(ctx context.Context, of configs.Common, sum *Summary, d *run.Dir) error {
	c, err := configs.LoadTrain(configs.Overrides{File: d.Path(selectionFile), Alone: true})
	if err != nil {
		return err
	}
	c.Common = where(c.Common, of)
	w.Configuration = d.Path(selectionFile)
	selection := func(i int) string { return filepath.Join(sum.Seeds[i].Run, "selection") }
	m, err := w.remember(selection(0))
	if err != nil {
		return err
	}
	searches, _, _, err := run.ReadBasis(d.Path())
	if err != nil {
		return err
	}
	spec, err := m.spec(c.Data.Spec)
	if err != nil {
		return err
	}
	whole, err := spec.Open(datasets.Train)
	if err != nil {
		return err
	}
	learn, held, halves := datasets.HalvesAt(whole, c.Seed, m.cut(selectionCut))
	x := data{spec.Dir, "selection ", map[string]datasets.Dataset{datasets.Train: learn, datasets.Test: held}, map[string]datasets.Cut{testCut: spec.Cut, selectionCut: halves}}
	x.validate(c, m.cut(validCut))
	best := -1
	for i := range sum.Seeds {
		r := &sum.Seeds[i]
		var last train.Epoch
		err := inFolder(selection(i), func(d *run.Dir) error {
			if m.known {
				if err := inherit(d, m.was); err != nil {
					return err
				}
			}
			own, err := w.remember(d.Path())
			if err != nil {
				return err
			}
			if !own.known {
				own.was.Machine = searches.Last()
			}
			last, err = w.train(ctx, c, r.genotype, x, own, d)
			return err
		})
		if err != nil {
			return fmt.Errorf("selection of seed %d: %w", r.Seed, err)
		}
		if r.Selected = &last.Test; best < 0 || last.Test.Top1 > sum.Seeds[best].Selected.Top1 {
			best = i
		}
	}
	sum.Selected = d.Path(run.GenotypeFile)
	return writeGenotype(d, sum.Seeds[best].genotype)
}
