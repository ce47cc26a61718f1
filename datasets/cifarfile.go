package datasets

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"

	"hdas/internal/filekind"
)

// cifarFile is the content of a file, or the error from reading it.
type cifarFile struct {
	name string // with the path of its folder or archive
	data []byte
	err  error
}

// files returns the files with the given names; missing ones are left out.
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

// unpack returns the files with the given names in an archive. It reads the archive up to the last of
// them.
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

// The largest sizes of a .tar.gz archive and of its content, in bytes. Those of CIFAR have 0.2 GB.
const (
	packedLargest   = 4 << 30
	unpackedLargest = 4 << 30
)

// unpack calls visit with the name of each file in a .tar.gz, until visit returns false or the archive
// ends. data reads the current file; name is the name for its errors.
func unpack(file string, visit func(full string, data func(name string) ([]byte, error)) (more bool, err error)) error {
	packed, _, err := filekind.Open(file, packedLargest)
	if err != nil {
		return err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%s is not a gzip archive: %w", file, err)
	}
	entries := tar.NewReader(io.LimitReader(z, unpackedLargest))
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

// regular returns the size of a file. It is an error if path is not a regular file.
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

// errForeign is the error for an entry that has the name of a file of the data set but is something else, such
// as a folder "train".
var errForeign = errors.New("it belongs to something else")

// isPickle reports whether a file begins as a pickle of protocol 2 or newer.
func isPickle(path string) bool {
	f, _, err := filekind.Open(path, math.MaxInt64)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [1]byte
	n, _ := f.Read(first[:])
	return n == 1 && first[0] == 0x80
}

// readRegular returns the content of a file. It is an error if it is not a regular file or is larger
// than cifarLargest.
func readRegular(path string) ([]byte, error) {
	if _, err := regular(path); err != nil {
		return nil, err
	}
	file, size, err := filekind.Open(path, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSized(path, file, size)
}

func readSized(name string, r io.Reader, size int64) ([]byte, error) {
	if size > cifarLargest {
		return nil, fmt.Errorf("%s has %d bytes; files of CIFAR have at most %d", name, size, cifarLargest)
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
