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

// unfinished is the extension of files that are being written.
const unfinished = ".unfinished"

// Replace writes a file in the folder of path, syncs it and renames it to path. Whatever happens, path
// is either the old file or the complete new one.
func Replace(path string, write func(io.Writer) error) error {
	name, err := stage(path, write)
	if err != nil {
		return err
	}
	return commit(name, path)
}

// stage writes and syncs a file that is to be renamed to path, and returns its name. If writing fails,
// it removes the file.
func stage(path string, write func(io.Writer) error) (name string, err error) {
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()+unfinished)
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	whole := false // stays false if write panics
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

// commit renames a staged file to path and syncs the folder.
func commit(name, path string) error {
	if err := os.Rename(name, path); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder syncs a folder, so that renames in it survive a crash, on file systems that support it.
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

// makeFolder creates a folder and its parents, and syncs them.
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

// removeUnfinished removes the unfinished files that a crash left in a folder and its subfolders.
func removeUnfinished(path string) error {
	return filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // a folder that cannot be read holds no file of the run
		}
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), unfinished) {
			return os.Remove(file)
		}
		return nil
	})
}
