package lab

import (
	"context"
	"errors"
	"fmt"

	"hdas/configs"
	"hdas/datasets"
	"hdas/run"
	"hdas/search"
	"hdas/torch"
)

// Search runs a search in a folder, from its start or from the newest checkpoint in the folder, and
// returns its result. If ctx is cancelled, it saves a checkpoint and returns a *Stopped error.
func Search(ctx context.Context, c configs.Search, d *run.Dir, w Watch) (search.Result, error) {
	if err := search.Divides(c.Search, w.Group); err != nil {
		return search.Result{}, &ConfigError{err}
	}
	m, err := w.remember(d.Path())
	if err != nil {
		return search.Result{}, err
	}
	s, now, err := w.search(c, m)
	if err == nil {
		err = w.sameData(now)
	}
	if err != nil {
		return search.Result{}, err
	}
	if s.Basis, err = w.hold(d, m, now); err != nil {
		return search.Result{}, err
	}
	if err := d.WriteConfig(s.Resolved); err != nil {
		return search.Result{}, err
	}
	if c.Search.Kind.FindsCells() && c.Search.PartialChannels > 1 {
		w.note("with search.partial_channels the cells are computed edge by edge, not each as one program of the kernels, and a step is slower")
	}
	if err := errors.Join(s.Train.Validate(), s.Valid.Validate()); err != nil {
		return search.Result{}, err
	}
	p, r, err := s.Probe()
	if err != nil {
		return search.Result{}, err
	}
	e, err := w.warn(ctx, p, r, machine(s.Options, 0, false))
	if err != nil {
		return search.Result{}, err
	}
	start := w.starting(fmt.Sprintf("%s search, seed %d", c.Search.Kind, c.Seed), string(c.Search.Kind)+" search", c.Common, c.Search.Epochs, now.Machine, d)
	if !c.Search.Kind.FindsCells() {
		start.Network.Genotype = c.Search.Cells
	}
	start = sized(start, r, e, part{"weights", s.Train.Dataset}, part{"architecture", s.Valid.Dataset})
	start.Batch = c.Search.Batch
	progress, end, err := w.begin(d, start)
	if err != nil {
		return search.Result{}, err
	}
	defer end()
	found, err := search.Run(ctx, s, d, progress)
	if err != nil {
		return found, stopped(err, searchKind(c), d)
	}
	return found, writeGenotype(d, found.Genotype)
}

func searchKind(c configs.Search) string { return "search " + string(c.Search.Kind) }

// search returns the setup of a search and its basis now: it opens the data set and the device.
func (w Watch) search(c configs.Search, mem memory) (search.Setup, run.Basis, error) {
	fail := func(err error) (search.Setup, run.Basis, error) { return search.Setup{}, run.Basis{}, err }
	o, autocast, err := w.again(c.Common, mem.was.Last())
	if err != nil {
		return fail(err)
	}
	spec, err := mem.spec(c.Data.Spec)
	if err != nil {
		return fail(err)
	}
	learn, err := spec.Open(datasets.Train)
	if err != nil {
		return fail(err)
	}
	resolved, err := c.YAML()
	if err != nil {
		return fail(err)
	}
	weights, arch, halves := datasets.HalvesAt(learn, c.Seed, mem.cut(halvesCut))
	if err := errors.Join(datasets.Usable(weights, "half of the weights"), datasets.Usable(arch, "half of the architecture")); err != nil {
		return fail(err)
	}
	now, err := data{spec.Dir, "", map[string]datasets.Dataset{datasets.Train: learn}, map[string]datasets.Cut{testCut: spec.Cut, halvesCut: halves}}.basis(resolved)
	if err != nil {
		return fail(err)
	}
	s := w.searchSetup(c, o, autocast, weights, arch)
	s.Resolved, s.Note = resolved, w.note
	return s, computed(now, o), nil
}

// searchSetup returns the setup of a search on the halves of the training data.
func (w Watch) searchSetup(c configs.Search, o torch.Options, autocast torch.DType, weights, arch datasets.Dataset) search.Setup {
	m := c.Network
	m.Classes = int64(len(weights.Info().Classes))
	s := search.Setup{
		Config: c.Search, Macro: m, Options: o, Autocast: autocast, Path: pathOf(c.Common, o), Graphs: c.CUDA.Graphs, Seed: c.Seed,
		Name:  fmt.Sprintf("%s-search-%s-seed%d", c.Search.Kind, c.Data.Name, c.Seed),
		Train: w.loader(c.Common, weights, c.Search.Batch, true),
		Valid: w.loader(c.Common, arch, c.Search.Batch, true),
		Test:  w.loader(c.Common, arch, 2*c.Search.Batch, false),
		Group: w.Group,
	}
	s.Valid.Seed ^= 1 << 63 // so that images of the same number in the two halves are augmented differently
	return s
}
