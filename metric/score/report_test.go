package score_test

import (
	"math"
	"reflect"
	"testing"

	"hdas/metric/score"
)

// A report of five images, computed by hand: accuracies of the most likely classes, of each class, the matrix of
// confusion, and the calibration error over bins of a fifteenth.
func TestReport(t *testing.T) {
	tally := score.NewTally(3)
	for _, i := range []struct {
		p     []float64
		class int
	}{
		{[]float64{0.9, 0.06, 0.04}, 0},
		{[]float64{0.9, 0.02, 0.08}, 0},
		{[]float64{0.1, 0.6, 0.3}, 2},
		{[]float64{0.5, 0.5, 0}, 1}, // equally likely: the first
		{[]float64{0, 1, 0}, 1},
	} {
		tally.Add(i.p, i.class)
	}
	r := tally.Report([]string{"a", "b", "c"})
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	near("top-1", r.Top[0], 0.6)
	near("top-2", r.Top[1], 1)
	if want := [][]int64{{2, 0, 0}, {1, 1, 0}, {0, 1, 0}}; !reflect.DeepEqual(r.Confusion, want) {
		t.Errorf("confusion %v", r.Confusion)
	}
	near("top-1 of b", r.Classes[1].Top1, 0.5)
	near("precision of a", r.Classes[0].Precision, 2./3)
	near("precision of c", r.Classes[2].Precision, 0)
	// Two of confidence 0.9 in one bin, right; 0.6 and 0.5 wrong, in others; 1 right.
	near("calibration error", r.CalibrationError, (2*0.1+0.6+0.5+0)/5)
	if b := r.Bins[13]; b.Images != 2 || b.Top1 != 1 || math.Abs(b.Confidence-0.9) > 1e-12 || r.Bins[14].Images != 1 || len(r.Bins) != score.Bins {
		t.Errorf("bins %+v", r.Bins)
	}
	if m := r.Mistakes(1); len(m) != 1 || m[0] != (score.Mistake{Class: "b", Guess: "a", Images: 1}) {
		t.Errorf("mistakes %v", m)
	}
	if empty := score.NewTally(2).Report([]string{"a", "b"}); empty.CalibrationError != 0 || empty.Classes[0].Top1 != 0 {
		t.Errorf("of no images %+v", empty)
	}
}
