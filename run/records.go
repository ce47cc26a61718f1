package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"hdas/internal/filekind"
)

// Append appends the record of an epoch, a JSON object whose key "epoch" is its number. Records of the
// same and of later epochs, which a run that was resumed from an earlier checkpoint may find, are
// removed. The table and the events of the records follow; a record that is Mixed adds images to the events, and more numbers are in the events alone.
func (d *Dir) Append(record any, more ...Shown) error {
	if d.reads {
		return nil
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record of an epoch: %w", err)
	}
	at, err := epochOf(line)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(line)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	before := sync.OnceValues(func() ([][]byte, error) { return d.recordsBefore(at) })
	info, err := os.Stat(d.Path(records))
	if d.appended.size > 0 && d.appended.epoch < at && err == nil && info.Size() == d.appended.size {
		err = appendTo(d.Path(records), info.Size(), line)
	} else {
		err = d.replaceRecords(before, line)
	}
	if err != nil {
		d.appended.size = 0
		return err
	}
	d.appended.size, d.appended.epoch = d.appended.size+int64(len(line)), at
	return errors.Join(d.writeTable(before, fields), d.writeEvents(before, at, fields, record, more))
}

// appended is what this program knows of the file of records, so that it need not read it.
type appended struct {
	size  int64 // 0: nothing is known
	epoch int   // of the last record
}

// replaceRecords writes a record after those before its epoch, and sets the size of the file without it.
func (d *Dir) replaceRecords(before func() ([][]byte, error), line []byte) error {
	old, _, err := d.readRecords()
	if err != nil {
		return err
	}
	lines, err := before()
	if err != nil {
		return err
	}
	kept := bytes.Join(lines, nil)
	d.appended.size = int64(len(kept))
	if old != nil && bytes.Equal(kept, old) {
		return appendTo(d.Path(records), d.appended.size, line)
	}
	d.table, d.events = table{}, 0
	return d.WriteFile(records, append(kept, line...))
}

// recordsBefore returns the records before that of an epoch.
func (d *Dir) recordsBefore(epoch int) ([][]byte, error) {
	_, lines, err := d.readRecords()
	return slices.DeleteFunc(lines, func(l []byte) bool { n, _ := epochOf(l); return n >= epoch }), err
}

// appendTo appends a line to a file of that size. On an error it restores the size.
func appendTo(path string, size int64, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err = f.Write(line); err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(size))
	}
	return errors.Join(err, f.Close())
}

// Records calls f with every record in order, each a JSON object without line end.
func (d *Dir) Records(f func(line []byte) error) error {
	_, lines, err := d.readRecords()
	if err != nil {
		return err
	}
	for i, line := range lines {
		if err := f(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return fmt.Errorf("%s, line %d: %w", d.Path(records), i+1, err)
		}
	}
	return nil
}

// repairRecords removes a half-written last record, and completes one that lacks only its line end.
func (d *Dir) repairRecords() error {
	old, lines, err := d.readRecords()
	if err != nil || bytes.Equal(bytes.Join(lines, nil), old) {
		return err
	}
	return d.WriteFile(records, bytes.Join(lines, nil))
}

// readRecords returns the content of the file, nil if there is none, and its complete lines, each with
// its line end. Only the last line may be half-written; any other invalid line is an error.
func (d *Dir) readRecords() (file []byte, lines [][]byte, err error) {
	file, err = filekind.Read(d.Path(records), mostRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	var torn error
	for line := range bytes.Lines(file) {
		if torn != nil {
			return nil, nil, fmt.Errorf("%s, line %d, is damaged; remove or repair it: %w", d.Path(records), len(lines)+1, torn)
		}
		if _, torn = epochOf(line); torn == nil {
			if !bytes.HasSuffix(line, []byte("\n")) {
				line = append(bytes.Clone(line), '\n')
			}
			lines = append(lines, line)
		}
	}
	return file, lines, nil
}

func epochOf(line []byte) (int, error) {
	var r struct{ Epoch *int }
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, fmt.Errorf("record %.60q: %w", line, err)
	}
	if r.Epoch == nil {
		return 0, fmt.Errorf("record %.60q has no epoch", line)
	}
	return *r.Epoch, nil
}
