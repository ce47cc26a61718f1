// Package schedule has learning rates as functions of the step. It needs no libtorch.
package schedule

import "math"

// Schedule is a learning rate as a function of the step, from 0. What a step is, an epoch or a
// batch, is the caller's choice; a schedule has no state to save.
type Schedule func(step int) float64

// Cosine falls from base at step 0 to end at step total along half a cosine (SGDR,
// arXiv:1608.03983, without restarts), and stays there.
func Cosine(base, end float64, total int) Schedule {
	return func(step int) float64 {
		return end + (base-end)*(1+math.Cos(math.Pi*progress(step, total)))/2
	}
}

// Linear falls from base at step 0 to end at step total in a straight line, and stays there.
func Linear(base, end float64, total int) Schedule {
	return func(step int) float64 { return base + (end-base)*progress(step, total) }
}

// Step multiplies base by factor after every `every` steps.
func Step(base, factor float64, every int) Schedule {
	return func(step int) float64 { return base * math.Pow(factor, float64(step/every)) }
}

// Warmup rises from the share `from` of s(0) to s itself during the first n steps, in a straight
// line, and goes on as s, of which it uses up those steps.
func Warmup(s Schedule, n int, from float64) Schedule {
	return func(step int) float64 {
		return s(step) * (from + (1-from)*progress(step, n))
	}
}

// progress is the share of total that is done, in [0,1].
func progress(step, total int) float64 {
	if step >= total {
		return 1
	}
	return float64(max(step, 0)) / float64(total)
}
