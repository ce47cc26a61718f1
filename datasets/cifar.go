package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CIFAR-10 (Krizhevsky 2009) in the two forms in which it is published: files of records, a label
// and 3072 bytes each, and Python's pickles of the same.
const (
	cifarSize    = 3 * 32 * 32
	cifarRecords = 10_000 // in each file
)

// The published mean and standard deviation that DARTS and its descendants normalise by.
var cifar10Info = Info{
	Name: "cifar10", Channels: 3, Height: 32, Width: 32,
	Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
	Mean:    []float64{0.49139968, 0.48215827, 0.44653124},
	Std:     []float64{0.24703233, 0.24348505, 0.26158768},
	Origin:  "CIFAR-10 (Alex Krizhevsky, 2009)",
}

// cifarForm is one published form.
type cifarForm struct {
	folder, suffix string
	read           func(r io.Reader, size int64, into *images) error
}

var cifarForms = []cifarForm{
	{"cifar-10-batches-bin", ".bin", readCIFARRecords},
	{"cifar-10-batches-py", "", readCIFARPickle},
}

func cifarFiles(split string) []string {
	if split == Test {
		return []string{"test_batch"}
	}
	return []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"}
}

// openCIFAR10 reads a split from dir, or from the published folder in it.
func openCIFAR10(dir, split string) (Dataset, error) {
	form, folder, err := findCIFAR10(dir)
	if err != nil {
		return nil, err
	}
	return readCIFAR(form, folder, split, cifarRecords)
}

func missingCIFAR10(dir string) error {
	form, folder, err := findCIFAR10(dir)
	if err != nil {
		return err
	}
	var faults []error
	for _, name := range append(cifarFiles(Train), cifarFiles(Test)...) {
		if _, err := os.Stat(filepath.Join(folder, name+form.suffix)); err != nil {
			faults = append(faults, fmt.Errorf("%w; unpack the published archive of CIFAR-10 again", err))
		}
	}
	return errors.Join(faults...)
}

// findCIFAR10 finds the form and the folder of the data set: the first one with a test batch.
func findCIFAR10(dir string) (cifarForm, string, error) {
	var looked []string
	for _, form := range cifarForms {
		for _, folder := range []string{dir, filepath.Join(dir, form.folder)} {
			file := filepath.Join(folder, cifarFiles(Test)[0]+form.suffix)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return form, folder, nil
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return form, folder, err
			}
			looked = append(looked, file)
		}
	}
	return cifarForm{}, "", fmt.Errorf("cifar10 is not there: none of %s; unpack the published archive (binary or Python version) into %s, or name its folder with --data-dir or $HDAS_DATA", strings.Join(looked, ", "), dir)
}

// readCIFAR reads the files of a split, each of that many images.
func readCIFAR(form cifarForm, folder, split string, records int) (*images, error) {
	d := &images{info: cifar10Info}
	for _, name := range cifarFiles(split) {
		path := filepath.Join(folder, name+form.suffix)
		before := len(d.labels)
		if err := readCIFARFile(form, path, d); err != nil {
			return nil, err
		}
		if n := len(d.labels) - before; n != records {
			return nil, fmt.Errorf("%s holds %d images, not %d; it is truncated or another file: unpack the published archive again", path, n, records)
		}
	}
	return d, nil
}

func readCIFARFile(form cifarForm, path string, d *images) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w; unpack the published archive of CIFAR-10 again", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if largest := int64(2 * cifarRecords * (cifarSize + 1)); info.Size() > largest {
		return fmt.Errorf("%s has %d bytes, more than any file of CIFAR-10", path, info.Size())
	}
	start := len(d.labels)
	if err := form.read(f, info.Size(), d); err != nil {
		return fmt.Errorf("%s: %w; unpack the published archive again", path, err)
	}
	for i, label := range d.labels[start:] {
		if int(label) >= len(d.info.Classes) {
			return fmt.Errorf("%s: image %d has label %d, not one of 0..%d; the file is damaged", path, i, label, len(d.info.Classes)-1)
		}
	}
	return nil
}

func readCIFARRecords(r io.Reader, size int64, d *images) error {
	if size%(cifarSize+1) != 0 {
		return fmt.Errorf("has %d bytes, which is no multiple of a record's %d", size, cifarSize+1)
	}
	record := make([]byte, cifarSize+1)
	for range size / (cifarSize + 1) {
		if _, err := io.ReadFull(r, record); err != nil {
			return err
		}
		d.labels = append(d.labels, record[0])
		d.pixels = append(d.pixels, record[1:]...)
	}
	return nil
}
