package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ImageNet (ILSVRC2012): class folders below train and val, or the archives as they are published.
const (
	imagenetTrainTar = "ILSVRC2012_img_train.tar" // of one archive for each class
	imagenetValTar   = "ILSVRC2012_img_val.tar"   // of images
	imagenetDevkit   = "ILSVRC2012_devkit_t12.tar.gz"
	imagenetTruth    = "ILSVRC2012_validation_ground_truth.txt"
	imagenetSynsets  = "meta.mat"
	imagenetFolder   = "imagenet" // in the data folder, or that folder itself
)

// imagenetParts are where a split may be: a folder, an archive.
var imagenetParts = map[string]struct{ folder, tar string }{
	Train: {"train", imagenetTrainTar},
	Test:  {"val", imagenetValTar},
}

// someImageNet looks for the archives and the folder of its name: train and val may be of any images.
func someImageNet(dir string) bool {
	for _, name := range []string{imagenetTrainTar, imagenetValTar, imagenetFolder} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// imagenetDir is the folder that has something of ImageNet, else dir.
func imagenetDir(dir string) string {
	for _, place := range []string{dir, filepath.Join(dir, imagenetFolder)} {
		for _, p := range imagenetParts {
			for _, name := range []string{p.folder, p.tar} {
				if _, err := os.Stat(filepath.Join(place, name)); err == nil {
					return place
				}
			}
		}
	}
	return dir
}

func missingImageNet(dir string) error {
	dir = imagenetDir(dir)
	var faults []error
	for _, split := range []string{Train, Test} {
		p := imagenetParts[split]
		_, noFolder := os.Stat(filepath.Join(dir, p.folder))
		_, noTar := os.Stat(filepath.Join(dir, p.tar))
		if noFolder != nil && noTar != nil {
			faults = append(faults, fmt.Errorf("%s has neither %s (class folders) nor %s; get that from image-net.org, which asks for an account", dir, p.folder, p.tar))
		} else if split == Test && noFolder != nil {
			if _, err := os.Stat(filepath.Join(dir, imagenetDevkit)); err != nil {
				faults = append(faults, fmt.Errorf("%w; it has the labels of %s: get it from image-net.org", err, imagenetValTar))
			}
		}
	}
	return errors.Join(faults...)
}

func openImageNet(s Spec, split string) (Dataset, error) {
	dir := imagenetDir(s.Dir)
	p := imagenetParts[split]
	folder := filepath.Join(dir, p.folder)
	if _, err := os.Stat(folder); err == nil {
		return openImageNetFolder(s, dir, folder)
	}
	file := filepath.Join(dir, p.tar)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, missingImageNet(s.Dir)
	}
	label, classes := synsetOf, []string(nil)
	if split == Test {
		truth, err := readDevkit(filepath.Join(dir, imagenetDevkit))
		if err != nil {
			return nil, err
		}
		label, classes = truth.synset, slices.Sorted(maps.Values(truth.synsets))
	}
	index, err := openTar(file, classes, label)
	if err != nil {
		return nil, err
	}
	d := newFileset(s, index.classes, imagenetInfo.Origin, &index.list, index.read)
	d.size = func(i int) int64 { return int64(index.sizes[i]) }
	return d, nil
}

// openImageNetFolder opens train or val. Both must have folders of the same classes, where both are
// there.
func openImageNetFolder(s Spec, dir, folder string) (Dataset, error) {
	v := visited{}
	classes, err := v.classes(folder)
	if err != nil {
		return nil, err
	}
	if len(classes) == 0 {
		return nil, fmt.Errorf("%s has no class folders (n01440764, ...); or put %s and %s in its place", folder, imagenetValTar, imagenetDevkit)
	}
	for _, p := range imagenetParts {
		other, err := subfolders(filepath.Join(dir, p.folder))
		if err == nil && !slices.Equal(other, classes) {
			return nil, fmt.Errorf("%s has %d classes and %s %d, not the same ones", folder, len(classes), filepath.Join(dir, p.folder), len(other))
		}
	}
	return openClasses(s, v, folder, classes, classes, imagenetInfo.Origin)
}

// synsetOf is the class of a file in the training archive: the name of the archive it is in.
func synsetOf(archive, name string) (string, error) {
	if archive == "" {
		return "", fmt.Errorf("%s is in no class's archive", name)
	}
	return strings.TrimSuffix(path.Base(archive), ".tar"), nil
}

// devkit has the labels of the validation images.
type devkit struct {
	truth   []int          // number of the class of each image
	synsets map[int]string // by number
}

// synset is the class of ILSVRC2012_val_00000001.JPEG and the like.
func (d devkit) synset(_, name string) (string, error) {
	digits := strings.TrimSuffix(name[strings.LastIndex(name, "_")+1:], path.Ext(name))
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > len(d.truth) {
		return "", fmt.Errorf("%s is none of the %d images that %s has labels of", name, len(d.truth), imagenetDevkit)
	}
	return d.synsets[d.truth[n-1]], nil
}

// readDevkit reads the development kit.
func readDevkit(file string) (d devkit, err error) {
	err = unpack(file, func(full string, data func(name string) ([]byte, error)) (bool, error) {
		name := path.Base(full)
		if name != imagenetTruth && name != imagenetSynsets {
			return true, nil
		}
		text, err := data(full)
		if err == nil && name == imagenetTruth {
			d.truth, err = readTruth(text)
		} else if err == nil {
			d.synsets, err = readSynsets(text)
		}
		return true, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("%w; it has the labels of %s: get it from image-net.org", err, imagenetValTar)
	}
	if err != nil {
		return d, err
	}
	if d.truth == nil || d.synsets == nil {
		return d, fmt.Errorf("%s lacks %s or %s; is it another archive?", file, imagenetTruth, imagenetSynsets)
	}
	for i, n := range d.truth {
		if d.synsets[n] == "" {
			return d, fmt.Errorf("%s: image %d is of the class %d, which %s does not name", file, i+1, n, imagenetSynsets)
		}
	}
	return d, nil
}

// readTruth reads a number a line.
func readTruth(data []byte) (truth []int, err error) {
	for i, line := range strings.Fields(string(data)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is %.20q, not a number", i+1, line)
		}
		truth = append(truth, n)
	}
	return truth, nil
}
