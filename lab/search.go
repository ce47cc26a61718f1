package lab

import (
	"context"
	"fmt"

	"hdas/configs"
	"hdas/datasets"
	"hdas/run"
	"hdas/search"
)

// Search runs a search in a folder, from its start or from where the folder's checkpoint stands, until
// its end or that of ctx, which is a *Stopped.
func Search(ctx context.Context, c configs.Search, d *run.Dir, w Watch) (search.Result, error) {
	s, err := w.search(c)
	if err != nil {
		return search.Result{}, err
	}
	if err := d.WriteConfig(s.Resolved); err != nil {
		return search.Result{}, err
	}
	progress, end := w.begin(fmt.Sprintf("%s search, seed %d", c.Search.Kind, c.Seed))
	defer end()
	found, err := search.Run(ctx, s, d, progress)
	if err != nil {
		return found, stopped(err, searchKind(c), d)
	}
	return found, writeGenotype(d, found.Genotype)
}

// Estimate returns what a search would take, from one measured step. It writes nothing.
func Estimate(ctx context.Context, c configs.Search, w Watch) (search.Estimate, error) {
	s, err := w.search(c)
	if err != nil {
		return search.Estimate{}, err
	}
	return search.Measure(ctx, s)
}

func searchKind(c configs.Search) string { return "search " + string(c.Search.Kind) }

// search opens the data and the device of a search.
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
	s.Valid.Seed ^= 1 << 63 // other augmentation than the same numbers of the other half
	return s, nil
}
