package datasetstest

import (
	"errors"
	"fmt"
	"slices"

	"hdas/datasets"
)

// Damaged is a data set in which the images with those indices cannot be decoded.
type Damaged struct {
	datasets.Dataset
	Images []int
}

// At implements datasets.Dataset.
func (d Damaged) At(i int, dst []byte) (int, error) {
	if slices.Contains(d.Images, i) {
		return 0, &datasets.DamagedError{File: fmt.Sprint(i), Err: errors.New("damaged")}
	}
	return d.Dataset.At(i, dst)
}
