package main

import (
	"fmt"
	"math"
	"time"
)

// spread is the mean and the standard deviation (of a sample) of some numbers.
type spread struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
	N    int     `json:"n"`
}

// spreadOf sums numbers up.
func spreadOf(values []float64) spread {
	s := spread{N: len(values)}
	for _, v := range values {
		s.Mean += v / float64(len(values))
	}
	for _, v := range values {
		s.SD += (v - s.Mean) * (v - s.Mean)
	}
	if s.N > 1 {
		s.SD = math.Sqrt(s.SD / float64(s.N-1))
	}
	return s
}

func (s spread) percent() string { return s.text(100, " %") }

// text writes the mean and, of more than one number, the deviation, both times scale.
func (s spread) text(scale float64, unit string) string {
	if s.N < 2 {
		return fmt.Sprintf("%.2f%s", scale*s.Mean, unit)
	}
	return fmt.Sprintf("%.2f%s +- %.2f (standard deviation of %d)", scale*s.Mean, unit, scale*s.SD, s.N)
}

// duration writes seconds as people read them.
func duration(seconds float64) string {
	if seconds < 60 {
		return fmt.Sprintf("%.1f s", seconds)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
