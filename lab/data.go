package lab

import (
	"context"
	"errors"
	"fmt"

	"hdas/datasets"
)

// Inspection is what is in a data set.
type Inspection struct {
	Dataset  string                    `json:"dataset"`
	Folder   string                    `json:"folder"`
	Verified []string                  `json:"verified,omitempty"` // archives with the published checksum
	Splits   map[string]datasets.Tally `json:"splits"`
}

// DataIn returns the names of the data sets in a folder: the known ones of which something is there,
// else its class folders.
func DataIn(folder string) (names []string) {
	for _, name := range datasets.Names() {
		if datasets.Own(name) || name == "digits" {
			continue
		}
		if datasets.Some(name, folder) {
			names = append(names, name)
		}
	}
	if names == nil {
		return []string{"folder"}
	}
	return names
}

// Inspect reads both splits of a data set. What is missing or damaged is an error, with what was found
// nevertheless. begin is called with each split and its number of images; step, where it is not nil,
// with each image, and end at the end of the split.
func Inspect(ctx context.Context, s datasets.Spec, begin func(split string, images int) (step, end func())) (i Inspection, err error) {
	i = Inspection{Dataset: s.Name, Folder: s.Dir, Splits: map[string]datasets.Tally{}}
	if err := datasets.Missing(s.Name, s.Dir); err != nil {
		return i, err
	}
	var faults []error
	if i.Verified, err = datasets.Verify(s.Name, s.Dir); err != nil {
		faults = append(faults, err)
	}
	for _, split := range []string{datasets.Train, datasets.Test} {
		d, err := s.Open(split)
		if err != nil {
			return i, errors.Join(append(faults, err)...)
		}
		step, end := begin(split, d.Len())
		t, err := datasets.Count(ctx, d, step)
		end()
		if err != nil {
			return i, errors.Join(append(faults, err)...)
		}
		i.Splits[split] = t
		if n := len(t.Damaged); n > 0 {
			faults = append(faults, fmt.Errorf("damaged files in %s: %d; remove them, or learn without them: --set data.damaged=skip", split, n))
		}
	}
	return i, errors.Join(faults...)
}
