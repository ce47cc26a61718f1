// Package live holds what a run tells of itself while it goes on: what it is, where it is and how fast it goes.
// It needs no libtorch.
package live

import (
	"time"

	"hdas/metric/score"
)

// State says where a run is and how fast it goes.
type State struct {
	Time   time.Time `json:"time"`
	Epoch  int       `json:"epoch"` // epochs finished
	Epochs int       `json:"epochs"`
	Step   int       `json:"step"`  // steps finished in the epoch after that
	Steps  int       `json:"steps"` // in an epoch

	LR float64 `json:"lr"` // learning rate of the newest step
	// Train is the score on the images that the steps of an epoch have learned from, as it was read from the device last.
	// That is done when the run waits for the device anyway: on CUDA, at checkpoints and at the end of an epoch. It has
	// no samples before.
	Train      score.Score `json:"train"`
	TrainEpoch int         `json:"train_epoch"` // the epoch of Train, from 1

	Seconds         float64 `json:"seconds"`           // since the process began or resumed the run
	ImagesPerSecond float64 `json:"images_per_second"` // that the newest steps have learned from; 0: unknown yet
	Memory          int64   `json:"memory"`            // bytes that the process holds, of the device that computes; 0: unknown
	// The seconds until this epoch and the run end, evaluations included once one was measured; 0: unknown yet.
	EpochLeft float64 `json:"epoch_seconds_left"`
	Left      float64 `json:"seconds_left"`
}

// Evaluating reports whether all steps of the epoch are done, but not its evaluation.
func (s State) Evaluating() bool { return s.Steps > 0 && s.Step == s.Steps }

// Learned reports whether Train is of the steps of the epoch that goes on.
func (s State) Learned() bool { return s.Train.Samples > 0 && s.TrainEpoch == s.Epoch+1 }

// Since returns the state with the times of that moment, if no step has ended since.
func (s State) Since(now time.Time) State {
	passed := max(0, now.Sub(s.Time).Seconds())
	s.Time, s.Seconds = now, s.Seconds+passed
	if s.EpochLeft > 0 {
		s.EpochLeft, s.Left = max(0, s.EpochLeft-passed), max(0, s.Left-passed)
	}
	return s
}

// Pace measures the times of a run. The zero Pace has measured nothing.
type Pace struct {
	Images int // that a step learns from
	step   mean
	rest   mean // what an epoch takes besides its steps
	last   time.Time
	began  time.Time
}

// Begin says that steps begin now.
func (p *Pace) Begin(now time.Time) {
	if p.began.IsZero() {
		p.began = now
	}
	p.last = now
}

// Step says that a step has ended.
func (p *Pace) Step(now time.Time) {
	p.step.add(now.Sub(p.last).Seconds(), 30)
	p.last = now
}

// Epoch says that the epoch after the newest step has ended, with its evaluation and its checkpoint.
func (p *Pace) Epoch(now time.Time) {
	p.rest.add(now.Sub(p.last).Seconds(), 3)
	p.last = now
}

// Fill sets the times of a state.
func (p *Pace) Fill(s *State) {
	s.Time, s.Seconds = p.last, p.last.Sub(p.began).Seconds()
	s.EpochLeft, s.Left = 0, 0
	if p.step.n == 0 || s.Epoch >= s.Epochs {
		return
	}
	if p.step.is > 0 {
		s.ImagesPerSecond = float64(p.Images) / p.step.is
	}
	epoch := float64(s.Steps)*p.step.is + p.rest.is
	s.EpochLeft = epoch - float64(s.Step)*p.step.is
	s.Left = s.EpochLeft + float64(s.Epochs-s.Epoch-1)*epoch
}

// mean is the mean of numbers, in which the newest weigh most. The first, which warms up, is forgotten.
type mean struct {
	is float64
	n  int
}

// add adds a number. The mean is of about the given number of them.
func (m *mean) add(v float64, of int) {
	if m.n > 0 && m.n < of+1 {
		m.is += (v - m.is) / float64(m.n)
	} else if m.n > 0 {
		m.is += (v - m.is) / float64(of)
	} else {
		m.is = v
	}
	m.n++
}
