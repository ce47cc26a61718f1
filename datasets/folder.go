package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/internal/imagefile"
)

// testFolders lists the possible names of the folder of test images next to train.
var testFolders = []string{"test", "val", "valid", "validation"}

// layout is the structure of a user's folder of images.
type layout struct {
	train, test string // folders of class folders; test is empty if part of train is used for testing
}

// layoutOf returns the layout of a folder, or an error if it has none that is known.
func layoutOf(dir string) (l layout, err error) {
	folders, err := subfolders(dir)
	if err != nil {
		return l, err
	}
	if len(folders) == 0 {
		return l, fmt.Errorf("%s has no folders; put the images of each class into a folder with the name of the class, or such folders into train and test", dir)
	}
	if !slices.Contains(folders, Train) {
		return layout{train: dir}, nil
	}
	for _, name := range testFolders {
		if slices.Contains(folders, name) {
			return layout{filepath.Join(dir, Train), filepath.Join(dir, name)}, nil
		}
	}
	return l, fmt.Errorf("%s has train, but none of %s; name %s as the data folder to have a part of it kept for testing",
		dir, strings.Join(testFolders, ", "), filepath.Join(dir, Train))
}

// subfolders returns the sorted names of the folders in a folder, without hidden ones.
func subfolders(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() { // follows links
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func missingFolder(dir string) error {
	_, err := layoutOf(dir)
	return err
}

const ownOrigin = "the user's own images"

// openFolder opens a split of a user's folder: its train or test folder, or, without a test folder, a
// random part of each class.
func openFolder(s Spec, split string) (Dataset, error) {
	l, err := layoutOf(s.Dir)
	if err != nil {
		return nil, err
	}
	classes, err := subfolders(l.train)
	if err != nil {
		return nil, err
	}
	root := l.train
	if split == Test && l.test != "" {
		root = l.test
	}
	d, err := openClasses(s, root, classes, ownOrigin)
	if err != nil || l.test != "" {
		return d, err
	}
	fraction := s.TestFraction
	if fraction == 0 {
		fraction = testFraction
	}
	train, test := divide(d.list, len(classes), fraction, s.SplitSeed)
	if split == Test {
		return part(d, test), nil
	}
	return part(d, train), nil
}

// divide returns the indices of training and test images. It draws the given fraction of each class for
// testing: at least one image of a class that has two, and never all of them.
func divide(l *list, classes int, fraction float64, seed uint64) (train, test []int) {
	members := make([][]int, classes)
	for i, label := range l.labels {
		members[label] = append(members[label], i)
	}
	for class, of := range members {
		n := min(max(int(math.Round(fraction*float64(len(of)))), 1), len(of)-1)
		for k, j := range rng(seed, "divide", class).permutation(len(of)) {
			if k < n {
				test = append(test, of[j])
			} else {
				train = append(train, of[j])
			}
		}
	}
	slices.Sort(train)
	slices.Sort(test)
	return train, test
}

// openClasses opens a folder of class folders. It returns an error if a class is not among classes, a
// sorted list, or if a class folder has no images.
func openClasses(s Spec, root string, classes []string, origin string) (*fileset, error) {
	there, err := subfolders(root)
	if err != nil {
		return nil, err
	}
	l := new(list)
	for _, class := range there {
		label, known := slices.BinarySearch(classes, class)
		if !known {
			return nil, fmt.Errorf("%s is a class without training images; known are %s", filepath.Join(root, class), some(classes))
		}
		before := l.len()
		if err := addImages(l, filepath.Join(root, class), label); err != nil {
			return nil, err
		}
		if l.len() == before {
			return nil, fmt.Errorf("%s has no images (%s); add some, or remove the folder", filepath.Join(root, class), strings.Join(imagefile.Extensions, " "))
		}
	}
	if l.len() == 0 {
		return nil, fmt.Errorf("%s has no class folders with images", root)
	}
	l.compact()
	return newFileset(s, classes, origin, l, func(i int, buf []byte) ([]byte, string, error) {
		path := filepath.Join(root, classes[l.labels[i]], filepath.FromSlash(l.name(i)))
		file, err := readInto(path, buf)
		return file, path, err
	}), nil
}

// some returns the first few names as a text.
func some(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// addImages appends the image files in a folder and its subfolders, sorted by name.
func addImages(l *list, folder string, label int) error {
	return filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && path != folder:
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir() || !slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if !l.add(filepath.ToSlash(name), label) {
			return errors.New("too many images or classes")
		}
		return nil
	})
}
