package testseed

import (
	"fmt"
	"strings"
	"testing"
)

// recorder is a test that writes down what it logs and how it ends.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper() {}

func (r *recorder) Logf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	panic(r)
}

func TestRand(t *testing.T) {
	first := func(usual uint64) (uint64, string) {
		r := &recorder{TB: t}
		defer func() { _ = recover() }()
		v := Rand(r, usual).Uint64()
		return v, r.text
	}
	t.Setenv(Variable, "7")
	seven, text := first(1)
	if !strings.Contains(text, "HDAS_TEST_SEED=7") {
		t.Errorf("it logs %q", text)
	}
	t.Setenv(Variable, "8")
	if eight, _ := first(1); eight == seven {
		t.Error("seeds 7 and 8 give the same numbers")
	}
}

// What is no seed is not passed over.
func TestNoSeed(t *testing.T) {
	t.Setenv(Variable, "seven")
	r := &recorder{TB: t}
	defer func() {
		if recover() != any(r) || !strings.Contains(r.text, `"seven"`) {
			t.Errorf("it goes on, with %q", r.text)
		}
	}()
	Rand(r, 1)
}
