package search

import (
	"context"
	"time"

	"hdas/internal/proc"
	"hdas/metric"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// Estimate is the predicted time and memory of a search on this device, from one measured step.
type Estimate struct {
	Weights           int64   `json:"weights"`      // number of weights of the supernet
	Arch              int64   `json:"architecture"` // number of architecture parameters
	Epochs            int     `json:"epochs"`
	Steps             int     `json:"steps"`              // in an epoch
	StepSeconds       float64 `json:"step_seconds"`       // of the second step; the first one is a warm-up
	EvaluationSeconds float64 `json:"evaluation_seconds"` // of an epoch, extrapolated from one batch
	EpochSeconds      float64 `json:"epoch_seconds"`
	SearchSeconds     float64 `json:"search_seconds"`
	PeakBytes         int64   `json:"peak_bytes"` // peak memory of this process so far; on CUDA, of the device; 0: unknown
}

// Measure returns the estimate for a search: it builds the supernet, runs two steps and evaluates one
// batch. It writes no file and leaves no tensor.
func Measure(ctx context.Context, s Setup) (Estimate, error) {
	t, err := start(s)
	if err != nil {
		return Estimate{}, err
	}
	defer t.free()
	e := Estimate{Weights: t.net.Weights.Count(nil), Arch: t.net.Arch.Store.Count(nil), Epochs: s.Config.Epochs, Steps: t.batches()}
	epoch := s.Config.Epochs - 1 // after the epochs in which only the weights learn, if any
	for p, err := range t.Batches(ctx, epoch, 0) {
		if err != nil {
			return e, err
		}
		for range 2 {
			began := time.Now()
			if err := torch.Do(func(*torch.Scope) (err error) {
				step := func() { err = run.Finite(t.Step(epoch, p)) }
				if device := s.Options.Device; device.IsCUDA() {
					e.PeakBytes = max(e.PeakBytes, torch.PeakMemory(device, step))
				} else {
					step()
				}
				return err
			}); err != nil {
				return e, err
			}
			e.StepSeconds = time.Since(began).Seconds()
		}
		break
	}
	for b, err := range t.Test.Epoch(ctx, 0, 0) {
		if err != nil {
			return e, err
		}
		began := time.Now()
		err := torch.Do(func(*torch.Scope) error {
			images, _ := metric.Tensors(b, t.Options)
			torch.NoGrad(func() { t.net.Logits(&nn.Ctx{}, images).Sum().Item() })
			return nil
		})
		if err != nil {
			return e, err
		}
		e.EvaluationSeconds = time.Since(began).Seconds() * float64(t.Test.Batches())
		break
	}
	e.EpochSeconds = e.StepSeconds*float64(e.Steps) + e.EvaluationSeconds
	e.SearchSeconds = e.EpochSeconds * float64(e.Epochs)
	if !s.Options.Device.IsCUDA() {
		e.PeakBytes = proc.Process("VmHWM")
	}
	return e, nil
}
