// Package score computes the score of a classifier from sums over samples. It needs no libtorch.
package score

import (
	"fmt"
	"math"
)

// Score is the loss and the accuracy of a classifier over a number of samples.
type Score struct {
	Loss    float64 `json:"loss"` // mean over the samples
	Top1    float64 `json:"top1"` // top-1 accuracy in [0,1]
	Top5    float64 `json:"top5"` // top-5 accuracy in [0,1]
	Samples int64   `json:"samples"`
}

// Finite returns an error if the loss is NaN or infinite, that is, if the network has diverged.
func (s Score) Finite() error {
	if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
		return fmt.Errorf("the loss is %v: the network has diverged; lower the learning rate or the clipping norm", s.Loss)
	}
	return nil
}

// Sums holds sums over samples.
type Sums struct {
	Loss    float64 // sum of the losses of all samples
	First   float64 // number of samples whose label is the most likely class
	Five    float64 // number of samples whose label is among the five most likely classes
	Samples float64 // number of samples
}

// Score returns the score of all samples, the zero Score if there are none.
func (s Sums) Score() Score {
	if s.Samples == 0 {
		return Score{}
	}
	return Score{Loss: s.Loss / s.Samples, Top1: s.First / s.Samples, Top5: s.Five / s.Samples, Samples: int64(s.Samples)}
}
