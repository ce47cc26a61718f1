package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"hdas/draw"
)

// Dir is the folder of a run. It is locked against other processes until Close.
type Dir struct {
	path  string
	lock  *os.File
	reads bool // the folder is another process's; nothing is written
	whole bool // the newest checkpoint is known to be intact

	appended appended
	table    table
	events   int64           // size of the file of events with the records so far; 0: it is to be read
	means    map[string]Mean // of the checkpoint that was read last
	drawer   draw.Drawer
	drawn    string    // the genotype of the last picture in the events
	since    time.Time // of the last record, or when the folder was opened, less what an epoch had taken before
}

// Create creates a folder for a new run, with its parents, and locks it. A folder that already holds a
// run, or anything else of a name that the run would write, is an error. The caller closes the Dir.
func Create(path string) (*Dir, error) {
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	if d.hasOneOf(CheckpointFile, previous, records) {
		resumable := d.hasOneOf(CheckpointFile, previous)
		d.Close()
		if !resumable {
			return nil, fmt.Errorf("%s already holds the records of a run, but no checkpoint to resume it from; remove the folder to do the run again, or choose another with --out", path)
		}
		return nil, fmt.Errorf("%s already holds a run; resume it with --resume, or choose another folder with --out", path)
	}
	if !d.abandoned() {
		if err := d.Vacant(written...); err != nil {
			d.Close()
			return nil, err
		}
	}
	d.removeParts()
	return d, nil
}

// removeParts removes the parts of a run's first files that a process has left which was killed before the run began, so
// that there is no run to open.
func (d *Dir) removeParts() {
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		ofRun := func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+".") }
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), unfinished) && (ofRun(basisFile) || slices.ContainsFunc(written, ofRun)) {
			os.Remove(d.Path(e.Name()))
		}
	}
}

// abandoned reports whether the folder holds what a run without a checkpoint has left, and not several runs:
// its basis, and no files or folders of the kinds of a run's that it does not write itself.
func (d *Dir) abandoned() bool {
	entries, err := os.ReadDir(d.path)
	if err != nil || !d.hasOneOf(basisFile) {
		return false
	}
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		other := e.IsDir() || slices.Contains([]string{".json", ".yaml", ".safetensors"}, filepath.Ext(e.Name()))
		return other && e.Name() != basisFile && !slices.ContainsFunc(written, func(name string) bool { return strings.HasPrefix(name, e.Name()) })
	})
}

// Vacant returns an error if the folder has one of those files, because the run would replace it.
func (d *Dir) Vacant(names ...string) error {
	for _, name := range names {
		if _, err := os.Lstat(d.Path(name)); err == nil {
			return fmt.Errorf("%s already holds %s, which the run would replace; choose another folder with --out (a run that was begun there is resumed by --resume)", d.path, name)
		}
	}
	return nil
}

// Open opens and locks the folder of a run that holds at least a configuration. It removes what a crash
// may have left: unfinished files, a half-written record and the state of a process. The caller closes the Dir.
func Open(path string) (*Dir, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no run to resume: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("no run to resume: %s is not a folder", path)
	}
	marks := []string{ConfigFile, CheckpointFile, previous, records}
	if !(&Dir{path: path}).hasOneOf(marks...) {
		return nil, fmt.Errorf("no run to resume: %s has none of %s; start one without --resume", path, strings.Join(marks, ", "))
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	os.Remove(d.Path(stateFile)) // of a process that was killed
	if err := errors.Join(removeUnfinished(path), d.repairRecords()); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Follow returns the folder of a run that another process of the same run has created or opened. What is written to it is
// left out, because that process writes the same.
func Follow(path string) *Dir { return &Dir{path: path, reads: true} }

// Begin opens the folder of an existing run, like Open, or creates a new one, like Create.
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
	for range 2 { // once more, because Look holds the lock for a moment
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		lock.Close()
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is in use by another process; stop it, or choose another folder with --out", path)
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return &Dir{path: path, lock: lock, since: time.Now()}, nil
}

// held reports whether a process holds the lock of a folder.
func held(path string) bool {
	lock, err := os.Open(filepath.Join(path, lockFile))
	if err != nil {
		return false
	}
	defer lock.Close() // which releases it
	return errors.Is(syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func (d *Dir) hasOneOf(names ...string) bool {
	for _, name := range names {
		if _, err := os.Stat(d.Path(name)); err == nil {
			return true
		}
	}
	return false
}

// Close releases the lock of the folder.
func (d *Dir) Close() error {
	if d.reads {
		return nil
	}
	return d.lock.Close()
}

// Path returns the path of a file in the folder.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// WriteFile writes a file in the folder, completely or not at all. A name with slashes creates
// subfolders.
func (d *Dir) WriteFile(name string, data []byte) error {
	if d.reads {
		return nil
	}
	path := d.Path(filepath.FromSlash(name))
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Save writes a checkpoint and keeps the previous one. It runs inside torch.Do.
func (d *Dir) Save(c Checkpoint) error {
	if d.reads {
		return nil
	}
	path := d.Path(CheckpointFile)
	write, err := c.encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	next, err := stage(path, write)
	if err != nil {
		return err
	}
	// At every moment one of the two files is an intact checkpoint. A damaged newest one must not replace
	// the previous one, from which the run may have been resumed.
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
	if d.whole = err == nil; d.whole {
		d.keepElapsed(c.Meta.Epoch, c.Meta.Batch)
	}
	return err
}

// SaveBest writes the checkpoint of the best epoch so far, in place of the one before. It runs inside torch.Do.
func (d *Dir) SaveBest(c Checkpoint) error {
	if d.reads {
		return nil
	}
	return Write(d.Path(BestFile), c)
}

// Latest returns the newest intact checkpoint: the last one or, if that is missing or damaged, the
// previous one with a Warning. ok is false if there is no checkpoint. It runs inside torch.Do.
func (d *Dir) Latest() (c Loaded, ok bool, err error) {
	defer func() { d.means = c.Meta.Means }()
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

// lastGood returns the end of the message for a failed step, which names the newest checkpoint.
func (d *Dir) lastGood() string {
	if !d.hasOneOf(CheckpointFile, previous) {
		return "; there is no checkpoint yet"
	}
	return "; the last good checkpoint, from which --resume continues: " + d.Path(CheckpointFile)
}

// Find returns the path of a checkpoint: path itself if it is a file, or the newest checkpoint of a run
// folder.
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
