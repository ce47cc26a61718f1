// Package score has the results of a classifier and their arithmetic. It needs no libtorch.
package score

import (
	"fmt"
	"math"
)

// Score is the result over all samples seen.
type Score struct {
	Loss    float64 `json:"loss"` // the mean
	Top1    float64 `json:"top1"` // share in [0,1] whose class is the first guess
	Top5    float64 `json:"top5"` // share in [0,1] whose class is among the first five guesses
	Samples int64   `json:"samples"`
}

// Finite returns an error where the loss is NaN or infinite: the network has diverged.
func (s Score) Finite() error {
	if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
		return fmt.Errorf("the loss is %v: the network has diverged; lower the learning rate or clip gradients harder", s.Loss)
	}
	return nil
}

// Sums are what batches add up to.
type Sums struct {
	Loss    float64 // of all samples
	First   float64 // number of samples whose class is the first guess
	Five    float64 // number of samples whose class is among the first five guesses
	Samples float64
}

// Score returns the score of all samples, the zero Score where there are none.
func (s Sums) Score() Score {
	if s.Samples == 0 {
		return Score{}
	}
	return Score{Loss: s.Loss / s.Samples, Top1: s.First / s.Samples, Top5: s.Five / s.Samples, Samples: int64(s.Samples)}
}
