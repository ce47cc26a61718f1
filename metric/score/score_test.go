package score_test

import (
	"math"
	"testing"

	"hdas/metric/score"
)

func TestScoreOfSums(t *testing.T) {
	if got, want := (score.Sums{Loss: 8, First: 2, Five: 3, Samples: 4}).Score(), (score.Score{Loss: 2, Top1: 0.5, Top5: 0.75, Samples: 4}); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	if got := (score.Sums{}).Score(); got != (score.Score{}) {
		t.Errorf("no samples score %+v", got)
	}
}

func TestFinite(t *testing.T) {
	for _, loss := range []float64{math.NaN(), math.Inf(1)} {
		if (score.Score{Loss: loss}).Finite() == nil {
			t.Errorf("a loss of %v passes", loss)
		}
	}
	if err := (score.Score{Loss: 2}).Finite(); err != nil {
		t.Error(err)
	}
}
