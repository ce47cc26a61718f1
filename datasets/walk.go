package datasets

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"hdas/internal/imagefile"
)

// visited holds the path of each folder that a walk has entered, by device and inode, so that no folder is
// read twice, whatever links there are.
type visited map[[2]uint64]string

// enter adds a folder. If the same folder was added before, it returns the path of that time, else "".
func (v visited) enter(folder string) (before string, err error) {
	info, err := os.Stat(folder)
	if err != nil {
		return "", err
	}
	id := [2]uint64{}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		id = [2]uint64{uint64(s.Dev), s.Ino}
	}
	before = v[id]
	if before == "" {
		v[id] = folder
	}
	return before, nil
}

// classes adds a folder and the class folders in it, and returns the sorted names of these. It returns an
// error if two of them are the same folder.
func (v visited) classes(root string) ([]string, error) {
	names, err := subfolders(root)
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{"."}, names...) {
		folder := filepath.Join(root, name)
		switch before, err := v.enter(folder); {
		case err != nil:
			return nil, err
		case before != "":
			return nil, fmt.Errorf("%s and %s are the same folder, so its images would be there twice", before, folder)
		}
	}
	return names, nil
}

// link is a folder that is to be walked, or a link to one.
type link struct {
	folder, name string // its path, and that within the class folder
	class        int    // its label
}

// images calls add for each image file in a folder and its subfolders, sorted by name, with its path within
// the class folder. It returns the links to folders, which have to be walked after all folders that are no
// links: the path of an image must not depend on the links to its folder.
func (v visited) images(l link, add func(class int, name string) error) (links []link, err error) {
	entries, err := os.ReadDir(l.folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		below := link{filepath.Join(l.folder, e.Name()), path.Join(l.name, e.Name()), l.class}
		linked := e.Type()&fs.ModeSymlink != 0
		folder := e.IsDir()
		if linked {
			info, err := os.Stat(below.folder)
			folder = err == nil && info.IsDir()
		}
		switch {
		case folder && linked:
			links = append(links, below)
		case folder:
			before, err := v.enter(below.folder)
			if err != nil {
				return nil, err
			}
			if before != "" {
				continue
			}
			more, err := v.images(below, add)
			if err != nil {
				return nil, err
			}
			links = append(links, more...)
		case isImage(e.Name()):
			if err := add(below.class, below.name); err != nil {
				return nil, err
			}
		}
	}
	return links, nil
}

// list returns the images of class folders: first those in folders, sorted by class and name, then those in
// linked folders. labels are the labels of the classes.
func (v visited) list(root string, classes []string, labels []int) (*list, error) {
	l := new(list)
	add := func(class int, name string) error {
		if !l.add(name, class) {
			return fmt.Errorf("%s has too many images or classes", root)
		}
		return nil
	}
	var links []link
	for i, class := range classes {
		more, err := v.images(link{filepath.Join(root, class), "", labels[i]}, add)
		if err != nil {
			return nil, err
		}
		links = append(links, more...)
	}
	for len(links) > 0 {
		next := links[0]
		links = links[1:]
		before, err := v.enter(next.folder)
		if err != nil {
			return nil, err
		}
		if before != "" {
			continue
		}
		more, err := v.images(next, add)
		if err != nil {
			return nil, err
		}
		links = append(links, more...)
	}
	l.compact()
	return l, nil
}

// isImage reports whether a file has the extension of an image.
func isImage(name string) bool {
	return slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(name)))
}

// readImage reads an image file into buf, or into a longer slice. A broken link, and an entry that is not a
// regular file, are a *DamagedError.
func readImage(file string, buf []byte) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		if target, e := os.Readlink(file); e == nil && os.IsNotExist(err) {
			err = &DamagedError{file, fmt.Errorf("it is a link to %s, which does not exist", target)}
		}
		return buf, err
	}
	if !info.Mode().IsRegular() {
		return buf, &DamagedError{file, fmt.Errorf("it is not a regular file (%s)", info.Mode().Type())}
	}
	if info.Size() > imagefile.MostFile {
		return buf, &DamagedError{file, fmt.Errorf("it has %d bytes, where %d are allowed", info.Size(), imagefile.MostFile)}
	}
	return readInto(file, buf)
}

// sizeOf returns the size of a file in bytes, or -1 if it is not a regular file.
func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}
