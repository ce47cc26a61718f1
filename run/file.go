package run

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// unfinished ends the names of files that are being written.
const unfinished = ".unfinished"

// Replace writes a file beside path, syncs it and renames it to path: there is the old file or the
// new one, whole, whatever happens.
func Replace(path string, write func(io.Writer) error) error {
	name, err := stage(path, write)
	if err != nil {
		return err
	}
	return commit(name, path)
}

// stage writes a file to be renamed to path, and returns its name. It is whole and on the disk, or
// there is none.
func stage(path string, write func(io.Writer) error) (name string, err error) {
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()+unfinished)
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	whole := false // not so where write panics, either
	defer func() {
		if !whole {
			f.Close()
			os.Remove(beside)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	for _, step := range []func() error{func() error { return write(w) }, w.Flush, f.Sync, f.Close} {
		if err := step(); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
	}
	whole = true
	return beside, nil
}

// commit makes a staged file the one at path.
func commit(name, path string) error {
	if err := os.Rename(name, path); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder last, on file systems that know how.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// makeFolder makes a folder that lasts, and those above it.
func makeFolder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// removeUnfinished removes what a crash left half-written in a folder and those below.
func removeUnfinished(path string) error {
	return filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // nothing of ours is where we cannot read
		}
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), unfinished) {
			return os.Remove(file)
		}
		return nil
	})
}
