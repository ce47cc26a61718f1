package datasets

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// cifarFile is a file's content, or why there is none.
type cifarFile struct {
	name string // with the place
	data []byte
	err  error
}

// files reads those of these names that are at a place.
func (p cifarPlace) files(names []string) (map[string]cifarFile, error) {
	if p.packed {
		return p.unpack(names)
	}
	files := map[string]cifarFile{}
	for _, name := range names {
		f := cifarFile{name: filepath.Join(p.path, name)}
		f.data, f.err = readRegular(f.name)
		files[name] = f
	}
	return files, nil
}

// unpack reads an archive once, up to the last file wanted.
func (p cifarPlace) unpack(names []string) (map[string]cifarFile, error) {
	files := map[string]cifarFile{}
	err := unpack(p.path, func(full string, data func(name string) ([]byte, error)) (more bool, err error) {
		folder, name := path.Split(path.Clean(full))
		if path.Clean(folder) == p.folder && slices.Contains(names, name) {
			f := cifarFile{name: p.path + ":" + full}
			f.data, err = data(f.name)
			files[name] = f
		}
		return len(files) < len(names), err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, there := files[name]; !there {
			full := p.path + ":" + path.Join(p.folder, name)
			files[name] = cifarFile{name: full, err: &fs.PathError{Op: "read", Path: full, Err: fs.ErrNotExist}}
		}
	}
	return files, nil
}

// unpack visits the files of a .tar.gz, until there are no more or no more are wanted. data reads the
// one that is visited; name is for its errors.
func unpack(file string, visit func(full string, data func(name string) ([]byte, error)) (more bool, err error)) error {
	packed, err := os.Open(file)
	if err != nil {
		return err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%s is no archive of gzip: %w", file, err)
	}
	entries := tar.NewReader(z)
	for more := true; more; {
		head, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			more, err = visit(head.Name, func(name string) ([]byte, error) { return readSized(name, entries, head.Size) })
		}
		if err != nil {
			return fmt.Errorf("%s is damaged or cut off: %w", file, err)
		}
	}
	return nil
}

// regular is the size of a file that must be one.
func regular(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a file: %w", path, errForeign)
	}
	return info.Size(), nil
}

// errForeign is of what has the name of a file of the data set, and is something else: a folder "train",
// a text "test".
var errForeign = errors.New("it belongs to something else")

// isPickle reports whether a file begins as one of Python's protocols from 2 on.
func isPickle(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [1]byte
	n, _ := f.Read(first[:])
	return n == 1 && first[0] == 0x80
}

// readRegular reads a file that may be any, of any size.
func readRegular(path string) ([]byte, error) {
	size, err := regular(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSized(path, file, size)
}

func readSized(name string, r io.Reader, size int64) ([]byte, error) {
	if size > cifarLargest {
		return nil, fmt.Errorf("%s has %d bytes, and no file of CIFAR more than %d", name, size, cifarLargest)
	}
	data := make([]byte, size)
	if n, err := io.ReadFull(r, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s: read %d of %d bytes: %w", name, n, len(data), err)
	}
	return data, nil
}
