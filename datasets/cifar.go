package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// CIFAR-10 in the two forms in which it is published: files of records, a label and 3072 bytes
// each, and Python's pickles of the same.
const (
	cifarSize       = 3 * 32 * 32
	cifarRecord     = 1 + cifarSize
	cifarRecords    = 10_000   // in each file
	cifarLargest    = 64 << 20 // bytes, of any file in any of its forms
	cifarFilesInAll = 6
	cifarCure       = "unpack the published archive of CIFAR-10 again"
)

// The published mean and standard deviation that DARTS and its descendants normalise by.
var cifar10Info = Info{
	Name: "cifar10", Channels: 3, Height: 32, Width: 32,
	Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
	Mean:    []float64{0.49139968, 0.48215827, 0.44653124},
	Std:     []float64{0.24703233, 0.24348505, 0.26158768},
	Origin: "CIFAR-10 (Alex Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009); " +
		"published without a licence, its authors ask for that citation",
}

// cifarForm is one published form.
type cifarForm struct {
	folder, suffix, meta string
	bytes                int64 // of a whole file; 0: not fixed
	// read appends the images of a file to d, whose labels it need not check.
	read func(data []byte, d *images) error
	// classes are the names of the classes in the file meta.
	classes func(data []byte) ([]string, error)
}

var cifarForms = []cifarForm{
	{"cifar-10-batches-bin", ".bin", "batches.meta.txt", cifarRecords * cifarRecord, readCIFARRecords, readCIFARNames},
	{"cifar-10-batches-py", "", "batches.meta", 0, readCIFARPickle, readCIFARPickledNames},
}

func cifarFiles(split string) []string {
	if split == Test {
		return []string{"test_batch"}
	}
	return []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"}
}

// cifarFolder is a folder with files of CIFAR-10.
type cifarFolder struct {
	cifarForm
	path    string
	records int // in each file
}

// openCIFAR10 reads a split from dir, or from the published folder in it.
func openCIFAR10(dir, split string) (Dataset, error) {
	f, err := findCIFAR10(dir)
	if err != nil {
		return nil, err
	}
	return f.open(split)
}

func missingCIFAR10(dir string) error {
	f, err := findCIFAR10(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.missing()...)
}

// findCIFAR10 finds the folder that lacks least of the data set, in either form.
func findCIFAR10(dir string) (best cifarFolder, err error) {
	least := -1
	var looked []string
	for _, form := range cifarForms {
		for _, path := range []string{dir, filepath.Join(dir, form.folder)} {
			f := cifarFolder{form, path, cifarRecords}
			faults := f.missing()
			absent := 0
			for _, fault := range faults {
				if errors.Is(fault, fs.ErrNotExist) {
					absent++
				}
			}
			if absent < cifarFilesInAll && (least < 0 || len(faults) < least) {
				best, least = f, len(faults)
			}
			looked = append(looked, filepath.Join(path, cifarFiles(Train)[0]+form.suffix))
		}
	}
	if least < 0 {
		return best, fmt.Errorf("cifar10 is not there: found none of %s; unpack the published archive (binary or Python version) in %s, or name the folder that has it with --data-dir or $HDAS_DATA",
			strings.Join(looked, ", "), dir)
	}
	return best, nil
}

// missing has an error for every file of images that is not there, or not of its size.
func (f cifarFolder) missing() (faults []error) {
	for _, name := range append(cifarFiles(Train), cifarFiles(Test)...) {
		path := filepath.Join(f.path, name+f.suffix)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, fmt.Errorf("%w; %s", err, cifarCure))
		case err != nil:
			faults = append(faults, err)
		case !info.Mode().IsRegular():
			faults = append(faults, fmt.Errorf("%s is not a file; %s", path, cifarCure))
		case f.bytes != 0 && info.Size() != f.bytes:
			faults = append(faults, fmt.Errorf("%s has %d bytes, not %d; %s", path, info.Size(), f.bytes, cifarCure))
		}
	}
	return faults
}

// open reads the files of a split.
func (f cifarFolder) open(split string) (*images, error) {
	if err := f.checkClasses(); err != nil {
		return nil, err
	}
	names := cifarFiles(split)
	n := len(names) * f.records
	d := &images{info: cifar10Info, pixels: make([]byte, 0, n*cifarSize), labels: make([]byte, 0, n)}
	for _, name := range names {
		path := filepath.Join(f.path, name+f.suffix)
		if err := f.readFile(path, d); err != nil {
			return nil, fmt.Errorf("%w; %s", err, cifarCure)
		}
	}
	return d, nil
}

// readFile appends the images of a file to d.
func (f cifarFolder) readFile(path string, d *images) error {
	data, err := readCIFARFile(path)
	if err != nil {
		return err
	}
	before := len(d.labels)
	if err := f.read(data, d); err != nil {
		return fmt.Errorf("%s is no batch of CIFAR-10: %w", path, err)
	}
	added := d.labels[before:]
	if len(added) != f.records {
		return fmt.Errorf("%s holds %d images, not %d", path, len(added), f.records)
	}
	for i, label := range added {
		if int(label) >= len(d.info.Classes) {
			return fmt.Errorf("%s: image %d has the label %d, which is not in 0..%d", path, i, label, len(d.info.Classes)-1)
		}
	}
	return nil
}

// readCIFARFile reads a file that may be any, of any size.
func readCIFARFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > cifarLargest {
		return nil, fmt.Errorf("%s has %d bytes, and no file of CIFAR-10 more than %d", path, info.Size(), cifarLargest)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, info.Size())
	if n, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("%s: read %d of %d bytes: %w", path, n, len(data), err)
	}
	return data, nil
}

// checkClasses compares the names of the classes with those that the folder states. It need not
// state any.
func (f cifarFolder) checkClasses() error {
	path := filepath.Join(f.path, f.meta)
	data, err := readCIFARFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; %s", err, cifarCure)
	}
	names, err := f.classes(data)
	if err != nil {
		return fmt.Errorf("%s has no names of classes: %w; %s", path, err, cifarCure)
	}
	if !slices.Equal(names, cifar10Info.Classes) {
		return fmt.Errorf("%s has the classes %.200q, not %q; is it another data set? %s", path, names, cifar10Info.Classes, cifarCure)
	}
	return nil
}

func readCIFARRecords(data []byte, d *images) error {
	if len(data)%cifarRecord != 0 {
		return fmt.Errorf("%d bytes are not a whole number of records of %d", len(data), cifarRecord)
	}
	for ; len(data) > 0; data = data[cifarRecord:] {
		d.labels = append(d.labels, data[0])
		d.pixels = append(d.pixels, data[1:cifarRecord]...)
	}
	return nil
}

func readCIFARNames(data []byte) ([]string, error) { return strings.Fields(string(data)), nil }

// unpickleDict is a pickle that must hold a dict.
func unpickleDict(data []byte) (*types.Dict, error) {
	v, err := unpickle(data)
	if err != nil {
		return nil, err
	}
	dict, ok := v.(*types.Dict)
	if !ok {
		return nil, errors.New("the pickle holds no dict")
	}
	return dict, nil
}

// readCIFARPickle reads a dict with "data", an array (n,3072) of uint8, and "labels", a list of n
// numbers.
func readCIFARPickle(data []byte, d *images) error {
	dict, err := unpickleDict(data)
	if err != nil {
		return err
	}
	labels, ok := entry(dict, "labels").(*types.List)
	if !ok {
		return errors.New(`it has no list "labels"`)
	}
	pixels, ok := entry(dict, "data").(*array)
	if !ok || !slices.Equal(pixels.shape, []int{labels.Len(), cifarSize}) {
		return fmt.Errorf(`it has no array "data" of %dx%d bytes, as it has %d labels`, labels.Len(), cifarSize, labels.Len())
	}
	for i, v := range *labels {
		n, ok := v.(int)
		if !ok || n < 0 || n > 255 {
			return fmt.Errorf("label %d of %d is not a number in 0..%d", i, labels.Len(), len(cifar10Info.Classes)-1)
		}
		d.labels = append(d.labels, byte(n))
	}
	d.pixels, err = pixels.appendTo(d.pixels, labels.Len()*cifarSize)
	return err
}

// readCIFARPickledNames reads a dict with "label_names", a list of texts.
func readCIFARPickledNames(data []byte) ([]string, error) {
	dict, err := unpickleDict(data)
	if err != nil {
		return nil, err
	}
	list, ok := entry(dict, "label_names").(*types.List)
	if !ok {
		return nil, errors.New(`it has no list "label_names"`)
	}
	var names []string
	for _, v := range *list {
		name, ok := v.(string)
		if !ok {
			return nil, errors.New(`"label_names" holds something else than texts`)
		}
		names = append(names, name)
	}
	return names, nil
}
