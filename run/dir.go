package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Dir is a run's folder, locked against other processes until Close.
type Dir struct {
	path  string
	lock  *os.File
	whole bool // the newest checkpoint is known to be so
}

// Create makes a folder for a new run, and those above it. A folder that holds a checkpoint or a
// record already is an error.
func Create(path string) (*Dir, error) {
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	if d.hasOneOf(CheckpointFile, previous, records) {
		d.Close()
		return nil, fmt.Errorf("%s holds a run already; go on with --resume, or choose another folder with --out", path)
	}
	return d, nil
}

// Open opens the folder of a run that was begun, be it only with its configuration, and mends what
// a crash left: unfinished files and a half-written record.
func Open(path string) (*Dir, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no run to go on with: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("no run to go on with: %s is not a folder", path)
	}
	marks := []string{ConfigFile, CheckpointFile, previous, records}
	if !(&Dir{path: path}).hasOneOf(marks...) {
		return nil, fmt.Errorf("no run to go on with: %s has none of %s; begin one without --resume", path, strings.Join(marks, ", "))
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(removeUnfinished(path), d.repairRecords()); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Begin opens the folder of a run that was begun, as Open does, or makes one, as Create does.
func Begin(path string) (*Dir, error) {
	if Begun(path) {
		return Open(path)
	}
	return Create(path)
}

func open(path string) (*Dir, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		lock.Close()
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is in use by a run that is still going on; stop it, or choose another folder with --out", path)
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return &Dir{path: path, lock: lock}, nil
}

func (d *Dir) hasOneOf(names ...string) bool {
	for _, name := range names {
		if _, err := os.Stat(d.Path(name)); err == nil {
			return true
		}
	}
	return false
}

// Close lets others use the folder.
func (d *Dir) Close() error { return d.lock.Close() }

// Path is a place in the folder.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// WriteFile writes a file of the folder, whole or not at all. Slashes make subfolders.
func (d *Dir) WriteFile(name string, data []byte) error {
	path := d.Path(filepath.FromSlash(name))
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Save writes a checkpoint and keeps the one before. It runs inside torch.Do.
func (d *Dir) Save(c Checkpoint) error {
	path := d.Path(CheckpointFile)
	write, err := c.encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	next, err := stage(path, write)
	if err != nil {
		return err
	}
	// At every moment one of the two names is a whole checkpoint: one that is damaged does not
	// take the place of the one before, to which the run may have gone back.
	if !d.whole {
		_, _, err := inspect(path)
		d.whole = err == nil
	}
	if d.whole {
		if err := os.Rename(path, d.Path(previous)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, os.Remove(next))
		}
	}
	err = commit(next, path)
	d.whole = err == nil
	return err
}

// Latest reads the newest whole checkpoint: the last one or, where that is missing or damaged, the
// one before, with a Warning. ok is false where there has been none. It runs inside torch.Do.
func (d *Dir) Latest() (c Loaded, ok bool, err error) {
	c, last := Read(d.Path(CheckpointFile))
	d.whole = last == nil
	if d.whole {
		return c, true, nil
	}
	if errors.Is(last, errVersion) {
		return Loaded{}, false, last
	}
	c, before := Read(d.Path(previous))
	noLast, noBefore := errors.Is(last, fs.ErrNotExist), errors.Is(before, fs.ErrNotExist)
	switch {
	case before == nil && noLast:
		return c, true, nil
	case before == nil:
		c.Warning = fmt.Errorf("going on from the checkpoint before: %w", last)
		return c, true, nil
	case noLast && noBefore:
		return Loaded{}, false, nil
	}
	return Loaded{}, false, fmt.Errorf("no whole checkpoint is left; begin again in another folder: %w", errors.Join(last, before))
}

// lastGood ends the message of a failed step: a checkpoint is written after steps that went well.
func (d *Dir) lastGood() string {
	if !d.hasOneOf(CheckpointFile, previous) {
		return "; there is no checkpoint yet"
	}
	return "; the last good checkpoint, from which --resume goes on: " + d.Path(CheckpointFile)
}

// Find is the checkpoint that a path means: a file, or the newest one of a run folder.
func Find(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("no run folder and no checkpoint: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range []string{CheckpointFile, previous} {
		file := filepath.Join(path, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s holds no checkpoint (%s)", path, strings.Join([]string{CheckpointFile, previous}, ", "))
}
