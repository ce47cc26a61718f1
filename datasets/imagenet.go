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

// ImageNet (ILSVRC2012) is read from class folders in train and val, or from the published archives.
const (
	imagenetTrainTar = "ILSVRC2012_img_train.tar" // holds one archive for each class
	imagenetValTar   = "ILSVRC2012_img_val.tar"   // holds images
	imagenetDevkit   = "ILSVRC2012_devkit_t12.tar.gz"
	imagenetTruth    = "ILSVRC2012_validation_ground_truth.txt"
	imagenetSynsets  = "meta.mat"
	imagenetFolder   = "imagenet" // a folder in the data folder; the data folder itself may be used, too
)

// imagenetParts holds the possible folder and archive of each split.
var imagenetParts = map[string]struct{ folder, tar string }{
	Train: {"train", imagenetTrainTar},
	Test:  {"val", imagenetValTar},
}

// someImageNet reports whether dir has an archive of ImageNet or a folder named imagenet. Folders named
// train and val are not enough, because they may hold other images.
func someImageNet(dir string) bool {
	for _, name := range []string{imagenetTrainTar, imagenetValTar, imagenetFolder} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// imagenetDir returns the folder, dir/imagenet or dir, that has files of ImageNet; dir if neither has.
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
			faults = append(faults, fmt.Errorf("%s has neither %s (class folders) nor %s; download the archive from image-net.org, which requires an account", dir, p.folder, p.tar))
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

// openImageNetFolder opens the folder train or val. If both exist, they must have the same class
// folders.
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

// synsetOf returns the class of a file in the training archive: the name of the inner archive that holds
// it.
func synsetOf(archive, name string) (string, error) {
	if archive == "" {
		return "", fmt.Errorf("%s is not in the archive of a class", name)
	}
	return strings.TrimSuffix(path.Base(archive), ".tar"), nil
}

// devkit holds the labels of the validation images.
type devkit struct {
	truth   []int          // the class number of each image
	synsets map[int]string // class names (WNID) by class number
}

// synset returns the class of a validation image by its name, such as ILSVRC2012_val_00000001.JPEG.
func (d devkit) synset(_, name string) (string, error) {
	digits := strings.TrimSuffix(name[strings.LastIndex(name, "_")+1:], path.Ext(name))
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > len(d.truth) {
		return "", fmt.Errorf("%s is none of the %d images for which %s has labels", name, len(d.truth), imagenetDevkit)
	}
	return d.synsets[d.truth[n-1]], nil
}

// readDevkit reads the archive of the development kit.
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
			return d, fmt.Errorf("%s: image %d has the class %d, which is missing in %s", file, i+1, n, imagenetSynsets)
		}
	}
	return d, nil
}

// readTruth returns the numbers in a text that has one on each line.
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
