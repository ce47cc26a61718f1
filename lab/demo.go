package lab

import (
	"context"
	"fmt"
	"math/big"
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
	"hdas/search"
	"hdas/search/space"
)

// DemoNetwork is a network that Demo trained.
type DemoNetwork struct {
	Scored
	Cells      []int   `json:"cells"` // of each stage
	Parameters int64   `json:"parameters"`
	MACs       int64   `json:"macs"`
	Dead       int     `json:"dead"`         // cells without a path to the output, in all stages
	Longest    int     `json:"longest_path"` // sum over the stages
	Mean       float64 `json:"mean_path"`    // sum over the stages
}

// DemoResult is the result of Demo.
type DemoResult struct {
	Folder     string        `json:"folder"`
	Searches   []DemoSearch  `json:"searches"`
	Networks   []DemoNetwork `json:"networks"` // of the comparison, in its order
	Comparison `json:"comparison"`
	Machine    run.Machine `json:"machine"` // by which sums were rounded
	Seconds    float64     `json:"seconds"`
}

// DemoSearch is a search of Demo.
type DemoSearch struct {
	Kind  configs.Kind `json:"kind"`
	Valid float64      `json:"valid"` // top-1 of the supernet on the validation images, last epoch
	Run   string       `json:"run"`
}

// demoBaseline says how many trainings Demo compares.
var demoBaseline = Baseline{Random: 3, Repeats: 3}

// Demo runs the paper's method at a tiny scale on the embedded digits: the searches of cells, of the
// number of cells in each stage and of the stages' connections, and then the comparison of the network
// found, trained with three seeds, with three random networks: random stages of the same lengths over random
// cells. Each has a folder of its own below the given one. Where some have begun, it goes on with them.
func Demo(ctx context.Context, folder string, seed uint64, device string, threads int, w Watch) (DemoResult, error) {
	start := time.Now()
	t := DemoResult{Folder: folder}
	machine := []string{fmt.Sprintf("seed=%d", seed), "device=" + device, fmt.Sprintf("threads=%d", threads)}
	set := slices.Clone(machine)
	var found search.Result
	var c configs.Search
	var cells configs.SearchSection
	var err error
	for i, kind := range []configs.Kind{configs.CellSearch, configs.DistributionSearch, configs.StageSearch} {
		path := filepath.Join(folder, fmt.Sprintf("%d-%s", i+1, kind))
		if c, found, err = w.step(ctx, kind, path, set); err != nil {
			return t, err
		}
		t.Searches = append(t.Searches, DemoSearch{kind, found.Epoch.Valid.Top1, path})
		switch kind {
		case configs.CellSearch:
			cells = c.Search
			set = append(set, "search.cells="+filepath.Join(path, run.GenotypeFile))
		case configs.DistributionSearch:
			set = append(set, "search.lengths="+strings.ReplaceAll(fmt.Sprint(found.Genotype.Lengths()), " ", ","))
		}
	}
	random, size, err := randomLike(cells, c.Search, demoBaseline.Random, seed)
	if err != nil {
		return t, err
	}
	plan := planOf(demoBaseline, size, found.Genotype, random)
	config, err := configs.LoadTrain(configs.Overrides{File: "tiny-compare", Set: machine, Alone: true, Form: configs.Staged})
	if err != nil {
		return t, err
	}
	if err := inFolder(filepath.Join(folder, "4-compared"), func(d *run.Dir) error {
		if err := plan.Begin(config, d); err != nil {
			return err
		}
		t.Comparison, err = Compare(ctx, config, Jobs{}, d, w)
		return err
	}); err != nil {
		return t, err
	}
	for i, n := range t.Comparison.Networks {
		row, err := measured(config, plan.networks[i], n)
		if err != nil {
			return t, err
		}
		t.Networks = append(t.Networks, row)
	}
	t.Seconds = time.Since(start).Seconds()
	basis, _, _, err := run.ReadBasis(t.Comparison.Folder)
	t.Machine = basis.Last()
	return t, err
}

// step runs one of the searches of the demo and returns its configuration and result.
func (w Watch) step(ctx context.Context, k configs.Kind, folder string, set []string) (c configs.Search, found search.Result, err error) {
	if c, err = configs.LoadSearch(k, configs.Overrides{File: "tiny-" + string(k), Set: set, Alone: true}); err != nil {
		return c, found, err
	}
	err = inFolder(folder, func(d *run.Dir) (err error) {
		found, err = Search(ctx, c, d, w)
		return err
	})
	return c, found, err
}

// randomLike returns n random genotypes, each with cells drawn from the space of a cell search, and stages drawn from the
// space of a stage search over these cells; and the number of such genotypes.
func randomLike(cells, stages configs.SearchSection, n int, seed uint64) (list []genotype.Genotype, size SpaceSize, err error) {
	r := space.Generator(seed)
	ofCells, err := cells.Space()
	if err != nil {
		return nil, size, err
	}
	for i := range n {
		drawn, err := ofCells.Random("cells", r, ops.IsNull)
		if err != nil {
			return nil, size, err
		}
		s, err := space.Fixed(drawn).Under(stages.Lengths, stages.Window, genotype.Candidates{Stage: stages.StagePrimitives})
		if err != nil {
			return nil, size, err
		}
		g, err := s.Random(fmt.Sprintf("random-%d", i+1), r, ops.IsNull)
		if err != nil {
			return nil, size, err
		}
		list = append(list, g)
		size = SpaceSize{"cell and stage", new(big.Int).Mul(ofCells.Size(ops.IsNull), s.Size(ops.IsNull)).String()}
	}
	return list, size, nil
}

// measured returns a trained network with its sizes.
func measured(c configs.Train, g genotype.Genotype, trained Scored) (DemoNetwork, error) {
	test, err := c.Data.Open(datasets.Test)
	if err != nil {
		return DemoNetwork{}, err
	}
	network, err := model.Describe(c.Network, test.Info(), c.Data.Spec).Plan(g)
	if err != nil {
		return DemoNetwork{}, err
	}
	row := DemoNetwork{Scored: trained, Cells: g.Lengths(), Parameters: network.Cost.Parameters, MACs: network.Cost.MACs}
	for _, s := range g.Stages {
		t := s.Topology()
		row.Dead += t.Dead
		row.Longest += t.Longest
		row.Mean += t.Mean
	}
	return row, nil
}
