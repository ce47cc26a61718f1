package run

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"hdas/internal/filekind"
	"hdas/internal/tfevents"
	"hdas/weights/safetensors"
)

// Seen is what can be told of a run without reading tensors.
type Seen struct {
	Meta    Meta      // of the newest checkpoint; without one it has the configuration of the folder alone
	Records [][]byte  // of its epochs, each a JSON object
	Seconds float64   // that its epochs have taken, as far as its events tell
	Running bool      // a process has the folder open
	Changed time.Time // when its configuration, records or checkpoint were last written
}

// mostConfig is the largest size in bytes of a configuration.
const mostConfig = 1 << 20

// Look returns what can be told of the run in a folder, which may go on. It changes nothing.
func Look(folder string) (s Seen, err error) {
	d := &Dir{path: folder}
	s.Running = held(folder)
	if _, s.Records, err = d.readRecords(); err != nil {
		return s, err
	}
	for _, name := range []string{ConfigFile, CheckpointFile, records} {
		if info, err := os.Stat(d.Path(name)); err == nil && info.ModTime().After(s.Changed) {
			s.Changed = info.ModTime()
		}
	}
	if events, err := filekind.Read(d.Path(eventsFile), mostRecord); err == nil { // a run of an earlier version has none
		for _, e := range tfevents.Read(events) {
			s.Seconds += e.Scalars[secondsTag]
		}
	}
	config, err := filekind.ReadText(d.Path(ConfigFile), mostConfig)
	if err != nil {
		return s, err
	}
	s.Meta.Config = string(config)
	for _, name := range []string{CheckpointFile, previous} {
		texts, err := safetensors.ReadTexts(d.Path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return s, err
		}
		s.Meta, err = parseMeta(texts[metaKey])
		return s, err
	}
	return s, nil
}
