package looptest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"hdas/internal/looptest"
	_ "hdas/internal/torchtest"
)

type float interface{ float32 | float64 }

// The kinds of values that loops are tested on.
const (
	exact   = iota // multiples of 1/8 up to 4: no sum or product is rounded, so all sets and Go agree to the bit
	rounded        // normally distributed
	hostile        // of exact ones every eighth is replaced by NaN, an infinity, a denormal number or -0; a product of an exact and a denormal one is not rounded
)

// arena is the memory of one call, its arguments, and what the call has to leave there.
type arena[T float] struct {
	*rapid.T
	r       *rand.Rand
	kind    int
	vector  int64 // bytes
	numbers []int64
	memory  []T
	want    map[int64]result // what is not here has to stay as it is
}

// result is the value of an element: a sum of so many terms, whose magnitudes add up to size.
type result struct {
	value, size float64
	terms       int
}

func (s result) plus(v float64) result {
	return result{s.value + v, s.size + math.Abs(v), s.terms + 1}
}

// size draws a number from least to most.
func (a *arena[T]) size(name string, least, most int64) int64 {
	return rapid.Int64Range(least, most).Draw(a.T, name)
}

// lanes is how many elements the vectors have to whose multiples channels are padded.
func (a *arena[T]) lanes() int64 { return a.vector / int64(unsafe.Sizeof(T(0))) }

func (a *arena[T]) wide(c int64) int64 { return (c + a.lanes() - 1) / a.lanes() * a.lanes() }

// put adds n values of the kind to the memory, between others that belong to nothing, and returns
// the index of the first.
func (a *arena[T]) put(n int64) int64 { return a.fill(n, a.kind) }

// putExact is put for values that decide which way a comparison goes: none is normally distributed,
// because rounding could turn it.
func (a *arena[T]) putExact(n int64) int64 {
	if a.kind == rounded {
		return a.fill(n, exact)
	}
	return a.put(n)
}

func (a *arena[T]) fill(n int64, kind int) int64 {
	const gap = 5
	first := int64(len(a.memory)) + gap
	for range gap + n + gap {
		v := T(a.r.IntN(65)-32) / 8
		switch {
		case kind == rounded:
			v = T(a.r.NormFloat64())
		case kind == hostile && a.r.IntN(8) == 0:
			v = []T{T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), least[T]() * T(8*a.r.IntN(1000)), -8 * least[T](), T(math.Copysign(0, -1))}[a.r.IntN(6)]
		}
		a.memory = append(a.memory, v)
	}
	return first
}

// least is the smallest number above zero.
func least[T float]() T {
	if unsafe.Sizeof(T(0)) == 4 {
		return T(math.SmallestNonzeroFloat32)
	}
	var v any = math.SmallestNonzeroFloat64
	return T(v.(float64))
}

// epsilon is the distance from 1 to the next number.
func epsilon[T float]() float64 {
	if unsafe.Sizeof(T(0)) == 4 {
		return 0x1p-23
	}
	return 0x1p-52
}

// at is the value before the call.
func (a *arena[T]) at(i int64) float64 { return float64(a.memory[i]) }

// add adds v to what has to be at i.
func (a *arena[T]) add(i int64, v float64) {
	s, ok := a.want[i]
	if !ok {
		s = s.plus(a.at(i))
	}
	a.want[i] = s.plus(v)
}

// set is for what does not depend on the value before.
func (a *arena[T]) set(i int64, s result) { a.want[i] = s }

// check says where after, the memory after the call, is not what it has to be.
func (a *arena[T]) check(after []T) error {
	for i, got := range after {
		g, was := float64(got), a.at(int64(i))
		s, changes := a.want[int64(i)]
		if !changes {
			if math.Float64bits(g) != math.Float64bits(was) {
				return fmt.Errorf("element %d was %v and is %v, but nothing may be written there", i, was, g)
			}
			continue
		}
		allowed := 0.0
		if a.kind != exact {
			allowed = epsilon[T]()*float64(s.terms+4)*s.size + float64(s.terms)*float64(least[T]())
		}
		same := g == s.value || math.IsNaN(g) && math.IsNaN(s.value)
		if !same && !(math.Abs(g-s.value) <= allowed && !math.IsInf(s.value, 0)) {
			return fmt.Errorf("element %d is %v, not %v, and may be off by %.3g", i, g, s.value, allowed)
		}
	}
	return nil
}

// eachKind runs a loop in every instruction set, in both types and on values of every kind. lay puts
// a call's arguments of random sizes into an arena, with the results that plain Go has for them.
func eachKind(t *testing.T, loop string, single func(a *arena[float32]), double func(a *arena[float64])) {
	t.Run("float32", func(t *testing.T) { compare(t, loop, single) })
	t.Run("float64", func(t *testing.T) { compare(t, loop, double) })
}

func compare[T float](t *testing.T, loop string, lay func(a *arena[T])) {
	for kind, name := range []string{exact: "exact", rounded: "rounded", hostile: "hostile"} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "values")
				a := &arena[T]{T: t, r: rand.New(rand.NewPCG(seed, 1)), kind: kind, want: map[int64]result{}}
				a.vector = looptest.Vector(rapid.SampledFrom(looptest.Sets()).Draw(t, "padded for"))
				lay(a)
				results := map[string][]T{}
				for _, set := range looptest.Sets() {
					if looptest.Vector(set) > a.vector {
						continue
					}
					after := slices.Clone(a.memory)
					err := looptest.Call(set, loop, a.numbers, after)
					if err == nil {
						err = a.check(after)
					}
					if err != nil {
						t.Fatalf("%s: %v", set, err)
					}
					results[set] = after
				}
				between(t, a, results)
			})
		})
	}
}

// between compares the sets with each other: they may differ by the rounding of a product before it
// is added, which the vectors' fused instructions leave out, and in nothing else.
func between[T float](t *rapid.T, a *arena[T], results map[string][]T) {
	for set, after := range results {
		for i, v := range after {
			p := float64(results["plain"][i])
			s := a.want[int64(i)]
			allowed := 0.0
			if a.kind != exact {
				allowed = epsilon[T]()*float64(s.terms)*s.size + float64(s.terms)*float64(least[T]())
			}
			if g := float64(v); g != p && !(math.IsNaN(g) && math.IsNaN(p)) && !(math.Abs(g-p) <= allowed) {
				t.Fatalf("element %d is %v by %s and %v by plain, further apart than %.3g", i, g, set, p, allowed)
			}
		}
	}
}
