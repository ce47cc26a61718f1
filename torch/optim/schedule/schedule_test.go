package schedule_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"hdas/torch/optim/schedule"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

func TestSchedulesAtKnownSteps(t *testing.T) {
	for name, c := range map[string]struct {
		s    schedule.Schedule
		want map[int]float64
	}{
		// end + (base-end) (1 + cos(pi t/T))/2 at t/T = 0, 1/4, 1/3, 1/2, 2/3, 1: the cosine is 1,
		// sqrt(1/2), 1/2, 0, -1/2, -1. DARTS searches with 0.025 and 0.001 over 50 epochs.
		"cosine": {schedule.Cosine(0.025, 0.001, 60), map[int]float64{
			0: 0.025, 15: 0.001 + 0.012*(1+math.Sqrt(0.5)), 20: 0.019, 30: 0.013, 40: 0.007, 60: 0.001, 61: 0.001, 1000: 0.001,
		}},
		"linear":   {schedule.Linear(1, 0.2, 8), map[int]float64{0: 1, 1: 0.9, 4: 0.6, 8: 0.2, 9: 0.2}},
		"rising":   {schedule.Linear(0, 1, 2), map[int]float64{0: 0, 1: 0.5, 2: 1, 3: 1}},
		"step":     {schedule.Step(0.1, 0.5, 3), map[int]float64{0: 0.1, 2: 0.1, 3: 0.05, 5: 0.05, 6: 0.025, 9: 0.0125}},
		"each":     {schedule.Step(0.1, 0.97, 1), map[int]float64{0: 0.1, 1: 0.097, 2: 0.09409}},
		"warm-up":  {schedule.Warmup(schedule.Linear(1, 0, 10), 4, 0.2), map[int]float64{0: 0.2, 2: 0.8 * 0.6, 4: 0.6, 5: 0.5, 10: 0}},
		"none":     {schedule.Warmup(schedule.Linear(1, 0, 10), 0, 0.2), map[int]float64{0: 1, 5: 0.5}},
		"constant": {schedule.Cosine(0.3, 0.3, 7), map[int]float64{0: 0.3, 3: 0.3, 9: 0.3}},
	} {
		for step, want := range c.want {
			if got := c.s(step); !near(got, want) {
				t.Errorf("%s at %d is %v, want %v", name, step, got, want)
			}
		}
	}
	// The ends are met exactly, without rounding.
	if s := schedule.Cosine(0.1, 1e-4, 7); s(0) != 0.1 || s(7) != 1e-4 {
		t.Errorf("cosine from %v to %v", s(0), s(7))
	}
}

func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Float64Range(1e-6, 10).Draw(t, "base")
		end := base * rapid.Float64Range(0, 1).Draw(t, "end/base")
		total := rapid.IntRange(1, 1000).Draw(t, "total")
		for name, s := range map[string]schedule.Schedule{
			"cosine": schedule.Cosine(base, end, total),
			"linear": schedule.Linear(base, end, total),
			"step":   schedule.Step(base, 0.9, max(total/7, 1)),
		} {
			if !near(s(0)/base, 1) {
				t.Fatalf("%s begins with %v, not the full rate %v", name, s(0), base)
			}
			for i := range total + 5 {
				if s(i+1) > s(i)+1e-12*base || s(i) != s(i) || s(i) < 0 {
					t.Fatalf("%s rises from %v to %v after step %d", name, s(i), s(i+1), i)
				}
				if name == "step" {
					continue
				}
				if s(i) < end-1e-12*base || i >= total && !near(s(i)/base, end/base) {
					t.Fatalf("%s at %d of %d is %v, its end %v", name, i, total, s(i), end)
				}
				// Symmetric about the middle.
				if i <= total && !near((s(i)+s(total-i))/base, 1+end/base) {
					t.Fatalf("%s at %d and %d: %v and %v", name, i, total-i, s(i), s(total-i))
				}
			}
		}
	})
}

func TestWarmupProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Float64Range(1e-3, 10).Draw(t, "base")
		total := rapid.IntRange(2, 500).Draw(t, "total")
		n := rapid.IntRange(1, total).Draw(t, "warm-up")
		from := rapid.Float64Range(0, 1).Draw(t, "from")
		s := schedule.Cosine(base, 0, total)
		w := schedule.Warmup(s, n, from)
		if !near(w(0), from*base) {
			t.Fatalf("begins with %v, not %v", w(0), from*base)
		}
		for i := n; i < total+3; i++ { // from step n on it is s, of which the first n steps are used up
			if w(i) != s(i) {
				t.Fatalf("at %d it is %v, not %v", i, w(i), s(i))
			}
		}
		for i := range n {
			if w(i) > s(i)*(1+1e-12) || w(i) < from*s(i)*(1-1e-12) {
				t.Fatalf("at %d it is %v, with %v behind it", i, w(i), s(i))
			}
			// Continuous: the share grows by (1-from)/n a step, while s falls by its own step.
			if jump, allowed := math.Abs(w(i+1)-w(i)), base*(1-from)/float64(n)+math.Abs(s(i+1)-s(i)); jump > allowed*(1+1e-9) {
				t.Fatalf("from %d to %d it jumps by %v, more than %v", i, i+1, jump, allowed)
			}
		}
		// Of a constant rate it is a straight line.
		flat := schedule.Warmup(func(int) float64 { return base }, n, from)
		for i := range n + 1 {
			if want := base * (from + (1-from)*float64(i)/float64(n)); !near(flat(i), want) {
				t.Fatalf("of a constant: %v at %d, want %v", flat(i), i, want)
			}
		}
	})
}
