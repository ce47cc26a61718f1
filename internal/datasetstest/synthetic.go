package datasetstest

import (
	"fmt"

	"hdas/datasets"
)

// Synthetic returns a data set of n images of shape (3,side,side) with three classes. The classes differ in
// brightness, so that a network learns them in a few steps.
func Synthetic(n, side int) datasets.Dataset { return synthetic{n, side} }

type synthetic struct{ n, side int }

func (s synthetic) Info() datasets.Info {
	return datasets.Info{Name: "synthetic", Classes: []string{"dark", "grey", "bright"}, Channels: 3, Height: s.side, Width: s.side,
		Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25}, Origin: "made by rule"}
}

func (s synthetic) Len() int { return s.n }

func (s synthetic) At(i int, dst []byte) (int, error) {
	if i < 0 || i >= s.n || len(dst) != 3*s.side*s.side {
		return 0, fmt.Errorf("no image %d of %d bytes", i, len(dst))
	}
	label := i % 3
	for p := range dst {
		dst[p] = byte(80*label + (i*31+p*17)%64)
	}
	return label, nil
}
