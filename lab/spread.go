package lab

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
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

// improvement returns the relative improvement of a mean accuracy over random networks, in percent: 100 (found - random) / random
// with the mean of these; the standard deviation is over them.
func improvement(found float64, random []float64) Spread {
	var each []float64
	for _, accuracy := range random {
		each = append(each, 100*(found-accuracy)/accuracy)
	}
	of, ri := spreadOf(random), spreadOf(each)
	ri.Mean = 100 * (found - of.Mean) / of.Mean
	return ri
}

// Difference is the difference of two means with its confidence interval.
type Difference struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"` // of the 95 % interval
	High float64 `json:"high"`
	P    float64 `json:"p"` // of the two-sided test that the means are equal
}

// Clear reports whether zero is outside the interval.
func (d Difference) Clear() bool { return d.Low > 0 || d.High < 0 }

// Points returns the difference of two shares in percentage points, with its interval and the test.
func (d Difference) Points() string {
	return fmt.Sprintf("%+.2f points, 95 %% interval %+.2f to %+.2f (Welch's t-test, p = %.2g)", 100*d.Mean, 100*d.Low, 100*d.High, d.P)
}

// Minus returns the difference s - o by Welch's t-test for samples of unequal variance (B. L. Welch, Biometrika 34,
// 1947); nil if one of them has fewer than two numbers, or if neither varies.
func (s Spread) Minus(o Spread) *Difference {
	a, b := s.SD*s.SD/float64(s.N), o.SD*o.SD/float64(o.N)
	if s.N < 2 || o.N < 2 || a+b == 0 {
		return nil
	}
	t := distuv.StudentsT{Sigma: 1, Nu: (a + b) * (a + b) / (a*a/float64(s.N-1) + b*b/float64(o.N-1))}
	mean, se := s.Mean-o.Mean, math.Sqrt(a+b)
	half := se * t.Quantile(0.975)
	return &Difference{mean, mean - half, mean + half, 2 * t.CDF(-math.Abs(mean/se))}
}
