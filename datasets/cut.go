package datasets

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Cut splits the images of a user's folder in two parts. It has a number for each class: images whose hash
// is below it are in the first part. The hash depends on the path of the image within the folder of the
// classes and on a seed, so no image changes its part when others are added or removed. A nil Cut means
// that the split is made from the images that exist. An empty Cut that is not nil splits by position, as earlier
// versions of the program did.
type Cut map[string]uint64

// ByPosition returns the cut of data sets whose images have no paths, and of runs that recorded none.
func ByPosition() Cut { return Cut{} }

func (c Cut) byPosition() bool { return c != nil && len(c) == 0 }

// hashOf returns the hash of an image's path, for a use and a seed.
func hashOf(use string, seed uint64, path string) uint64 { return uint64(stream(seed, use+"/"+path)) }

// apply returns the sorted indices of the images of both parts. If the cut lacks a class, the share(class, n)
// images with the lowest hashes of its n images are in the first part. used is the cut with these classes.
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

// divide returns the indices of training and test images. The given fraction of each class is for testing: at
// least one image of a class that has two, and never all of them.
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

// divideByPosition is divide for runs of earlier versions.
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

// Fixed returns s with the cut that splits its images, for a run to record. If s has none, it is made from the
// images that exist. It is nil unless the data set is a user's folder without a test folder.
func (s Spec) Fixed() (Spec, error) {
	if !Own(s.Name) || s.Cut.byPosition() {
		return s, nil
	}
	at := s
	at.Dir = Folder(at.Dir)
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

// Split splits a data set in two with the seed: floor(fraction * Len()) images, and the others. A user's own
// images are split by hash within each class, those of other data sets by shuffled positions. It returns an
// error if fraction is not in [0,1].
func Split(d Dataset, fraction float64, seed uint64) (first, second Dataset, err error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, fmt.Errorf("%s cannot be split at the fraction %v; it must be in [0,1]", d.Info().Name, fraction)
	}
	first, second, _ = cut(d, func(n int) int { return int(math.Floor(fraction * float64(n))) }, seed, nil)
	return first, second, nil
}

// Halves returns Split at one half: in a search, the images that train the network's weights and those
// that train the architecture. If the number of images is odd, the first half is smaller.
func Halves(d Dataset, seed uint64) (first, second Dataset) {
	first, second, _ = HalvesAt(d, seed, nil)
	return first, second
}

// HalvesAt is Halves with a recorded cut. used is the cut to be recorded, which is ByPosition unless the images
// are the user's own.
func HalvesAt(d Dataset, seed uint64, at Cut) (first, second Dataset, used Cut) {
	return cut(d, func(n int) int { return n / 2 }, seed, at)
}

// ValidationAt splits d in the images to learn from and a share of them, in (0,1), for validation, with the seed
// and a recorded cut as in HalvesAt: at least one image for each.
func ValidationAt(d Dataset, share float64, seed uint64, at Cut) (learn, valid Dataset, used Cut) {
	n := func(n int) int { return min(max(int(math.Round(share*float64(n))), 1), max(n-1, 0)) }
	valid, learn, used = cut(d, n, seed, at)
	return learn, valid, used
}

// cut splits d so that the first part has share(d.Len()) images and, if they are the user's own, the same
// share of each class to one image.
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

// few returns at most n images of each class, in the order of d. Which ones depends on the seed and, for files, on
// their paths, so that other images of the class which are added or removed change little.
func few(d Dataset, n int, seed uint64) (Dataset, error) {
	labels, err := Labels(d)
	if err != nil {
		return nil, err
	}
	files, named := d.(Encoded)
	hashes := make([]uint64, len(labels))
	order := make([]int, len(labels))
	for i := range hashes {
		name := fmt.Sprint(i)
		if named {
			name, _ = files.Entry(i)
		}
		order[i], hashes[i] = i, hashOf("few", seed, name)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(hashes[a], hashes[b]) })
	taken := map[int]int{}
	chosen := slices.DeleteFunc(order, func(i int) bool { taken[labels[i]]++; return taken[labels[i]] > n })
	slices.Sort(chosen)
	return part(d, chosen), nil
}
