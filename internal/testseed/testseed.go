// Package testseed gives tests their random numbers. Tests of pgregory.net/rapid have its own: it
// prints the seed of a failure, and -rapid.seed takes one.
package testseed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Variable is the environment variable that holds the seed of all tests that call Rand.
const Variable = "HDAS_TEST_SEED"

// Rand returns a generator that is seeded by the environment variable HDAS_TEST_SEED or, where that
// is not set, by usual. It logs the seed, which `go test` prints where the test fails. A variable
// that is no number fails the test.
func Rand(t testing.TB, usual uint64) *rand.Rand {
	t.Helper()
	seed := usual
	if text, ok := os.LookupEnv(Variable); ok {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", Variable, err)
		}
	}
	t.Logf("random numbers: %s=%d", Variable, seed)
	return rand.New(rand.NewPCG(seed, 5))
}
