package lab

import (
	"context"
	"errors"
	"fmt"

	"hdas/datasets"
)

// Inspection describes the content of a data set.
type Inspection struct {
	Dataset  string                    `json:"dataset"`
	Folder   string                    `json:"folder"`
	Verified []string                  `json:"verified,omitempty"` // archives whose checksum is the published one
	Splits   map[string]datasets.Tally `json:"splits"`
}

// DataIn returns the names of the known data sets of which a folder holds files. If there are none, it
// returns "folder", the name of a data set of class folders.
func DataIn(folder string) (names []string) {
	for _, name := range datasets.Names() {
		if !datasets.Own(name) && datasets.Some(name, folder) {
			names = append(names, name)
		}
	}
	if names == nil {
		return []string{"folder"}
	}
	return names
}

// Inspect reads all images of both splits of a data set and returns their description. Missing or damaged
// files are an error; the description is returned with it. begin is called for each split with its
// number of images; it returns step, which is called after each image and may be nil, and end, which is
// called at the end of the split.
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
		if err := datasets.Usable(d, split); err != nil {
			faults = append(faults, err)
			continue
		}
		step, end := begin(split, d.Len())
		t, err := datasets.Count(ctx, d, step)
		end()
		if err != nil {
			return i, errors.Join(append(faults, err)...)
		}
		i.Splits[split] = t
		if n := len(t.Damaged); n > 0 {
			faults = append(faults, fmt.Errorf("damaged files in %s: %d; repair them, or skip them with --set data.damaged=skip", split, n))
		}
	}
	return i, errors.Join(faults...)
}
