package train

import (
	"context"
	"slices"

	"hdas/datasets"
	"hdas/estimate"
	"hdas/model"
	"hdas/run"
	"hdas/setting"
	"hdas/torch/kernel"
)

// Probe returns what is needed to estimate the time and the memory of the training. Invalid settings are
// returned as setting.Fault errors.
func (s Setup) Probe() (estimate.Probe, estimate.Run, error) {
	if err := setting.In("train", s.Config.Validate()); err != nil {
		return nil, estimate.Run{}, err
	}
	network, err := model.Describe(s.Macro, s.Train.Dataset.Info(), s.Data).Plan(s.Genotype)
	if err != nil {
		return nil, estimate.Run{}, err
	}
	c := s.Config
	evaluations := s.Test.Batches()
	if s.Valid != nil {
		evaluations += s.Valid.Batches()
	}
	if c.EMA.Decay > 0 {
		evaluations *= 2
	}
	var phases []estimate.Phase
	if c.FreezeEpochs > 0 {
		phases = append(phases, estimate.Phase{Epochs: c.FreezeEpochs, At: 0})
	}
	if c.FreezeEpochs < c.Epochs {
		phases = append(phases, estimate.Phase{Epochs: c.Epochs - c.FreezeEpochs, At: c.Epochs - 1}) // with drop path, if there is any
	}
	r := estimate.Run{
		Name: "training of " + s.Genotype.Name, Key: "train.batch", Less: s.Less(), Weights: network.Cost.Parameters, Batch: c.Batch / s.Group.World(),
		MACs: network.Cost.MACs, Cells: len(slices.Collect(network.AllCells())),
		Images: s.Train.Dataset.Len(), Steps: s.Train.Batches(), Evaluations: evaluations, Phases: phases,
		Image: s.Train.Ahead() * int64(c.Accumulate), Heap: estimate.Storing,
	}
	if s.Config.Recompute != "none" {
		r.Heap = estimate.Recomputing
	}
	if s.Macro.Auxiliary {
		r.Weights += network.AuxiliaryCost.Parameters
	}
	if s.Options.Device.IsCUDA() {
		r.Image = 0 // it is memory of the host
	}
	return run.Probe[datasets.Batch]{Device: s.Options.Device, Epoch: s.Config.Epochs - 1, Start: func(batch int) (run.Measured[datasets.Batch], error) {
		of := s
		of.Group = nil // what is measured is this process
		if s.Group != nil && c.SyncNorm && of.Path == kernel.Kernels {
			of.Path = kernel.Grouped // as with synchronised norms
		}
		of.Config.Batch, of.Train, of.Test = batch, s.Train.Measuring(batch*c.Accumulate), s.Test.Measuring(2*batch)
		if s.Valid != nil {
			of.Valid = s.Valid.Measuring(2 * batch)
		}
		t, _, _, err := start(of, nil)
		return t, err
	}}, r, nil
}

// Evaluate implements run.Measured.
func (t *task) Evaluate(ctx context.Context, step func()) error {
	return t.evaluate(ctx, new(Epoch), step, nil)
}
