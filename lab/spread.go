package lab

import (
	"fmt"
	"math"
)

// Spread is the mean and the sample standard deviation of N numbers.
type Spread struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
	N    int     `json:"n"`
}

func spreadOf(values []float64) Spread {
	s := Spread{N: len(values)}
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

// Text returns the mean and, if there is more than one number, the standard deviation, both times scale and with a unit.
func (s Spread) Text(scale float64, unit string) string {
	if s.N < 2 {
		return fmt.Sprintf("%.2f%s", scale*s.Mean, unit)
	}
	return fmt.Sprintf("%.2f%s +- %.2f (standard deviation of %d)", scale*s.Mean, unit, scale*s.SD, s.N)
}
