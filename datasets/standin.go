package datasets

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// counts holds the number of images in each split of the data sets whose files are needed.
var counts = map[string]map[string]int{
	"cifar10":  {Train: 50_000, Test: 10_000},
	"cifar100": {Train: 50_000, Test: 10_000},
	"imagenet": {Train: 1_281_167, Test: 50_000},
}

// What is assumed of a user's folder that is absent.
const (
	assumedClasses = 10
	assumedImages  = 10_000
)

// StandIn has the shape and the number of images of a split whose files are absent. Its images are noise.
type StandIn struct {
	Dataset
	Assumed string // what was assumed, a sentence
	Held    int64  // bytes of images that the data set itself would hold in memory
}

// StandIn returns a stand-in for a split, Train or Test.
func (s Spec) StandIn(split string) (StandIn, error) {
	src, err := find(s.Name)
	if err != nil {
		return StandIn{}, err
	}
	if err := s.Validate(); err != nil {
		return StandIn{}, err
	}
	info, err := Describe(s.Name)
	n := counts[s.Name][split]
	text := fmt.Sprintf("the images of %s are absent; random images of their number and size were used", s.Name)
	switch {
	case src.own:
		fraction := s.TestFraction
		if fraction == 0 {
			fraction = testFraction
		}
		info = imagenetInfo
		info.Name, info.Classes = s.Name, numbered(assumedClasses)
		test := int(fraction * assumedImages)
		n = map[string]int{Train: assumedImages - test, Test: test}[split]
		text = fmt.Sprintf("the folder of images is absent; %s random images in %d classes were used", strconv.Itoa(assumedImages), assumedClasses)
	case err != nil:
		return StandIn{}, err
	case n == 0:
		return StandIn{}, fmt.Errorf("the data set %s has no stand-in for its split %q", s.Name, split)
	}
	if len(info.Classes) == 0 {
		info.Classes = numbered(1000) // of ImageNet, whose names are in its files
	}
	if split == Train && s.PerClass > 0 {
		n = min(n, s.PerClass*len(info.Classes))
	}
	held := int64(n) * int64(info.Size())
	if src.files {
		info.Height, info.Width, held = s.View().Size, s.View().Size, 0
		text += ", without the time of reading and decoding files"
	}
	var d Dataset = &noise{info, n}
	if s.Size > 0 {
		if d, err = Resize(d, s.Size, s.filter()); err != nil {
			return StandIn{}, err
		}
	}
	return StandIn{d, text, held}, nil
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// noise is a data set of n random images, which are made when they are asked for.
type noise struct {
	info Info
	n    int
}

func (d *noise) Info() Info { return d.info }
func (d *noise) Len() int   { return d.n }

func (d *noise) At(i int, dst []byte) (int, error) {
	if err := checkAt(d.info, d.n, i, dst); err != nil {
		return 0, err
	}
	var r random
	r.seed(stream(0, "noise").at(i))
	for at := 0; at < len(dst); at += 8 {
		var eight [8]byte
		binary.LittleEndian.PutUint64(eight[:], r.pcg.Uint64())
		copy(dst[at:], eight[:])
	}
	return i % len(d.info.Classes), nil
}
