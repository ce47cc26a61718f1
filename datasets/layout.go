package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// testFolders are what the folder of test images may be called, beside train, in any case.
var testFolders = []string{"test", "val", "valid", "validation"}

// layout is how one's own folder is divided.
type layout struct {
	train, test string // folders of class folders; test is empty where train is to be divided
}

// layoutOf looks at a folder. What its parts are follows from what is in them: a folder "train" with
// images alone is a class of that name.
func layoutOf(dir string) (l layout, err error) {
	folders, err := subfolders(dir)
	if err != nil {
		return l, err
	}
	if len(folders) == 0 {
		return l, fmt.Errorf("%s has no folders; put the images of each class into a folder of its name, or those into train and test", dir)
	}
	train, err := oneNamed(dir, folders, Train)
	if err != nil {
		return l, err
	}
	var classes []string
	if train != "" {
		if classes, err = subfolders(filepath.Join(dir, train)); err != nil {
			return l, err
		}
	}
	if len(classes) == 0 {
		if train == "" && !slices.ContainsFunc(folders, func(f string) bool { return !slices.ContainsFunc(testFolders, equalFold(f)) }) {
			return l, fmt.Errorf("%s has %s, but no folder train beside it; name the folder of the classes as the data folder, to have a part of it kept for testing",
				dir, strings.Join(folders, " and "))
		}
		return layout{train: dir}, nil
	}
	l.train = filepath.Join(dir, train)
	if l.test, err = testFolder(dir, folders, classes); err == nil && l.test == "" {
		err = fmt.Errorf("%s has %s, but none of %s; name %s as the data folder to have a part of it kept for testing",
			dir, train, strings.Join(testFolders, ", "), l.train)
	}
	return l, err
}

// testFolder returns the first of the folders of test images that has a folder of one of the classes, or
// of anything that could be one; empty where no folder has such a name. Images without labels are of no use.
func testFolder(dir string, folders, classes []string) (string, error) {
	var seen []string // folders without a class of the training images, and what they have
	var other string  // that has folders of other names
	for _, name := range testFolders {
		name, err := oneNamed(dir, folders, name)
		if err != nil {
			return "", err
		}
		if name == "" {
			continue
		}
		folder := filepath.Join(dir, name)
		inside, err := subfolders(folder)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(inside, func(f string) bool { return slices.Contains(classes, f) }) {
			return folder, nil
		}
		if len(inside) > 0 && !slices.Equal(inside, []string{"images"}) && other == "" {
			other = folder
		}
		seen = append(seen, fmt.Sprintf("%s has %s", folder, or(some(inside), "no folders")))
	}
	if other != "" || seen == nil {
		return other, nil
	}
	return "", fmt.Errorf("%s, and no folder of one of the classes (%s): its images have no labels; put them into a folder for each class",
		strings.Join(seen, "; "), some(classes))
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func equalFold(name string) func(string) bool {
	return func(other string) bool { return strings.EqualFold(name, other) }
}

// oneNamed returns the one of the folders that has that name in any case, empty where there is none.
func oneNamed(dir string, folders []string, name string) (found string, err error) {
	for _, f := range folders {
		if !strings.EqualFold(f, name) {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%s has both %s and %s; rename one of them", dir, found, f)
		}
		found = f
	}
	return found, nil
}

// subfolders are the names of the folders in a folder, sorted, hidden ones left out.
func subfolders(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() { // or a link to one
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// checkClasses refuses what cannot be the class folders of root: a single one, where root is to be
// divided, and folders that hold the classes themselves. It says where these seem to be.
func (l layout) checkClasses(root string, classes []string, images *list) error {
	inside := map[string]map[int]bool{} // the labels whose images are in a folder of that name
	below := make([]map[string]bool, len(classes))
	direct := false
	for i, label := range images.labels {
		folder, _, deeper := strings.Cut(images.name(i), "/")
		if !deeper {
			direct = true
			break
		}
		if inside[folder] == nil {
			inside[folder] = map[int]bool{}
		}
		if below[label] == nil {
			below[label] = map[string]bool{}
		}
		inside[folder][int(label)], below[label][folder] = true, true
	}
	for label, folders := range below {
		if direct || len(folders) < 2 {
			continue
		}
		for folder := range folders {
			if len(classes) > 1 && len(inside[folder]) < 2 {
				continue
			}
			return fmt.Errorf("%s has %s (%s), in which are no images but folders of them: %s; if those are the classes, %s",
				root, plural(len(classes), "folder"), some(classes), some(sorted(folders)), l.advice(filepath.Join(root, classes[label])))
		}
	}
	if l.test == "" && len(classes) < 2 {
		return fmt.Errorf("%s has images of one class, %s, and at least two are needed: a folder of images for each class", root, some(classes))
	}
	return nil
}

// advice says which folder to name as the data folder.
func (l layout) advice(folder string) string {
	if l.test != "" {
		return fmt.Sprintf("move the content of %s a level up, and likewise in the other part", folder)
	}
	return fmt.Sprintf("name %s as the data folder", folder)
}

func sorted(set map[string]bool) (names []string) {
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Usable is an error where nothing could be learned from a part of a data set, or scored on it: it has no
// images, or of fewer than two classes there could be any.
func Usable(d Dataset, part string) error {
	info := d.Info()
	switch {
	case len(info.Classes) < 2:
		return fmt.Errorf("%s has one class (%s), and at least two are needed: a folder of images for each class", info.Name, some(info.Classes))
	case d.Len() == 0:
		cure := "its data folder has no images for it"
		if Own(info.Name) {
			cure = "of each class at least two images are needed for one of them to be kept for testing, and four for a search"
		}
		return fmt.Errorf("%s has no images in its part %q: %s", info.Name, part, cure)
	}
	return nil
}

// some are the first of many names.
func some(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
