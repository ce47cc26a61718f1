package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/datasets"
	"hdas/metric"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/search"
	"hdas/search/space"
	"hdas/train"
)

// seeds says how a search is repeated.
type seeds struct {
	N      int      `json:"seeds"`
	Jobs   int      `json:"-"`
	Select string   `json:"select"` // the training's configuration
	Set    []string `json:"select_set"`
}

// seedsFile keeps them in the folder, selectionFile the resolved configuration of the training.
const (
	seedsFile     = "seeds.json"
	selectionFile = "selection.yaml"
)

func (s *seeds) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&s.N, "seeds", 1, "searches to run, with seeds from --seed on, each in its own folder below --out")
	f.IntVar(&s.Jobs, "jobs", 1, "of these, how many at once; the threads are shared out among them")
	f.StringVar(&s.Select, "select", "", "train what each seed found by this configuration, on one half of the training data, and select the best on the other")
	f.StringArrayVar(&s.Set, "select-set", nil, "change one setting of that training, as in --select-set train.epochs=10 (repeatable)")
}

// check refuses what cannot be, and takes back up what a folder was begun with.
func (s *seeds) check(c *cobra.Command, r *place) error {
	if s.N < 1 || s.Jobs < 1 {
		return usageError{fmt.Errorf("--seeds %d and --jobs %d are to be at least 1", s.N, s.Jobs)}
	}
	text, err := os.ReadFile(filepath.Join(r.out, seedsFile))
	begun := r.resume && err == nil
	if begun {
		for _, flag := range []string{"seeds", "select", "select-set"} {
			if c.Flags().Changed(flag) {
				return usageError{fmt.Errorf("--resume goes on with the seeds that were begun, which --%s cannot change", flag)}
			}
		}
		if err := json.Unmarshal(text, s); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(r.out, seedsFile), err)
		}
	}
	for _, flag := range []string{"jobs", "select", "select-set"} {
		if s.N == 1 && c.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s is about several seeds: --seeds N", flag)}
		}
	}
	if s.Select == "" && len(s.Set) > 0 {
		return usageError{errors.New("--select-set changes the training of --select, which is missing")}
	}
	if s.Select != "" && !begun {
		if _, err := s.selection(); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func (s *seeds) selection() (configs.Train, error) {
	return configs.LoadTrain(configs.Overrides{File: s.Select, Set: s.Set})
}

// keep writes what the seeds are begun with into their folder: what is there already stays.
func (s *seeds) keep(c configs.Search, dir *run.Dir) error {
	resolved, err := c.YAML()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir.Path(selectionFile)); s.Select != "" && err != nil {
		t, err := s.selection()
		if err != nil {
			return err
		}
		if err := trainable(c, t); err != nil {
			return fmt.Errorf("what the search finds could not be trained with --select %s: %w", s.Select, err)
		}
		training, err := t.YAML()
		if err != nil {
			return err
		}
		if err := dir.WriteFile(selectionFile, training); err != nil {
			return err
		}
	}
	return errors.Join(dir.WriteFile(seedsFile, text), dir.WriteConfig(resolved))
}

// trainable plans the training of a genotype out of the search's space.
func trainable(c configs.Search, t configs.Train) error {
	sp, err := c.Search.Space()
	if err != nil {
		return err
	}
	drawn, err := draws(sp, 1, c.Seed)
	if err != nil {
		return err
	}
	data, err := t.Data.Open(datasets.Train)
	if err != nil {
		return err
	}
	_, err = planned(drawn[0], t.Network, data.Info())
	return err
}

// seedResult is what one seed came to.
type seedResult struct {
	Seed     uint64        `json:"seed"`
	Run      string        `json:"run"`
	Valid    float64       `json:"valid"`              // the last supernet's top-1 on the architecture's half
	Selected *metric.Score `json:"selected,omitempty"` // of the short training, on the half that it did not learn from
	genotype genotype.Genotype
}

// summary is what several seeds came to.
type summary struct {
	Folder    string       `json:"folder"`
	Seeds     []seedResult `json:"seeds"`
	Valid     spread       `json:"valid"`
	Agreement spread       `json:"agreement"`          // of the genotypes, over all pairs
	Selected  string       `json:"selected,omitempty"` // the genotype that the short trainings select
}

// searchSeeds runs a search with several seeds, in processes of their own, and sums them up.
func (p *program) searchSeeds(ctx context.Context, c configs.Search, s seeds, dir *run.Dir) error {
	if err := s.keep(c, dir); err != nil {
		return err
	}
	again := fmt.Sprintf("hdas search %s --resume --out %s", c.Search.Kind, dir.Path())
	if err := p.searchAll(ctx, c, s, dir); err != nil {
		return resumable(err, again)
	}
	sum, err := sumUp(c, s, dir)
	if err != nil {
		return err
	}
	if s.Select != "" {
		if err := p.selectBest(ctx, &sum, dir); err != nil {
			return resumable(err, again)
		}
	}
	text, err := json.MarshalIndent(sum, "", "  ")
	if err != nil {
		return err
	}
	if err := dir.WriteFile("summary.json", append(text, '\n')); err != nil {
		return err
	}
	return p.print(sum, sum.write)
}

func seedFolder(dir *run.Dir, seed uint64) string { return dir.Path(fmt.Sprintf("seed-%d", seed)) }

// searchAll runs the searches that are not done yet, some at once. The first that fails, or the end
// of ctx, stops the others, with a checkpoint each.
func (p *program) searchAll(ctx context.Context, c configs.Search, s seeds, dir *run.Dir) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan uint64, s.N)
	for i := range s.N {
		next <- c.Seed + uint64(i)
	}
	close(next)
	log := zerolog.SyncWriter(p.err) // of all that run
	var running sync.WaitGroup
	for range min(s.Jobs, s.N) {
		running.Go(func() {
			for seed := range next {
				if ctx.Err() != nil {
					return
				}
				if err := p.searchOne(ctx, log, self, c, s, dir, seed); err != nil {
					cancel(fmt.Errorf("seed %d: %w", seed, err))
				}
			}
		})
	}
	running.Wait()
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return run.ErrStopped
		}
		return cause
	}
	return nil
}

// searchOne is the search of one seed, begun or gone on with. What the seeds were begun with is in
// their folder, so that going on depends on no file and no variable of the environment.
func (p *program) searchOne(ctx context.Context, log io.Writer, self string, c configs.Search, s seeds, dir *run.Dir, seed uint64) error {
	folder := seedFolder(dir, seed)
	if !run.Begun(folder) {
		if c.Seed = seed; s.Jobs > 1 && c.Threads == 0 {
			c.Threads = max(1, runtime.NumCPU()/s.Jobs)
		}
		text, err := c.YAML()
		if err != nil {
			return err
		}
		d, err := run.Create(folder)
		if err != nil {
			return err
		}
		if err := errors.Join(d.WriteConfig(text), d.Close()); err != nil {
			return err
		}
	}
	child := exec.CommandContext(ctx, self, "search", string(c.Search.Kind), "--resume", "--out", folder)
	// A search that outlived this process, were that killed, would keep its folder from being gone on
	// with. The signal comes at the end of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	child.WaitDelay = 10 * time.Minute // for the step under way and the checkpoint
	var last bytes.Buffer
	child.Stderr = io.MultiWriter(log, &last) // no terminal: bars of several would overwrite each other
	err := child.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == exitStopped || ctx.Err() != nil:
		return run.ErrStopped
	}
	return fmt.Errorf("%w: %s", err, bytes.TrimSpace(last.Bytes()[bytes.LastIndexByte(bytes.TrimSpace(last.Bytes()), '\n')+1:]))
}

// sumUp reads what the searches left.
func sumUp(c configs.Search, s seeds, dir *run.Dir) (summary, error) {
	sum := summary{Folder: dir.Path()}
	sp, err := c.Search.Space()
	if err != nil {
		return sum, err
	}
	var valid []float64
	for i := range s.N {
		r := seedResult{Seed: c.Seed + uint64(i)}
		r.Run = seedFolder(dir, r.Seed)
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

// agreements are those of all pairs of genotypes.
func agreements(s space.Space, rs []seedResult) []float64 {
	var all []float64
	for i, a := range rs {
		for _, b := range rs[:i] {
			all = append(all, s.Agreement(a.genotype, b.genotype))
		}
	}
	return all
}

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

// selectBest trains what each seed found on one half of the training data and keeps the one that
// does best on the other, as DARTS selects among its runs.
func (p *program) selectBest(ctx context.Context, sum *summary, dir *run.Dir) error {
	c, err := configs.LoadTrain(configs.Overrides{File: dir.Path(selectionFile), Alone: true})
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
		err := p.inFolder(filepath.Join(r.Run, "selection"), func(d *run.Dir) error {
			last, err = p.trainOn(ctx, c, r.genotype, learn, held, d)
			return err
		})
		if err != nil {
			return fmt.Errorf("selection of seed %d: %w", r.Seed, err)
		}
		if r.Selected = &last.Test; best < 0 || last.Test.Top1 > sum.Seeds[best].Selected.Top1 {
			best = i
		}
	}
	sum.Selected = dir.Path(run.GenotypeFile)
	return errors.Join(dir.WriteGenotype(sum.Seeds[best].genotype), drawing(dir, sum.Seeds[best].genotype))
}

// inFolder runs f in the folder of a run, new or gone on with.
func (p *program) inFolder(folder string, f func(d *run.Dir) error) error {
	open := run.Create
	if run.Begun(folder) {
		open = run.Open
	}
	d, err := open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d)
}

func (s summary) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "seed\tvalidation accuracy\tafter a short training\t")
	for _, r := range s.Seeds {
		selected := "-"
		if r.Selected != nil {
			selected = percent(r.Selected.Top1)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t\n", r.Seed, percent(r.Valid), selected)
	}
	t.Flush()
	fmt.Fprintf(w, "\nvalidation accuracy of the supernets  %s\nedges that two genotypes share         %s\n", s.Valid.percent(), s.Agreement.percent())
	if s.Selected != "" {
		fmt.Fprintf(w, "selected                               %s\n", s.Selected)
	}
	fmt.Fprintf(w, "runs                                   %s\n", filepath.Join(s.Folder, "seed-*"))
}
