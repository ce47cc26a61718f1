package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/datasetstest"
	"hdas/internal/disttest"
	"hdas/internal/runtest"
	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
)

// folderVariable names the folder of the runs of the members of a group; it holds the cells that stages are made of.
const folderVariable = "SEARCH_TEST_FOLDER"

func TestMain(m *testing.M) {
	os.Exit(disttest.Main(m, map[string]func(g *dist.Group) error{
		"equal":   func(g *dist.Group) error { return together(g, equal...) },
		"some":    func(g *dist.Group) error { return together(g, some...) },
		"damaged": func(g *dist.Group) error { return together(g, "damaged") },
		"odd":     func(g *dist.Group) error { return together(g, "uneven", "latency") },
		"stop":    stopped,
	}))
}

// equal are the names of the searches whose results do not depend on the number of processes; some are some of them.
var equal = append(slices.Sorted(maps.Keys(orderedKinds())), "local")
var some = []string{"cell-first", "distribution-second", "stage-first", "joint-second", "local"}

// orderedKinds returns every kind of search with each order and synchronised norms, by name.
func orderedKinds() map[string]configs.SearchSection {
	all := map[string]configs.SearchSection{}
	for _, k := range configs.Kinds {
		for _, o := range []configs.Order{configs.FirstOrder, configs.SecondOrder} {
			c := littleSection(k, "")
			c.Order, c.SyncNorm = o, true
			all[string(k)+"-"+string(o)] = c
		}
	}
	return all
}

// fours is a data set in which four images that follow each other are the same, with different labels. The parts that two
// or four processes have of a batch then have the same statistics.
type fours struct{ datasets.Dataset }

func (f fours) At(i int, dst []byte) (int, error) {
	label, err := f.Dataset.At(i/4, dst)
	return (label + i) % len(f.Info().Classes), err
}

// named returns the search of that name, whose stages are made of the cells of a file.
func named(name, cells string) Setup {
	c, ordered := orderedKinds()[name]
	if !ordered {
		c = littleSection(configs.StageSearch, "")
	}
	c.Cells, c.Epochs, c.Batch, c.Weights.LR, c.Weights.MinLR, c.Weights.Clip = cells, 1, 8, 1e-3, 0, 1e6
	m := macro(4, 5)
	if ordered || name == "local" {
		c.Batch, c.Lengths, m.Layers = 16, []int{2, 2, 2}, 3 // a single step
	}
	m.Classes = 3
	first, second := datasetstest.Synthetic(16, 16), datasetstest.Synthetic(17, 16)
	s := Setup{Options: torchtest.Host(torch.Float64), Macro: m, Seed: 11, Name: "found", Resolved: []byte("seed: 11\n")}
	augment := false
	switch name {
	case "local":
		first, second = fours{first}, fours{datasetstest.Synthetic(16, 16)}
		c.Order = configs.SecondOrder
	case "uneven", "resumed":
		first, second, augment = datasetstest.Synthetic(25, 8), datasetstest.Synthetic(29, 8), true
		c.Epochs, c.Alpha.Warmup = 2, 1
		if name == "uneven" { // and what is computed after an epoch
			c.Epochs, c.Stop = 3, configs.EarlyStop{Ratio: 0.999, Window: 1}
		}
	case "damaged": // the last step: one process has no images for the weights, the other none for the architecture
		first, second = datasetstest.Damaged{Dataset: datasetstest.Synthetic(20, 16), Images: []int{17, 19}}, datasetstest.Damaged{Dataset: datasetstest.Synthetic(20, 16), Images: []int{16, 18}}
		c.SyncNorm = true
	case "latency":
		c = littleSection(configs.DistributionSearch, cells)
		c.Epochs, c.Batch, c.Theta = 1, 8, configs.ThetaLatency
	}
	loader := func(d datasets.Dataset, seed uint64) *datasets.Loader {
		l := &datasets.Loader{Dataset: d, Batch: c.Batch, Seed: seed, Workers: 1, Least: 2, Shuffle: augment, Damaged: func(*datasets.DamagedError) {}}
		if augment {
			l.Transform = datasets.Transform{Padding: 1, Flip: true}
		}
		return l
	}
	s.Config, s.Train, s.Valid = c, loader(first, 1), loader(second, 2)
	s.Test = &datasets.Loader{Dataset: second, Batch: 2 * c.Batch, Workers: 1, Damaged: func(*datasets.DamagedError) {}}
	return s
}

// divided returns the part of a search that is a member's.
func divided(s Setup, g *dist.Group) Setup {
	s.Group = g
	for _, l := range []*datasets.Loader{s.Train, s.Valid, s.Test} {
		l.Batch, l.Rank, l.World = l.Batch/g.World(), g.Rank(), g.World()
	}
	return s
}

// inFolder runs a search in a folder as a member of a group; nil: alone.
func inFolder(ctx context.Context, g *dist.Group, s Setup, folder string, observe func(run.Progress)) error {
	d, err := run.Follow(folder), error(nil)
	if g.Rank() == 0 {
		open := run.Create
		if _, missing := run.Find(folder); missing == nil {
			open = run.Open
		}
		d, err = open(folder)
	}
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = Run(ctx, divided(s, g), d, observe)
	return err
}

// together runs searches as a member of a group; nil: alone.
func together(g *dist.Group, names ...string) error {
	folder := os.Getenv(folderVariable)
	for _, name := range names {
		if err := inFolder(context.Background(), g, named(name, filepath.Join(folder, "cells.yaml")), filepath.Join(folder, name), nil); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// folderOf returns a folder for the runs of a test.
func folderOf(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := writeLittleCells(filepath.Join(folder, "cells.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(folderVariable, folder)
	return folder
}

// records returns the records of the run in a folder.
func records(t *testing.T, folder string) (all []Epoch) {
	t.Helper()
	if err := run.Follow(folder).Records(func(line []byte) error {
		var r Epoch
		err := json.Unmarshal(line, &r)
		all = append(all, r)
		return err
	}); err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

// After a step of every search and order with synchronised norms, the weights, the architecture, the momentum and the
// moments, which are the gradients, are those of one process with the same batches. So they are with local norms, if these have
// the same statistics, and after several steps of which damaged files leave each process without images in one half of the last.
func TestProcessesSearchAsOne(t *testing.T) {
	torchtest.OnCPU(t)
	one := folderOf(t)
	if err := together(nil, append(equal, "damaged")...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		act   string
		world int
		names []string
	}{{"equal", 2, equal}, {"some", 4, some}, {"damaged", 2, []string{"damaged"}}} {
		several, world := folderOf(t), c.world
		disttest.Together(t, c.act, world)
		for _, name := range c.names {
			got, want := runtest.State(t, filepath.Join(several, name)), runtest.State(t, filepath.Join(one, name))
			for _, s := range []map[string][]float64{got, want} { // the unbiased variance of fewer images is another
				maps.DeleteFunc(s, func(tensor string, _ []float64) bool {
					return name == "local" && strings.HasSuffix(tensor, "running_var")
				})
			}
			d, where := runtest.Far(t, got, want)
			if t.Logf("%s, %d processes: %s differs by %g", name, world, where, d); d > 1e-10 {
				t.Errorf("%s, %d processes: %s differs by %g", name, world, where, d)
			}
			a, b := records(t, filepath.Join(several, name))[0], records(t, filepath.Join(one, name))[0]
			if math.Abs(a.Train.Loss-b.Train.Loss) > 1e-9 || a.Train.Samples != b.Train.Samples || a.Valid.Samples != b.Valid.Samples || a.Genotype != b.Genotype {
				t.Errorf("%s, %d processes: record of %+v, %s, not %+v, %s", name, world, a.Train, a.Genotype, b.Train, b.Genotype)
			}
		}
	}
}

// All processes take equally many steps, have the same weights and architecture (or they fail), and count each image once, with
// images that do not divide. The latency of a cell is that which rank 0 has measured.
func TestOddProcesses(t *testing.T) {
	torchtest.OnCPU(t)
	folder := folderOf(t)
	disttest.Together(t, "odd", 2)
	for _, r := range records(t, filepath.Join(folder, "uneven")) {
		if r.Train.Samples != 25 || r.Valid.Samples != 29 || r.Eigenvalue == nil {
			t.Errorf("%+v", r)
		}
	}
	if theta := runtest.State(t, filepath.Join(folder, "latency"))["theta theta"]; len(theta) != 3 || theta[0] == 1 {
		t.Errorf("costs %v", theta)
	}
}

// stop begins the search "resumed" in a folder and stops it after two steps of its second epoch, by the context of the last
// rank.
func stop(g *dist.Group, folder string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := inFolder(ctx, g, named("resumed", filepath.Join(filepath.Dir(folder), "cells.yaml")), folder, func(p run.Progress) {
		if p.Epoch == 1 && p.Step == 2 && g.Rank() == g.World()-1 {
			cancel()
		}
	})
	if !errors.Is(err, run.ErrStopped) {
		return fmt.Errorf("stopped with %w", err)
	}
	return nil
}

// resume goes on with a search that stop has stopped, or begins it, and runs it to its end.
func resume(g *dist.Group, folder string) error {
	return inFolder(context.Background(), g, named("resumed", filepath.Join(filepath.Dir(folder), "cells.yaml")), folder, nil)
}

// stopped does, as a member, what TestStopTogether asks for.
func stopped(g *dist.Group) error {
	for _, part := range []struct {
		do func(*dist.Group, string) error
		in string
	}{{stop, "stopped"}, {resume, "stopped"}, {resume, "whole"}, {stop, "fewer"}, {resume, "more"}} {
		if err := part.do(g, filepath.Join(os.Getenv(folderVariable), part.in)); err != nil {
			return err
		}
	}
	return nil
}

// A signal to one process stops all after the same step, with a checkpoint from which they go on to the same end. One
// process goes on with what several have begun, and several with what one has.
func TestStopTogether(t *testing.T) {
	torchtest.OnCPU(t)
	folder := folderOf(t)
	if err := stop(nil, filepath.Join(folder, "more")); err != nil {
		t.Fatal(err)
	}
	disttest.Together(t, "stop", 2)
	if err := resume(nil, filepath.Join(folder, "fewer")); err != nil {
		t.Fatal(err)
	}
	end := func(name string) map[string][]float64 { return runtest.State(t, filepath.Join(folder, name)) }
	if d, where := runtest.Far(t, end("stopped"), end("whole")); d != 0 {
		t.Errorf("%s differs by %g from that of an uninterrupted search", where, d)
	}
	for _, name := range []string{"fewer", "more"} {
		for _, r := range records(t, filepath.Join(folder, name)) {
			if r.Train.Samples != 25 || r.Valid.Samples != 29 {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
