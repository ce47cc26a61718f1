package datasets

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Resumed runs need the same random numbers as before. The expected numbers come from this code itself;
// the test ensures that they do not change.
func TestStreamsStay(t *testing.T) {
	r := rng(7, "order", 3)
	got := []uint64{r.pcg.Uint64(), r.pcg.Uint64()}
	if want := []uint64{0x775c0c942d306c11, 0x5a410f93acb43096}; !slices.Equal(got, want) {
		t.Errorf("stream (7, order, 3) starts with %#x, not %#x", got, want)
	}
	if got, want := rng(1, "order", 0).permutation(10), []int{7, 6, 2, 5, 0, 4, 9, 3, 1, 8}; !slices.Equal(got, want) {
		t.Errorf("permutation %v, not %v", got, want)
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[uint64][4]int{}
	for seed := range 4 {
		for name, text := range []string{"order", "augment", "split", "", "a", "b"} {
			for epoch := range 20 {
				for image := range 20 {
					first := rng(uint64(seed), text, epoch, image).pcg.Uint64()
					at := [4]int{seed, name, epoch, image}
					if other, ok := seen[first]; ok {
						t.Fatalf("streams %v and %v are the same", at, other)
					}
					seen[first] = at
				}
			}
		}
	}
}

func TestPermutationHoldsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 500).Draw(t, "n")
		order := rng(rapid.Uint64().Draw(t, "seed"), "x").permutation(n)
		slices.Sort(order)
		for i, k := range order {
			if i != k {
				t.Fatalf("permutation of %d lacks %d", n, i)
			}
		}
	})
}

// Every number is equally likely at every position: a chi-squared test of 8x8 counts.
func TestPermutationIsUniform(t *testing.T) {
	const n, rounds = 8, 20_000
	counts := make([]int, n*n)
	for k := range rounds {
		for at, number := range rng(5, "permutation", k).permutation(n) {
			counts[at*n+number]++
		}
	}
	uniform(t, "places", counts)
}

func TestBelowIsUniform(t *testing.T) {
	for _, n := range []int{2, 3, 9, 32, 1000} {
		counts := make([]int, n)
		r := rng(3, "below", n)
		for range 100 * n {
			counts[r.below(n)]++
		}
		uniform(t, "draws", counts)
	}
}

// uniform tests with chi-squared that counts belong to equally likely outcomes. With k = len(counts)-1
// degrees of freedom, the statistic has mean k and variance 2k.
func uniform(t *testing.T, what string, counts []int) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	want, chi := float64(total)/float64(len(counts)), 0.0
	for _, n := range counts {
		chi += (float64(n) - want) * (float64(n) - want) / want
	}
	k := float64(len(counts) - 1)
	if dev := math.Abs(chi-k) / math.Sqrt(2*k); dev > 5 {
		t.Errorf("%s are not equally likely: chi-squared %.1f with %v degrees of freedom: %v", what, chi, k, counts)
	}
}
