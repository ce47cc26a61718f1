package search

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hdas/configs"
	"hdas/estimate"
	"hdas/models/plan"
	"hdas/run"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/kernel"
)

// Probe returns what is needed to estimate the time and the memory of the search. Invalid settings are
// returned as setting.Fault errors.
func (s Setup) Probe() (estimate.Probe, estimate.Run, error) {
	none := func(err error) (estimate.Probe, estimate.Run, error) { return nil, estimate.Run{}, err }
	if err := s.validate(); err != nil {
		return none(err)
	}
	sp, err := s.Config.Space()
	if err != nil {
		return none(err)
	}
	network, arch, err := s.counts(sp)
	if err != nil {
		return none(err)
	}
	weights := int64(0)
	for _, p := range network.Params() {
		if !p.Buffer {
			weights += p.Numel()
		}
	}
	s.Config.Theta = configs.ThetaOne // latencies are measured once, and the time of a step does not depend on them
	start := func(batch int) (*task, error) {
		of := s
		of.Group = nil // what is measured is this process
		if s.Group != nil && s.Config.SyncNorm && of.Path == kernel.Kernels {
			of.Path = kernel.Grouped // as with synchronised norms
		}
		of.Config.Batch = batch
		of.Train, of.Valid, of.Test = s.Train.Measuring(batch), s.Valid.Measuring(batch), s.Test.Measuring(2*batch)
		return start(of)
	}
	r := estimate.Run{
		Name: fmt.Sprintf("%s search", s.Config.Kind), Key: "search.batch", Less: s.Less(), Weights: weights, Arch: arch, Batch: s.Config.Batch / s.Group.World(),
		MACs: network.Cost.Add(network.CandidateCost).MACs, Cells: len(slices.Collect(network.AllCells())),
		Images: min(s.Train.Dataset.Len(), s.Valid.Dataset.Len()), Steps: min(s.Train.Batches(), s.Valid.Batches()), Evaluations: s.Test.Batches(),
		Phases: []estimate.Phase{{Epochs: s.Config.Epochs - s.Config.Alpha.Warmup, At: s.Config.Epochs - 1}},
		Image:  s.Train.Ahead() + s.Valid.Ahead(), Heap: estimate.Storing,
	}
	if s.Config.Recompute != "none" {
		r.Heap = estimate.Recomputing
	}
	if n := s.Config.Alpha.Warmup; n > 0 { // in these epochs only the weights learn
		r.Phases = append([]estimate.Phase{{Epochs: n, At: 0}}, r.Phases...)
	}
	if s.Config.Stop.Ratio > 0 {
		r.Extra = func(ctx context.Context, batch int) (estimate.Seconds, error) {
			t, err := start(batch)
			if err != nil {
				return estimate.Seconds{}, err
			}
			defer t.Free()
			return t.eigenvalueTime(ctx)
		}
	}
	if s.Options.Device.IsCUDA() {
		r.Image = 0 // it is memory of the host
	}
	return run.Probe[pair]{Device: s.Options.Device, Epoch: s.Config.Epochs - 1, Start: func(batch int) (run.Measured[pair], error) { return start(batch) }}, r, nil
}

// counts returns the plan of the supernet and the number of architecture parameters. It builds no supernet.
func (s Setup) counts(sp space.Space) (network plan.Network, arch int64, err error) {
	macro := s.Macro
	macro.Auxiliary = false
	if network, err = plan.New(sp.Dense, macro, s.image(), sp.Candidates); err != nil {
		return network, 0, err
	}
	err = torch.Do(func(*torch.Scope) error {
		a := NewArch(s.Options, sp, s.Config)
		arch = a.Store.Count(nil)
		a.Store.Free()
		return nil
	})
	return network, arch, err
}

// Evaluate implements run.Measured.
func (t *task) Evaluate(ctx context.Context, step func()) error {
	_, err := t.evaluate(ctx, step)
	return err
}

// eigenvalueTime returns the time of the eigenvalue after an epoch: one iteration is measured, after one that
// is not counted, and between two and all of them are needed.
func (t *task) eigenvalueTime(ctx context.Context) (s estimate.Seconds, err error) {
	for b, err := range t.Test.Epoch(ctx, 0, 0) {
		if err != nil {
			return s, err
		}
		var one float64
		err := torch.Do(func(*torch.Scope) error {
			valid := t.sample(b, 0)
			for range 2 {
				began := time.Now()
				t.net.eigenvalue(valid, eigenvalueStep, 1)
				torch.Synchronize(t.Options.Device)
				one = time.Since(began).Seconds()
			}
			return nil
		})
		return estimate.Seconds{Median: eigenvalueMost / 2 * one, Low: 2 * one, High: eigenvalueMost * one}, err
	}
	return s, nil
}
