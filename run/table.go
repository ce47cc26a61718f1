package run

import (
	"bytes"
	"encoding/csv"
	"os"
	"slices"
	"strings"
)

// table is the CSV file that holds the numbers and truths of all records: a row for each record, a column for each
// field, whose name is its keys joined by dots. Columns are in the order in which the records have them first.
type table struct {
	columns []string
	size    int64 // of the file with the records so far; 0: it is to be made anew
}

// writeTable adds a record to the table. before returns the records before it, of which the table is made anew if this
// program has not written all of them, or if the record has a field that none before it has.
func (d *Dir) writeTable(before func() ([][]byte, error), record []field) error {
	t := &d.table
	info, err := os.Stat(d.Path(tableFile))
	if t.size > 0 && err == nil && info.Size() == t.size {
		columns := len(t.columns)
		row := t.row(record)
		if len(t.columns) == columns {
			t.size += int64(len(row))
			return appendTo(d.Path(tableFile), info.Size(), row)
		}
	}
	*t = table{}
	lines, err := before()
	if err != nil {
		return err
	}
	rows := make([][]field, len(lines), len(lines)+1)
	for i, l := range lines {
		if rows[i], err = fieldsOf(l); err != nil {
			return err
		}
	}
	rows = append(rows, record)
	for _, r := range rows { // for the columns
		t.row(r)
	}
	file := csvLine(t.columns)
	for _, r := range rows {
		file = append(file, t.row(r)...)
	}
	t.size = int64(len(file))
	return d.WriteFile(tableFile, file)
}

// row returns the row of a record, and adds the columns that it is the first to have.
func (t *table) row(record []field) []byte {
	row := make([]string, len(t.columns))
	for _, f := range record {
		if _, ok := f.number(); !ok {
			continue
		}
		name := strings.Join(f.path, ".")
		at := slices.Index(t.columns, name)
		if at < 0 {
			at = len(t.columns)
			t.columns, row = append(t.columns, name), append(row, "")
		}
		row[at] = string(f.value)
	}
	return csvLine(row)
}

func csvLine(cells []string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(cells) // errors are those of the buffer, which has none
	w.Flush()
	return b.Bytes()
}
