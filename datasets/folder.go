package datasets

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hdas/internal/imagefile"
)

func missingFolder(dir string) error {
	_, err := layoutOf(dir)
	return err
}

const ownOrigin = "the user's own images"

// openFolder opens a split of a user's folder: its train or test folder, or, without a test folder, a part of
// each class, according to s.Cut.
func openFolder(s Spec, split string) (Dataset, error) {
	d, divided, err := openOwn(s, split)
	if err != nil || !divided {
		return d, err
	}
	train, test, _ := s.divide(d)
	if split == Test {
		return part(d, test), nil
	}
	return part(d, train), nil
}

// openOwn opens the folder that holds a split. divided reports whether it holds the other split, too.
func openOwn(s Spec, split string) (d *fileset, divided bool, err error) {
	l, err := layoutOf(s.Dir)
	if err != nil {
		return nil, false, err
	}
	v := visited{}
	classes, err := v.classes(l.train)
	if err != nil {
		return nil, false, err
	}
	root, there := l.train, classes
	if l.test != "" {
		tests, err := v.classes(l.test)
		if err != nil {
			return nil, false, err
		}
		if split == Test {
			root, there = l.test, tests
		}
	}
	if d, err = openClasses(s, v, root, there, classes, ownOrigin); err != nil {
		return nil, false, err
	}
	return d, l.test == "", l.checkClasses(root, classes, d.list)
}

// openClasses opens the class folders of root, which v has visited. It returns an error if one is not among
// classes, a sorted list, or has no images.
func openClasses(s Spec, v visited, root string, there, classes []string, origin string) (*fileset, error) {
	var labels []int
	for _, class := range there {
		label, known := slices.BinarySearch(classes, class)
		if !known {
			return nil, fmt.Errorf("%s is a class without training images; known are %s", filepath.Join(root, class), some(classes))
		}
		labels = append(labels, label)
	}
	l, err := v.list(root, there, labels)
	if err != nil {
		return nil, err
	}
	if l.len() == 0 {
		return nil, fmt.Errorf("%s has no class folders with images", root)
	}
	found := make([]bool, len(classes))
	for _, label := range l.labels {
		found[label] = true
	}
	for i, class := range there {
		if !found[labels[i]] {
			return nil, fmt.Errorf("%s has no images (%s); a folder of the data folder is a class, so add some, or name another data folder", filepath.Join(root, class), strings.Join(imagefile.Extensions, " "))
		}
	}
	file := func(i int) string { return filepath.Join(root, classes[l.labels[i]], filepath.FromSlash(l.name(i))) }
	d := newFileset(s, classes, origin, l, func(i int, buf []byte) ([]byte, string, error) {
		path := file(i)
		data, err := readImage(path, buf)
		return data, path, err
	})
	d.size = func(i int) int64 { return sizeOf(file(i)) }
	return d, nil
}
