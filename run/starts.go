package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hdas/internal/filekind"
	"hdas/live"
	"hdas/weights/safetensors"
)

// AppendStart adds a line to the file of starts: what the process runs that has begun or resumed the run.
func (d *Dir) AppendStart(s live.Start) error {
	if d.reads {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(d.Path(startsFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	last := []byte{'\n'}
	if err == nil && info.Size() > 0 {
		_, err = f.ReadAt(last, info.Size()-1)
	}
	if last[0] != '\n' { // a crash left half a line
		line = append([]byte{'\n'}, line...)
	}
	if err == nil {
		_, err = f.Write(append(line, '\n'))
	}
	return errors.Join(err, f.Close())
}

// Starts returns the lines of the file of starts of the run in a folder, each a JSON object unless a crash has left a part
// of it. There are none if an earlier version began the run.
func Starts(folder string) (lines [][]byte, err error) {
	text, err := filekind.Read(filepath.Join(folder, startsFile), mostConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines, err
}

// Newest returns the Meta of the newest checkpoint, from which the run is resumed; ok is false if there is none. It reads no
// tensors: a checkpoint whose tensors are damaged counts, though the run will be resumed from the one before.
func (d *Dir) Newest() (m Meta, ok bool) {
	for _, name := range []string{CheckpointFile, previous} {
		if m, err := headerMeta(d.Path(name)); err == nil {
			return m, true
		}
	}
	return Meta{}, false
}

// headerMeta returns the Meta of a checkpoint. It reads no tensors.
func headerMeta(path string) (Meta, error) {
	texts, err := safetensors.ReadTexts(path)
	if err != nil {
		return Meta{}, err
	}
	return parseMeta(texts[metaKey])
}
