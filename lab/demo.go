package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hdas/configs"
	"hdas/datasets"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/run"
	"hdas/search/space"
	"hdas/train"
)

// DemoNetwork is a network that Demo trained.
type DemoNetwork struct {
	Name       string  `json:"name"`
	Cells      []int   `json:"cells"` // of each stage
	Parameters int64   `json:"parameters"`
	MACs       int64   `json:"macs"`
	Dead       int     `json:"dead"`         // cells without a path to the output, in all stages
	Longest    int     `json:"longest_path"` // sum over the stages
	Mean       float64 `json:"mean_path"`    // sum over the stages
	Accuracy   float64 `json:"accuracy"`     // top-1 on the test images, last epoch
	Run        string  `json:"run"`
}

// DemoResult is the result of Demo: the found network and a random one.
type DemoResult struct {
	Folder  string        `json:"folder"`
	Rows    []DemoNetwork `json:"rows"`
	Seconds float64       `json:"seconds"`
}

// Demo runs the paper's method at a tiny scale on the embedded digits: the searches of cells, of the
// number of cells in each stage and of the stages' connections, and then the trainings of the network
// found and of a random one from the same space. Each has a new folder below the given one.
func Demo(ctx context.Context, folder string, seed uint64, device string, threads int, w Watch) (DemoResult, error) {
	start := time.Now()
	t := DemoResult{Folder: folder}
	set := []string{fmt.Sprintf("seed=%d", seed), "device=" + device, fmt.Sprintf("threads=%d", threads)}
	cells := filepath.Join(folder, "1-cells")
	if _, _, err := w.step(ctx, configs.CellSearch, cells, set); err != nil {
		return t, err
	}
	over := append(slices.Clone(set), "search.cells="+filepath.Join(cells, run.GenotypeFile))
	distribution, _, err := w.step(ctx, configs.DistributionSearch, filepath.Join(folder, "2-distribution"), over)
	if err != nil {
		return t, err
	}
	var lengths []int
	for _, s := range distribution.Stages {
		lengths = append(lengths, len(s.Nodes))
	}
	found, stages, err := w.step(ctx, configs.StageSearch, filepath.Join(folder, "3-stages"), append(over, "search.lengths="+strings.ReplaceAll(fmt.Sprint(lengths), " ", ",")))
	if err != nil {
		return t, err
	}
	config, err := configs.LoadTrain(configs.Overrides{File: "tiny-train", Set: set, Alone: true})
	if err != nil {
		return t, err
	}
	random, err := randomLike(stages, config.Seed)
	if err != nil {
		return t, err
	}
	found.Name = "found"
	for _, n := range []struct {
		folder string
		genotype.Genotype
	}{{"4-found", found}, {"5-random", random}} {
		row, err := w.trainAndMeasure(ctx, config, n.Genotype, filepath.Join(folder, n.folder))
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	t.Seconds = time.Since(start).Seconds()
	return t, nil
}

// step runs one of the searches of the demo and returns the genotype and the settings of the search.
func (w Watch) step(ctx context.Context, k configs.Kind, folder string, set []string) (genotype.Genotype, configs.SearchSection, error) {
	c, err := configs.LoadSearch(k, configs.Overrides{File: "tiny-" + string(k), Set: set, Alone: true})
	if err != nil {
		return genotype.Genotype{}, c.Search, err
	}
	d, err := run.Create(folder)
	if err != nil {
		return genotype.Genotype{}, c.Search, err
	}
	defer d.Close()
	r, err := Search(ctx, c, d, w)
	return r.Genotype, c.Search, err
}

// randomLike returns a random genotype: random cells, and stages drawn from the space of a stage search
// over those cells.
func randomLike(stages configs.SearchSection, seed uint64) (genotype.Genotype, error) {
	r := generator(seed)
	cells, err := configs.DefaultSearchSection(configs.CellSearch).Space()
	if err != nil {
		return genotype.Genotype{}, err
	}
	drawn, err := cells.Random("random", r, ops.IsNull)
	if err != nil {
		return drawn, err
	}
	s, err := space.Fixed(drawn).Under(stages.Lengths, stages.Window, genotype.Candidates{Stage: stages.StagePrimitives})
	if err != nil {
		return drawn, err
	}
	return s.Random("random", r, ops.IsNull)
}

// trainAndMeasure trains a network and returns its accuracy and size.
func (w Watch) trainAndMeasure(ctx context.Context, c configs.Train, g genotype.Genotype, folder string) (DemoNetwork, error) {
	d, err := run.Create(folder)
	if err != nil {
		return DemoNetwork{}, err
	}
	defer d.Close()
	var last train.Epoch
	if last, err = Train(ctx, c, g, d, w); err != nil {
		return DemoNetwork{}, err
	}
	test, err := c.Data.Open(datasets.Test)
	if err != nil {
		return DemoNetwork{}, err
	}
	network, err := model.Describe(c.Network, test.Info(), c.Data.Spec).Plan(g)
	if err != nil {
		return DemoNetwork{}, err
	}
	row := DemoNetwork{Name: g.Name, Parameters: network.Cost.Parameters, MACs: network.Cost.MACs, Accuracy: last.Test.Top1, Run: folder}
	for _, s := range g.Stages {
		t := s.Topology()
		row.Cells = append(row.Cells, t.Cells)
		row.Dead += t.Dead
		row.Longest += t.Longest
		row.Mean += t.Mean
	}
	return row, nil
}
