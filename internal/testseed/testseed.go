// Package testseed provides random numbers for tests. Tests with pgregory.net/rapid do not need it, because
// rapid prints the seed of a failure and has the flag -rapid.seed.
package testseed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Variable is the environment variable that holds the seed of all tests that call Rand.
const Variable = "HDAS_TEST_SEED"

// Rand returns a random number generator. Its seed is the environment variable HDAS_TEST_SEED or, if that is
// not set, usual. Rand logs the seed, which `go test` prints if the test fails. It fails the test if the
// variable is not a number.
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
