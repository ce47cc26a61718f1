// Package datasetstest tests the rules that every data set must follow.
package datasetstest

import (
	"bytes"
	"hash/maphash"
	"sync"
	"testing"

	"hdas/datasets"
)

// most is the largest number of images that are read from a data set, spread evenly over it.
const most = 1000

// Run tests that d implements datasets.Dataset correctly. d must have at least one image.
func Run(t *testing.T, d datasets.Dataset) {
	t.Helper()
	info := d.Info()
	if err := info.Validate(); err != nil {
		t.Fatal(err)
	}
	if d.Len() < 1 {
		t.Fatalf("%s has no images", info.Name)
	}
	t.Run("origin", func(t *testing.T) {
		if info.Origin == "" {
			t.Error("it does not say where it comes from")
		}
	})
	t.Run("images", func(t *testing.T) { images(t, d) })
	t.Run("bounds", func(t *testing.T) { bounds(t, d) })
	t.Run("concurrent readers", func(t *testing.T) { concurrent(t, d) })
}

// images checks that At returns a label in range, writes every byte, and gives the same result each time.
func images(t *testing.T, d datasets.Dataset) {
	info := d.Info()
	first, second := make([]byte, info.Size()), bytes.Repeat([]byte{0xff}, info.Size())
	for _, i := range sample(d) {
		label, err := d.At(i, first)
		if err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
		if label < 0 || label >= len(info.Classes) {
			t.Fatalf("image %d has the label %d, which is not in 0..%d", i, label, len(info.Classes)-1)
		}
		again, err := d.At(i, second)
		if err != nil {
			t.Fatalf("image %d, read again: %v", i, err)
		}
		if again != label || !bytes.Equal(first, second) {
			t.Fatalf("image %d is another when read again into other bytes", i)
		}
		for j := range first {
			first[j], second[j] = 0, 0xff
		}
	}
}

// bounds checks that At returns an error for invalid arguments.
func bounds(t *testing.T, d datasets.Dataset) {
	size := d.Info().Size()
	for _, i := range []int{-1, d.Len(), d.Len() + 1, -1 << 62, 1 << 62} {
		if _, err := d.At(i, make([]byte, size)); err == nil {
			t.Errorf("it has an image %d, though it has %d", i, d.Len())
		}
	}
	for _, n := range []int{0, size - 1, size + 1} {
		if _, err := d.At(0, make([]byte, n)); err == nil {
			t.Errorf("it copies an image of %d bytes into %d", size, n)
		}
	}
}

// concurrent checks that several goroutines read the same images as one alone.
func concurrent(t *testing.T, d datasets.Dataset) {
	numbers := sample(d)
	seed := maphash.MakeSeed()
	read := func(shift int) (sum uint64) {
		image := make([]byte, d.Info().Size())
		for k := range numbers {
			i := numbers[(k+shift)%len(numbers)]
			label, err := d.At(i, image)
			if err != nil {
				t.Errorf("image %d: %v", i, err)
				return 0
			}
			sum += maphash.Bytes(seed, image)*uint64(i+1) + uint64(label)
		}
		return sum
	}
	want := read(0)
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			if got := read(r * len(numbers) / 4); got != want {
				t.Errorf("reader %d saw other images than one alone", r)
			}
		})
	}
	readers.Wait()
}

func sample(d datasets.Dataset) (numbers []int) {
	step := max(1, d.Len()/most)
	for i := 0; i < d.Len(); i += step {
		numbers = append(numbers, i)
	}
	return append(numbers, d.Len()-1)
}
