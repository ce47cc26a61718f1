package datasets

import (
	"bytes"
	"slices"
	"testing"
)

// uneven is a data set of bytes whose class 0 has most of the images.
func uneven(t *testing.T) (Dataset, []int) {
	d, err := Subset(fake(40, 1, 4, 4), slices.Concat(slices.Repeat([]int{0}, 10), []int{1, 2, 11, 5}))
	if err != nil {
		t.Fatal(err)
	}
	labels, err := Labels(d)
	if err != nil {
		t.Fatal(err)
	}
	return d, labels
}

// An epoch of a balanced loader has as many images as the data set, equally many of each class, the images of
// a class equally often to one, and a repeated image is augmented anew. It depends on the seed and the epoch alone.
func TestBalanced(t *testing.T) {
	d, labels := uneven(t)
	classes := map[int]int{}
	for _, l := range labels {
		classes[l]++
	}
	if len(classes) < 2 {
		t.Fatal("one class")
	}
	for epoch := range 20 {
		draws := balanced(labels, rng(3, "order", epoch))
		count, seen := map[int]int{}, map[int]bool{}
		times := make([]int, len(labels))
		for _, draw := range draws {
			if seen[draw] {
				t.Fatalf("epoch %d: draw %d twice", epoch, draw)
			}
			seen[draw] = true
			times[draw%len(labels)]++
			count[labels[draw%len(labels)]]++
		}
		for class := range classes {
			if n := count[class]; n < len(labels)/len(classes) || n > len(labels)/len(classes)+1 {
				t.Errorf("epoch %d: %d images of class %d", epoch, n, class)
			}
			var of []int
			for i, l := range labels {
				if l == class {
					of = append(of, times[i])
				}
			}
			if slices.Max(of)-slices.Min(of) > 1 {
				t.Errorf("epoch %d: the images of class %d are drawn %v times", epoch, class, of)
			}
		}
		if !slices.Equal(draws, balanced(labels, rng(3, "order", epoch))) {
			t.Error("another order from the same seed")
		}
	}
	l := &Loader{Dataset: d, Batch: 5, Shuffle: true, Balance: labels, Seed: 4, Workers: 1, Transform: Transform{Padding: 2}}
	one := collect(t, l, 0, 0)
	l.Workers = 3
	if !same(one, collect(t, l, 0, 0)) || !same(one[1:], collect(t, l, 0, 1)) || same(one, collect(t, l, 1, 0)) {
		t.Error("the batches depend on more than the seed and the epoch")
	}
}

// The parts of a batch are its images in order.
func TestPartOfABatch(t *testing.T) {
	b := Batch{N: 3, C: 1, H: 1, W: 2, Images: []float32{1, 2, 3, 4, 5, 6}, Labels: []int64{7, 8, 9}, Others: []int64{1, 2, 3}, Share: 0.25}
	p := b.Part(1, 2)
	if p.N != 2 || !slices.Equal(p.Images, b.Images[2:]) || !slices.Equal(p.Labels, b.Labels[1:]) || !slices.Equal(p.Others, b.Others[1:]) || p.Share != 0.25 {
		t.Errorf("%+v", p)
	}
}

// The validation part has its share, to one image and at least one, and the two parts are disjoint and all.
func TestValidationPart(t *testing.T) {
	d := fake(20, 1, 2, 2)
	for share, want := range map[float64]int{0.1: 2, 0.01: 1, 0.33: 7, 0.99: 19} {
		learn, valid, _ := ValidationAt(d, share, 3, nil)
		if valid.Len() != want || learn.Len() != 20-want {
			t.Errorf("share %v: %d and %d images", share, learn.Len(), valid.Len())
		}
		var all [][]byte
		for _, part := range []Dataset{learn, valid} {
			for i := range part.Len() {
				image := make([]byte, 4)
				if _, err := part.At(i, image); err != nil {
					t.Fatal(err)
				}
				all = append(all, image)
			}
		}
		slices.SortFunc(all, bytes.Compare)
		if n := len(slices.CompactFunc(all, bytes.Equal)); n != 20 {
			t.Errorf("share %v: %d different images", share, n)
		}
	}
}
