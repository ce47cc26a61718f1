package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// testFolders lists the possible names of the folder of test images next to train, in any case.
var testFolders = []string{"test", "val", "valid", "validation"}

// layout is the structure of a user's folder of images.
type layout struct {
	train, test string // folders of class folders; test is empty if part of train is used for testing
}

// layoutOf returns the layout of a folder, or an error if it has none that is known. A folder "train" without
// subfolders is a class of that name.
func layoutOf(dir string) (l layout, err error) {
	folders, err := subfolders(dir)
	if err != nil {
		return l, fmt.Errorf("%w; name the folder that has a folder of images for each class with --data-dir or $HDAS_DATA", err)
	}
	if len(folders) == 0 {
		return l, fmt.Errorf("%s has no folders; put the images of each class into a folder with the name of the class, or such folders into train and test", dir)
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

// testFolder returns the first folder of test images that has a folder of one of the classes, or else of
// something that may be a class; "" if no folder has such a name. If all test images lack labels, it
// returns an error.
func testFolder(dir string, folders, classes []string) (string, error) {
	var seen []string // folders without one of the classes, with their content
	var other string  // the first of those whose subfolders may be classes
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

// oneNamed returns the folder that has that name in any case, or "".
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

// checkClasses returns an error if the class folders of root seem to be folders of classes, and names these.
// It also returns an error if there is a single class and root is to be split.
func (l layout) checkClasses(root string, classes []string, images *list) error {
	inside := map[string]map[int]bool{} // labels by the name of the subfolder that holds their images
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

// advice returns a hint for error texts: which folder to use as the data folder.
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

// Usable returns an error if a part of a data set has no images, or the data set fewer than two classes.
func Usable(d Dataset, part string) error {
	info := d.Info()
	name := info.Name
	if Own(name) {
		name = "the data folder"
	}
	switch {
	case len(info.Classes) < 2:
		return fmt.Errorf("%s has one class (%s), and at least two are needed: a folder of images for each class", name, some(info.Classes))
	case d.Len() == 0:
		cure := "its data folder has no images for it"
		if Own(info.Name) {
			cure = "of each class at least two images are needed for one of them to be kept for testing, and four for a search"
		}
		return fmt.Errorf("%s has no images in its part %q, of %d classes: %s", name, part, len(info.Classes), cure)
	}
	return nil
}

// some returns the first few names as a text.
func some(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
