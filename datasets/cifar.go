package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// CIFAR-10 and CIFAR-100 are read in both published forms: files of binary records (labels followed by
// 3072 bytes), and Python pickles. Either may be unpacked or still in its archive.
const (
	cifarSize    = 3 * 32 * 32
	cifarLargest = 256 << 20 // limit for the size of a file in bytes
)

// cifar describes one of the two data sets.
type cifar struct {
	info  Info
	forms []cifarForm
	// A record begins with labels bytes of labels. The one with index label is used: the fine label.
	label, labels int
	list, names   string         // keys of the labels and of the class names in a pickle
	files         map[string]int // number of images in each file
	splits        map[string][]string
}

// cifarForm describes one published form.
type cifarForm struct {
	archive, md5         string // the archive, which contains folder, and its checksum
	folder, suffix, meta string
	records              bool // files hold binary records, else pickles
}

var cifarOrigin = "(Alex Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009); " +
	"published without a licence, its authors ask for that citation"

var cifar10 = cifar{
	info: Info{
		Name: "cifar10", Channels: 3, Height: 32, Width: 32,
		Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		// The mean and standard deviation that DARTS and programs derived from it use.
		Mean:   []float64{0.49139968, 0.48215827, 0.44653124},
		Std:    []float64{0.24703233, 0.24348505, 0.26158768},
		Origin: "CIFAR-10 " + cifarOrigin,
	},
	forms: []cifarForm{
		{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-batches-bin", ".bin", "batches.meta.txt", true},
		{"cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "cifar-10-batches-py", "", "batches.meta", false},
	},
	labels: 1, list: "labels", names: "label_names",
	files: map[string]int{"data_batch_1": 10_000, "data_batch_2": 10_000, "data_batch_3": 10_000, "data_batch_4": 10_000, "data_batch_5": 10_000, "test_batch": 10_000},
	splits: map[string][]string{
		Train: {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"},
		Test:  {"test_batch"},
	},
}

var cifar100 = cifar{
	info: Info{
		Name: "cifar100", Channels: 3, Height: 32, Width: 32,
		Classes: strings.Fields(cifar100Classes),
		// The values in common use for CIFAR-100.
		Mean:   []float64{0.5071, 0.4867, 0.4408},
		Std:    []float64{0.2675, 0.2565, 0.2761},
		Origin: "CIFAR-100 " + cifarOrigin,
	},
	forms: []cifarForm{
		{"cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", "cifar-100-binary", ".bin", "fine_label_names.txt", true},
		{"cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python", "", "meta", false},
	},
	label: 1, labels: 2, list: "fine_labels", names: "fine_label_names",
	files:  map[string]int{"train": 50_000, "test": 10_000},
	splits: map[string][]string{Train: {"train"}, Test: {"test"}},
}

const cifar100Classes = `apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man
maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe
whale willow_tree wolf woman worm`

// cure returns a hint for error texts: how to repair the data set at a place. Only a published archive may be
// replaced; other files may be the user's.
func (c cifar) cure(p cifarPlace, dir string) string {
	form := "python"
	if p.records {
		form = "binary"
	}
	if p.packed {
		return fmt.Sprintf("get the published archive again, which replaces it: hdas data get %s --data-dir %s --form %s", c.info.Name, dir, form)
	}
	return fmt.Sprintf("or get the published archive into a folder of its own: hdas data get %s --data-dir %s", c.info.Name, filepath.Join(dir, c.info.Name))
}

// open reads a split from the folder or archive in s.Dir.
func (c cifar) open(s Spec, split string) (Dataset, error) {
	place, err := c.find(s.Dir)
	if err != nil {
		return nil, err
	}
	d, err := c.read(place, split)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, c.cure(place, s.Dir))
	}
	return d, nil
}

func (c cifar) missing(dir string) error {
	place, err := c.find(dir)
	if err != nil {
		return err
	}
	if faults := c.faults(place); len(faults) > 0 {
		return fmt.Errorf("%w; %s", errors.Join(faults...), c.cure(place, dir))
	}
	return nil
}

func (c cifar) some(dir string) bool {
	_, err := c.find(dir)
	return err == nil
}

// cifarPlace is a folder or an archive that may hold the data set in one form.
type cifarPlace struct {
	cifarForm
	path   string
	packed bool // path is an archive, else a folder
}

// find returns the folder or archive in dir that has the most of the data set, in either form.
func (c cifar) find(dir string) (best cifarPlace, err error) {
	least := -1
	var looked []string
	for _, form := range c.forms {
		for _, place := range []cifarPlace{{form, dir, false}, {form, filepath.Join(dir, form.folder), false}, {form, filepath.Join(dir, form.archive), true}} {
			faults := c.faults(place)
			absent := 0
			for _, fault := range faults {
				if errors.Is(fault, fs.ErrNotExist) || errors.Is(fault, errForeign) {
					absent++
				}
			}
			if absent < c.count(place) && (least < 0 || len(faults) < least) {
				best, least = place, len(faults)
			}
		}
		looked = append(looked, form.folder, form.archive)
	}
	if least < 0 {
		return best, fmt.Errorf("%s not found: %s has none of %s; get it: hdas data get %s --data-dir %s (or name the folder that has it with --data-dir or $HDAS_DATA)",
			c.info.Name, dir, strings.Join(looked, ", "), c.info.Name, dir)
	}
	return best, nil
}

// count returns the number of files that must be at a place.
func (c cifar) count(p cifarPlace) int {
	if p.packed {
		return 1
	}
	return len(c.files)
}

// faults returns an error for each file of images that is missing or has the wrong size.
func (c cifar) faults(p cifarPlace) (faults []error) {
	if p.packed {
		if _, err := regular(p.path); err != nil {
			return []error{err}
		}
		return nil
	}
	for _, split := range []string{Train, Test} {
		for _, name := range c.splits[split] {
			file := filepath.Join(p.path, name+p.suffix)
			size, err := regular(file)
			if want := int64(c.files[name] * (c.labels + cifarSize)); err == nil && p.records && size != want {
				err = fmt.Errorf("%s has %d bytes, not %d", file, size, want)
			}
			if err == nil && !p.records && !isPickle(file) {
				err = fmt.Errorf("%s is no pickle: %w", file, errForeign)
			}
			if err != nil {
				faults = append(faults, err)
			}
		}
	}
	return faults
}

// read reads the files of a split.
func (c cifar) read(p cifarPlace, split string) (*images, error) {
	names := c.splits[split]
	wanted := []string{p.meta}
	n := 0
	for _, name := range names {
		wanted = append(wanted, name+p.suffix)
		n += c.files[name]
	}
	files, err := p.files(wanted)
	if err != nil {
		return nil, err
	}
	if err := c.checkClasses(p, files[p.meta]); err != nil {
		return nil, err
	}
	d := &images{info: c.info, pixels: make([]byte, 0, n*cifarSize), labels: make([]byte, 0, n)}
	for _, name := range names {
		file := files[name+p.suffix]
		if file.err != nil {
			return nil, file.err
		}
		if err := c.readFile(p, file, c.files[name], d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// readFile appends the n images of a file to d.
func (c cifar) readFile(p cifarPlace, f cifarFile, n int, d *images) (err error) {
	before := len(d.labels)
	if p.records {
		err = c.readRecords(f.data, d)
	} else {
		err = c.readPickle(f.data, d)
	}
	if err != nil {
		return fmt.Errorf("%s is not a batch of %s: %w", f.name, c.info.Name, err)
	}
	added := d.labels[before:]
	if len(added) != n {
		return fmt.Errorf("%s holds %d images, not %d", f.name, len(added), n)
	}
	for i, label := range added {
		if int(label) >= len(d.info.Classes) {
			return fmt.Errorf("%s: image %d has the label %d, which is not in 0..%d", f.name, i, label, len(d.info.Classes)-1)
		}
	}
	return nil
}

// checkClasses returns an error if the file of class names has other names than expected. The file may
// be missing.
func (c cifar) checkClasses(p cifarPlace, f cifarFile) (err error) {
	if errors.Is(f.err, fs.ErrNotExist) {
		return nil
	}
	if f.err != nil {
		return f.err
	}
	names := strings.Fields(string(f.data))
	if !p.records {
		if names, err = c.pickledNames(f.data); err != nil {
			return fmt.Errorf("%s has no class names: %w", f.name, err)
		}
	}
	if !slices.Equal(names, c.info.Classes) {
		return fmt.Errorf("%s has the classes %.200q, not %.200q; is it another data set?", f.name, names, c.info.Classes)
	}
	return nil
}

func (c cifar) readRecords(data []byte, d *images) error {
	size := c.labels + cifarSize
	if len(data)%size != 0 {
		return fmt.Errorf("%d bytes are not a whole number of records of %d", len(data), size)
	}
	for ; len(data) > 0; data = data[size:] {
		d.labels = append(d.labels, data[c.label])
		d.pixels = append(d.pixels, data[c.labels:size]...)
	}
	return nil
}

// unpickleDict returns the dict in a pickle, or an error if the pickle holds something else.
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

// readPickle appends the images and labels of a pickle to d. The pickle is a dict with "data", a uint8
// array (n,3072), and a list of n labels.
func (c cifar) readPickle(data []byte, d *images) error {
	dict, err := unpickleDict(data)
	if err != nil {
		return err
	}
	labels, ok := entry(dict, c.list).(*types.List)
	if !ok {
		return fmt.Errorf("it has no list %q", c.list)
	}
	pixels, ok := entry(dict, "data").(*array)
	if !ok || !slices.Equal(pixels.shape, []int{labels.Len(), cifarSize}) {
		return fmt.Errorf(`it has no array "data" of %dx%d bytes, as it has %d labels`, labels.Len(), cifarSize, labels.Len())
	}
	for i, v := range *labels {
		n, ok := v.(int)
		if !ok || n < 0 || n > 255 {
			return fmt.Errorf("label %d of %d is not a number in 0..%d", i, labels.Len(), len(c.info.Classes)-1)
		}
		d.labels = append(d.labels, byte(n))
	}
	d.pixels, err = pixels.appendTo(d.pixels, labels.Len()*cifarSize)
	return err
}

// pickledNames returns the class names in a pickle: a dict with a list of texts.
func (c cifar) pickledNames(data []byte) ([]string, error) {
	dict, err := unpickleDict(data)
	if err != nil {
		return nil, err
	}
	list, ok := entry(dict, c.names).(*types.List)
	if !ok {
		return nil, fmt.Errorf("no list %q", c.names)
	}
	var names []string
	for _, v := range *list {
		name, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%q holds a value that is not a text", c.names)
		}
		names = append(names, name)
	}
	return names, nil
}
