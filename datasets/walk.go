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

// visited are the real folders that a walk has entered, by device and number, with the path of each.
// A link to one of them leads nowhere new.
type visited map[[2]uint64]string

// enter remembers a folder. It returns the path under which the same folder was entered before, empty
// where it was not.
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

// classes enters a folder and the class folders in it, and returns their names, sorted. Two names of one
// real folder are an error.
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

// link is a linked folder that is still to be walked.
type link struct {
	folder, name string // where it is, and its path within the class folder
	class        int
}

// images calls add with the path within folder of each image file in and below it, in the order of names,
// and returns the links to other folders, which are to be walked after all real ones. A link to a folder
// that was entered already is left out.
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

// list lists the images of class folders: those in real folders by class and name, then those in linked
// ones.
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

// isImage reports whether a file's name ends as that of an image.
func isImage(name string) bool {
	return slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(name)))
}

// readImage reads an image file into buf, or a longer slice. A link to nothing and what is no regular
// file are damaged images.
func readImage(file string, buf []byte) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		if target, e := os.Readlink(file); e == nil && os.IsNotExist(err) {
			err = &DamagedError{file, fmt.Errorf("it is a link to %s, which is not there", target)}
		}
		return buf, err
	}
	if !info.Mode().IsRegular() {
		return buf, &DamagedError{file, fmt.Errorf("it is no regular file (%s)", info.Mode().Type())}
	}
	return readInto(file, buf)
}

// sizeOf returns the size of a file in bytes, -1 where it cannot be read as one.
func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}
