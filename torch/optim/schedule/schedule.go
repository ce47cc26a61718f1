// Package schedule provides learning rate schedules as functions of the step. It does not need
// libtorch.
package schedule

import "math"

// Schedule returns the learning rate of a step, counted from 0. The caller decides whether a step is a
// batch or an epoch. A schedule has no state.
type Schedule func(step int) float64

// Cosine returns a schedule that falls from base at step 0 to end at step total along half a cosine
// (SGDR without restarts, arXiv:1608.03983), and is end after that:
// end + (base-end) * (1 + cos(pi*step/total)) / 2.
func Cosine(base, end float64, total int) Schedule {
	return func(step int) float64 {
		return end + (base-end)*(1+math.Cos(math.Pi*progress(step, total)))/2
	}
}

// Linear returns a schedule that changes linearly from base at step 0 to end at step total, and is end
// after that.
func Linear(base, end float64, total int) Schedule {
	return func(step int) float64 { return base + (end-base)*progress(step, total) }
}

// Step returns the schedule base * factor^floor(step/every).
func Step(base, factor float64, every int) Schedule {
	return func(step int) float64 { return base * math.Pow(factor, float64(step/every)) }
}

// MultiStep returns the schedule base * factor^k, where k is the number of milestones that are not after the
// step. A milestone that is given twice counts twice.
func MultiStep(base, factor float64, milestones []int) Schedule {
	return func(step int) float64 {
		passed := 0
		for _, m := range milestones {
			if m <= step {
				passed++
			}
		}
		return base * math.Pow(factor, float64(passed))
	}
}

// Warmup returns the schedule s(step) * (from + (1-from) * min(step/n, 1)): the factor rises linearly
// from `from` to 1 during the first n steps, and s is not delayed.
func Warmup(s Schedule, n int, from float64) Schedule {
	return func(step int) float64 {
		return s(step) * (from + (1-from)*progress(step, n))
	}
}

// progress returns step/total, limited to [0,1].
func progress(step, total int) float64 {
	if step >= total {
		return 1
	}
	return float64(max(step, 0)) / float64(total)
}
