package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"hdas/configs"
	"hdas/datasets"
	"hdas/lab/jobs"
	"hdas/metric"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/search"
	"hdas/search/space"
	"hdas/train"
)

// Seeds says how a search is repeated with several seeds, from the configuration's on.
type Seeds struct {
	N    int
	Jobs int // searches at once; where the configuration has no threads, they are shared out among them
	// Command is the program and the arguments that go on with the search in a folder, which holds its
	// configuration. It ends with ExitStopped where that is stopped.
	Command func(folder string) []string
	// Select is the training by which the best genotype is selected; nil: none is, or the one that the
	// folder was begun with.
	Select *configs.Train
}

// The files of a folder of several seeds, besides the search's configuration: how many they are, the
// configuration of the selecting training, and the result.
const (
	seedsFile     = "seeds.json"
	selectionFile = "selection.yaml"
	summaryFile   = "summary.json"
)

// begun is what seedsFile holds.
type begun struct {
	Seeds int `json:"seeds"`
}

// BegunSeeds returns how many seeds a folder was begun with, 0 where it is no folder of several.
func BegunSeeds(folder string) (int, error) {
	file := filepath.Join(folder, seedsFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, nil
	}
	var b begun
	if err := json.Unmarshal(text, &b); err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return b.Seeds, nil
}

// Untrainable is the fault of a selecting training that could not learn what the search finds.
type Untrainable struct{ Err error }

func (e *Untrainable) Error() string {
	return "what the search finds could not be trained: " + e.Err.Error()
}
func (e *Untrainable) Unwrap() error { return e.Err }

// keep writes what the seeds are begun with into their folder. The selecting training of a folder that has
// one stays.
func (s Seeds) keep(c configs.Search, d *run.Dir) error {
	resolved, err := c.YAML()
	if err != nil {
		return err
	}
	text, err := json.Marshal(begun{s.N})
	if err != nil {
		return err
	}
	if s.Select != nil && !selecting(d) {
		if err := trainable(c, *s.Select); err != nil {
			return &Untrainable{err}
		}
		training, err := s.Select.YAML()
		if err != nil {
			return err
		}
		if err := d.WriteFile(selectionFile, training); err != nil {
			return err
		}
	}
	return errors.Join(d.WriteFile(seedsFile, text), d.WriteConfig(resolved))
}

// selecting reports whether a folder holds the configuration of a selecting training.
func selecting(d *run.Dir) bool {
	_, err := os.Stat(d.Path(selectionFile))
	return err == nil
}

// trainable plans the training of a genotype out of the search's space.
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
	Valid    float64       `json:"valid"`              // the last supernet's top-1 on the architecture's half
	Selected *metric.Score `json:"selected,omitempty"` // of the short training, on the half that it did not learn from
	genotype genotype.Genotype
}

// Summary is the result of several seeds.
type Summary struct {
	Folder    string   `json:"folder"`
	Seeds     []Seeded `json:"seeds"`
	Valid     Spread   `json:"valid"`
	Agreement Spread   `json:"agreement"`          // of the genotypes, over all pairs
	Selected  string   `json:"selected,omitempty"` // the genotype that the short trainings select
}

// SearchSeeds runs the searches that are not done yet, each in a process and a folder of its own, sums
// them up, and selects the best by a short training, if one is given. The first search that fails, or
// the end of ctx, stops all, with a checkpoint each; the latter is a *Stopped.
func SearchSeeds(ctx context.Context, c configs.Search, s Seeds, d *run.Dir, w Watch) (Summary, error) {
	if s.N < 1 || s.Command == nil {
		return Summary{}, &ConfigError{fmt.Errorf("seeds: %d of them, with a command: %t; at least one and a command are needed", s.N, s.Command != nil)}
	}
	if err := s.keep(c, d); err != nil {
		return Summary{}, err
	}
	if err := s.searchAll(ctx, c, d, w); err != nil {
		return Summary{}, stopped(err, searchKind(c), d)
	}
	sum, err := s.sumUp(c, d)
	if err != nil {
		return sum, err
	}
	if selecting(d) {
		if err := w.selectBest(ctx, &sum, d); err != nil {
			return sum, stopped(err, searchKind(c), d)
		}
	}
	return sum, writeJSON(d, summaryFile, sum)
}

func seedFolder(d *run.Dir, seed uint64) string { return d.Path(fmt.Sprintf("seed-%d", seed)) }

// searchAll runs the searches, some at once.
func (s Seeds) searchAll(ctx context.Context, c configs.Search, d *run.Dir, w Watch) error {
	var list []jobs.Job
	for i := range s.N {
		one := c
		one.Seed += uint64(i)
		if s.Jobs > 1 && c.Threads == 0 {
			one.Threads = max(1, runtime.NumCPU()/s.Jobs)
		}
		folder := seedFolder(d, one.Seed)
		list = append(list, jobs.Job{Name: fmt.Sprintf("seed %d", one.Seed), Command: s.Command(folder), Prepare: func() error { return beginSearch(one, folder) }})
	}
	err := jobs.Runner{Limit: s.Jobs, Line: w.Line}.Run(ctx, list)
	var failed *jobs.Error
	switch {
	case ctx.Err() != nil:
		return run.ErrStopped
	case errors.As(err, &failed) && failed.Exit == ExitStopped:
		return fmt.Errorf("%s: %w", failed.Job, run.ErrStopped)
	}
	return err
}

// beginSearch writes the configuration of a search into its folder, so that going on with it depends on
// no other file and no variable of the environment.
func beginSearch(c configs.Search, folder string) error {
	if run.Begun(folder) {
		return nil
	}
	text, err := c.YAML()
	if err != nil {
		return err
	}
	return within(folder, func(d *run.Dir) error { return d.WriteConfig(text) })
}

// sumUp reads what the searches left.
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

// agreements returns how far the genotypes of each pair agree.
func agreements(s space.Space, rs []Seeded) []float64 {
	var all []float64
	for i, a := range rs {
		for _, b := range rs[:i] {
			all = append(all, s.Agreement(a.genotype, b.genotype))
		}
	}
	return all
}

// lastEpoch reads the last record of a search.
func lastEpoch(folder string) (e search.Epoch, err error) {
	d, err := run.Open(folder)
	if err != nil {
		return e, err
	}
	defer d.Close()
	err = d.Records(func(line []byte) error {
		e = search.Epoch{}
		return json.Unmarshal(line, &e)
	})
	return e, err
}

// selectBest trains what each seed found on one half of the training data and keeps the one that does
// best on the other, as DARTS selects among its runs.
func (w Watch) selectBest(ctx context.Context, sum *Summary, d *run.Dir) error {
	c, err := configs.LoadTrain(configs.Overrides{File: d.Path(selectionFile), Alone: true})
	if err != nil {
		return err
	}
	data, err := c.Data.Open(datasets.Train)
	if err != nil {
		return err
	}
	learn, held := datasets.Halves(data, c.Seed)
	best := -1
	for i := range sum.Seeds {
		r := &sum.Seeds[i]
		var last train.Epoch
		err := within(filepath.Join(r.Run, "selection"), func(d *run.Dir) (err error) {
			last, err = w.train(ctx, c, r.genotype, learn, held, d)
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
