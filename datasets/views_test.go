package datasets

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// firsts are the first bytes of all images: 31 i mod 256 in a fake data set, so i where there
// are at most 256.
func firsts(t *rapid.T, d Dataset) (numbers []int) {
	image := make([]byte, d.Info().Size())
	for i := range d.Len() {
		if _, err := d.At(i, image); err != nil {
			t.Fatal(err)
		}
		for n := range 256 {
			if byte(31*n) == image[0] {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 256).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		fraction := rapid.Float64Range(0, 1).Draw(t, "fraction")
		d := fake(n, 1, 1, 1)
		a, b, err := Split(d, fraction, seed)
		if err != nil {
			t.Fatal(err)
		}
		if a.Len() != int(math.Floor(fraction*float64(n))) {
			t.Fatalf("%d of %d images at the fraction %v", a.Len(), n, fraction)
		}
		both := append(firsts(t, a), firsts(t, b)...)
		if again, _, _ := Split(d, fraction, seed); !slices.Equal(firsts(t, again), both[:a.Len()]) {
			t.Fatal("the same seed splits in another way")
		}
		slices.Sort(both)
		for i, k := range both {
			if i != k || len(both) != n {
				t.Fatalf("the parts together have %v of %d", both, n)
			}
		}
	})
	for _, fraction := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		if _, _, err := Split(fake(3, 1, 1, 1), fraction, 0); err == nil {
			t.Errorf("it splits at %v", fraction)
		}
	}
}

func TestHalves(t *testing.T) {
	d := fake(101, 1, 1, 1)
	a, b := Halves(d, 1)
	c, _ := Halves(d, 2)
	if a.Len() != 50 || b.Len() != 51 {
		t.Errorf("halves of %d and %d", a.Len(), b.Len())
	}
	first, other := a.(*subset).numbers, c.(*subset).numbers
	if slices.IsSorted(first) || slices.Equal(first, other) {
		t.Errorf("%v and %v with another seed are not shuffled", first, other)
	}
}

func TestSubsetRefusesAndCopies(t *testing.T) {
	d := fake(5, 1, 1, 1)
	for _, numbers := range [][]int{{5}, {-1}, {0, 1, 99}} {
		if _, err := Subset(d, numbers); err == nil {
			t.Errorf("a subset of 5 has the images %v", numbers)
		}
	}
	numbers := []int{2, 2}
	s, err := Subset(d, numbers)
	if err != nil {
		t.Fatal(err)
	}
	numbers[0] = 99
	if label, err := s.At(0, make([]byte, 1)); err != nil || label != 2 {
		t.Errorf("label %d, error %v once the caller's slice is another", label, err)
	}
}

func TestRGB(t *testing.T) {
	if d := fake(2, 3, 2, 2); must(RGB(d)) != Dataset(d) {
		t.Error("colours are wrapped")
	}
	if _, err := RGB(fake(2, 2, 2, 2)); err == nil {
		t.Error("two channels become colours")
	}
	if info := must(RGB(fake(2, 1, 2, 2))).Info(); info.Channels != 3 || len(info.Mean) != 3 || info.Std[2] != info.Std[0] {
		t.Errorf("%+v", info)
	}
}

func TestPad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, h, w := rapid.IntRange(1, 3).Draw(t, "c"), rapid.IntRange(1, 5).Draw(t, "h"), rapid.IntRange(1, 5).Draw(t, "w")
		margin := rapid.IntRange(0, 4).Draw(t, "margin")
		d := fake(2, c, h, w)
		p, err := Pad(d, margin, 77)
		if err != nil {
			t.Fatal(err)
		}
		height, width := h+2*margin, w+2*margin
		got := make([]byte, c*height*width)
		if label, err := p.At(1, got); err != nil || label != 1 {
			t.Fatalf("label %d, error %v", label, err)
		}
		for k, b := range got {
			y, x := k/width%height-margin, k%width-margin
			want := byte(77)
			if y >= 0 && y < h && x >= 0 && x < w {
				want = d.pixels[((c+k/width/height)*h+y)*w+x] // of image 1
			}
			if b != want {
				t.Fatalf("byte %d is %d, not %d", k, b, want)
			}
		}
	})
	if _, err := Pad(fake(1, 1, 1, 1), -1, 0); err == nil {
		t.Error("a margin of -1")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
