package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The files of a run folder that the run itself reads again.
const (
	newest   = "checkpoint.safetensors"
	previous = "checkpoint-previous.safetensors"
	records  = "epochs.jsonl"
	lockFile = ".lock"
)

// Dir is a run's folder, locked against other processes until Close.
type Dir struct {
	path string
	lock *os.File
}

// Create makes a folder for a new run. A folder that holds one already is an error.
func Create(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{newest, previous, records} {
		if _, err := os.Stat(d.Path(name)); err == nil {
			d.Close()
			return nil, fmt.Errorf("%s holds a run already; go on with --resume, or choose another folder with --out", path)
		}
	}
	return d, nil
}

// Open opens the folder of a run that was begun, and mends what a crash left: unfinished files and
// a half-written record.
func Open(path string) (*Dir, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no run to resume: %w", err)
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	leftovers, err := filepath.Glob(d.Path(".*" + unfinished))
	for _, f := range leftovers {
		err = errors.Join(err, os.Remove(f))
	}
	if err == nil {
		err = d.keepRecords(func([]byte) bool { return true })
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func open(path string) (*Dir, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s is in use by another run that is still going on: %w", path, err)
	}
	return &Dir{path, lock}, nil
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Save writes a checkpoint and keeps the one before. It runs inside torch.Do.
func (d *Dir) Save(c Checkpoint) error {
	// At every moment one of the two names is a whole checkpoint.
	next := d.Path("checkpoint-next.safetensors")
	if err := Write(next, c); err != nil {
		return err
	}
	err := os.Rename(d.Path(newest), d.Path(previous))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Rename(next, d.Path(newest)), syncFolder(d.path))
}

// Latest reads the newest whole checkpoint: the last one or, where that is missing or damaged, the
// one before. ok is false where there has been none. It runs inside torch.Do.
func (d *Dir) Latest() (c Loaded, ok bool, err error) {
	var faults []error
	for _, name := range []string{newest, previous} {
		c, err := Read(d.Path(name))
		if err == nil {
			return c, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return Loaded{}, false, errors.Join(faults...)
}

// Append adds the record of an epoch, which has a number under "epoch", behind those of the
// epochs before it: a run that went back to an earlier checkpoint leaves no second ones.
func (d *Dir) Append(record any) error {
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	at, err := epochOf(line)
	if err != nil {
		return err
	}
	if err := d.keepRecords(func(line []byte) bool { n, err := epochOf(line); return err == nil && n < at }); err != nil {
		return err
	}
	f, err := os.OpenFile(d.Path(records), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

func epochOf(line []byte) (int, error) {
	var r struct{ Epoch *int }
	if err := json.Unmarshal(line, &r); err != nil || r.Epoch == nil {
		return 0, fmt.Errorf("record %.60s has no epoch", line)
	}
	return *r.Epoch, nil
}

// Records calls f with every record, one JSON object each, in order.
func (d *Dir) Records(f func(line []byte) error) error {
	data, err := os.ReadFile(d.Path(records))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, len(data)+1)
	for s.Scan() {
		if err := f(s.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", d.Path(records), err)
		}
	}
	return s.Err()
}

// keepRecords drops the records that keep does not want, and a half-written last one. The file is
// written only where that changes it.
func (d *Dir) keepRecords(keep func(line []byte) bool) error {
	old, err := os.ReadFile(d.Path(records))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var kept []byte
	for line := range bytes.Lines(old) {
		if bytes.HasSuffix(line, []byte("\n")) && json.Valid(line) && keep(line) {
			kept = append(kept, line...)
		}
	}
	if bytes.Equal(kept, old) {
		return nil
	}
	return d.WriteFile(records, kept)
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
	for _, name := range []string{newest, previous} {
		file := filepath.Join(path, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s holds no checkpoint (%s)", path, strings.Join([]string{newest, previous}, ", "))
}
