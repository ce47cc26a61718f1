package datasets

import (
	"fmt"
	"math"
	"slices"
)

// Cut says where the images of each class of one's own folder were cut in two parts, by class: an image
// whose hash is below is in the first part. The hash is of the image's path within the folder of the
// classes, and of a seed, so no image changes its part when others come or go. A Cut of nil is to be made
// from the images that are there; an empty one that is not nil cuts by position, as programs before did.
type Cut map[string]uint64

// ByPosition is the cut of data whose images have no paths, and of runs that recorded none.
func ByPosition() Cut { return Cut{} }

func (c Cut) byPosition() bool { return c != nil && len(c) == 0 }

// hashOf is the hash of an image's path, for that use and seed.
func hashOf(use string, seed uint64, path string) uint64 { return uint64(stream(seed, use+"/"+path)) }

// apply returns the numbers of the images of both parts, in their order. A class that the cut does not
// have is cut after so many of its images, in the order of their hashes, as share says of its number; used is
// the cut with those.
func (c Cut) apply(d Encoded, use string, seed uint64, share func(class, n int) int) (first, second []int, used Cut) {
	classes := d.Info().Classes
	members := make([][]uint64, len(classes)) // the hashes of each class
	hashes := make([]uint64, d.Len())
	for i := range hashes {
		path, label := d.Entry(i)
		hashes[i] = hashOf(use, seed, path)
		members[label] = append(members[label], hashes[i])
	}
	used = Cut{}
	for k, class := range classes {
		of := members[k]
		slices.Sort(of)
		at, known := c[class]
		switch n := share(k, len(of)); {
		case known:
		case n < len(of):
			at = of[n]
		default:
			at = math.MaxUint64
		}
		used[class] = at
	}
	for i, h := range hashes {
		_, label := d.Entry(i)
		if h < used[classes[label]] {
			first = append(first, i)
		} else {
			second = append(second, i)
		}
	}
	return first, second, used
}

// divide returns the training and the test images of a folder without parts: of each class a share for
// testing, at least one of two images, and never all.
func (s Spec) divide(d *fileset) (train, test []int, used Cut) {
	fraction := s.TestFraction
	if fraction == 0 {
		fraction = testFraction
	}
	share := func(_, n int) int { return min(max(int(math.Round(fraction*float64(n))), 1), max(n-1, 0)) }
	if s.Cut.byPosition() {
		train, test = divideByPosition(d.list, len(d.info.Classes), share, s.SplitSeed)
		return train, test, s.Cut
	}
	test, train, used = s.Cut.apply(d, "test", s.SplitSeed, share)
	return train, test, used
}

// divideByPosition is how runs without a record of their cut are divided.
func divideByPosition(l *list, classes int, share func(class, n int) int, seed uint64) (train, test []int) {
	members := make([][]int, classes)
	for i, label := range l.labels {
		members[label] = append(members[label], i)
	}
	for class, of := range members {
		n := share(class, len(of))
		for k, j := range rng(seed, "divide", class).permutation(len(of)) {
			if k < n {
				test = append(test, of[j])
			} else {
				train = append(train, of[j])
			}
		}
	}
	slices.Sort(train)
	slices.Sort(test)
	return train, test
}

// Fixed returns the data set with the cut by which its images are divided, to be recorded: made from the
// images that are there unless s has it. Only one's own folder without parts has one; of others it is nil.
func (s Spec) Fixed() (Spec, error) {
	if !Own(s.Name) || s.Cut.byPosition() {
		return s, nil
	}
	at := s
	if at.Dir == "" {
		at.Dir = Dir()
	}
	d, divided, err := openOwn(at, Train)
	if err != nil {
		return s, err
	}
	cut := s.Cut
	if s.Cut = nil; divided {
		at.Cut = cut
		_, _, s.Cut = at.divide(d)
	}
	return s, nil
}

// Split cuts a data set in two by the seed: the first has floor(fraction * Len()) images, fraction in
// [0,1]. Together they are everything, and no image is in both. Images of one's own are cut by hash, class
// by class, others by a shuffle of their positions.
func Split(d Dataset, fraction float64, seed uint64) (first, second Dataset, err error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, fmt.Errorf("%s cannot be cut at the fraction %v; it must be in [0,1]", d.Info().Name, fraction)
	}
	first, second, _ = cut(d, func(n int) int { return int(math.Floor(fraction * float64(n))) }, seed, nil)
	return first, second, nil
}

// Halves is Split at one half: a search's halves, of the weights and of the architecture. With an
// odd number the first is the smaller.
func Halves(d Dataset, seed uint64) (first, second Dataset) {
	first, second, _ = HalvesAt(d, seed, nil)
	return first, second
}

// HalvesAt is Halves at a recorded cut. used is the one that cut them, to be recorded: it is empty where
// positions did.
func HalvesAt(d Dataset, seed uint64, at Cut) (first, second Dataset, used Cut) {
	return cut(d, func(n int) int { return n / 2 }, seed, at)
}

// cut cuts d so that the first part has share of all images and, of one's own, of each class as many to
// one image.
func cut(d Dataset, share func(n int) int, seed uint64, at Cut) (first, second Dataset, used Cut) {
	files, ok := d.(Encoded)
	if !ok || !Own(d.Info().Name) || at.byPosition() {
		n := share(d.Len())
		order := rng(seed, "split").permutation(d.Len())
		return part(d, order[:n:n]), part(d, order[n:]), ByPosition()
	}
	seen, taken := 0, 0
	a, b, used := at.apply(files, "halves", seed, func(_, n int) int {
		seen += n
		k := share(seen) - taken
		taken += k
		return k
	})
	return part(d, a), part(d, b), used
}
