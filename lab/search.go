package lab

import (
	"context"
	"fmt"

	"hdas/configs"
	"hdas/datasets"
	"hdas/run"
	"hdas/search"
)

// Search runs a search in a folder, from its start or from the newest checkpoint in the folder, and
// returns its result. If ctx is cancelled, it saves a checkpoint and returns a *Stopped error.
func Search(ctx context.Context, c configs.Search, d *run.Dir, w Watch) (search.Result, error) {
	s, err := w.search(c)
	if err != nil {
		return search.Result{}, err
	}
	if err := d.WriteConfig(s.Resolved); err != nil {
		return search.Result{}, err
	}
	if c.Search.Kind.FindsCells() && c.Search.PartialChannels > 1 {
		w.note("with search.partial_channels the cells are computed edge by edge, not each as one program of the kernels, and a step is slower")
	}
	progress, end := w.begin(fmt.Sprintf("%s search, seed %d", c.Search.Kind, c.Seed))
	defer end()
	found, err := search.Run(ctx, s, d, progress)
	if err != nil {
		return found, stopped(err, searchKind(c), d)
	}
	return found, writeGenotype(d, found.Genotype)
}

// Estimate returns the predicted time and memory of a search, from one measured step. It writes no file.
func Estimate(ctx context.Context, c configs.Search, w Watch) (search.Estimate, error) {
	s, err := w.search(c)
	if err != nil {
		return search.Estimate{}, err
	}
	return search.Measure(ctx, s)
}

func searchKind(c configs.Search) string { return "search " + string(c.Search.Kind) }

// search returns the setup of a search: it opens the data set and the device.
func (w Watch) search(c configs.Search) (search.Setup, error) {
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return search.Setup{}, err
	}
	data, err := c.Data.Open(datasets.Train)
	if err != nil {
		return search.Setup{}, err
	}
	resolved, err := c.YAML()
	if err != nil {
		return search.Setup{}, err
	}
	weights, arch := datasets.Halves(data, c.Seed)
	m := c.Network
	m.Classes = int64(len(data.Info().Classes))
	s := search.Setup{
		Config: c.Search, Macro: m, Options: o, Autocast: autocast, Seed: c.Seed, Resolved: resolved,
		Name:  fmt.Sprintf("%s-search-%s-seed%d", c.Search.Kind, c.Data.Name, c.Seed),
		Train: w.loader(c.Common, weights, c.Search.Batch, true),
		Valid: w.loader(c.Common, arch, c.Search.Batch, true),
		Test:  w.loader(c.Common, arch, 2*c.Search.Batch, false),
	}
	s.Valid.Seed ^= 1 << 63 // so that images of the same number in the two halves are augmented differently
	return s, nil
}
