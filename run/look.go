package run

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"hdas/internal/filekind"
	"hdas/internal/tfevents"
	"hdas/live"
)

// Seen is what can be told of a run without reading tensors.
type Seen struct {
	Meta    Meta     // of the newest checkpoint; without one it has the configuration of the folder alone
	Records [][]byte // of its epochs, each a JSON object
	Seconds float64  // that its epochs have taken, as far as its events tell
	Now
}

// Now is what changes while a run goes on.
type Now struct {
	Running bool         // a process runs it
	Changed time.Time    // when its configuration, records or checkpoint were last written
	Live    *live.Report // of that process; nil before its first step
}

// mostConfig is the largest size in bytes of a configuration.
const mostConfig = 1 << 20

// Look returns what can be told of the run in a folder, which may go on. It changes nothing.
func Look(folder string) (s Seen, err error) {
	d := &Dir{path: folder}
	s.Now = Glance(folder)
	if _, s.Records, err = d.readRecords(); err != nil {
		return s, err
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
		m, err := headerMeta(d.Path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err == nil {
			s.Meta = m
		}
		return s, err
	}
	return s, nil
}

// silent is how old the report of a process on another machine may be while that runs. It writes every two seconds.
const silent = 30 * time.Second

// Glance returns what changes while the run in a folder goes on. It reads one small file. Where the folder is on a disk
// of several machines, the lock of a process on another one may not be seen here; then it runs if its report is new.
func Glance(folder string) (n Now) {
	d := &Dir{path: folder}
	for _, name := range []string{ConfigFile, CheckpointFile, records} {
		if info, err := os.Stat(d.Path(name)); err == nil && info.ModTime().After(n.Changed) {
			n.Changed = info.ModTime()
		}
	}
	n.Running = held(folder)
	r, written, err := live.Read(d.Path(stateFile))
	if err != nil {
		return n
	}
	host, _ := os.Hostname()
	n.Running = n.Running || r.Host != host && time.Since(written) < silent
	if n.Running {
		n.Live = &r
	}
	return n
}
