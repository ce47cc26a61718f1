package run

import (
	"encoding/json"
	"os"
	"time"

	"hdas/internal/filekind"
)

// elapsed is how long an epoch has taken until the checkpoint before that batch. It is not in the checkpoint, because
// equal runs have equal checkpoints. No run depends on it.
type elapsed struct {
	Epoch   int     `json:"epoch"`
	Batch   int     `json:"batch"`
	Seconds float64 `json:"seconds"`
}

// mostElapsed is the largest size in bytes of its file.
const mostElapsed = 1 << 10

// keepElapsed writes how long the epoch has taken beside a checkpoint within it, for the process that resumes from there.
func (d *Dir) keepElapsed(epoch, batch int) {
	if batch == 0 {
		d.dropElapsed()
		return
	}
	if text, err := json.Marshal(elapsed{epoch, batch, time.Since(d.since).Seconds()}); err == nil {
		os.WriteFile(d.Path(elapsedFile), append(text, '\n'), 0o644)
	}
}

// dropElapsed removes that file at the end of an epoch.
func (d *Dir) dropElapsed() {
	if !d.reads {
		os.Remove(d.Path(elapsedFile))
	}
}

// addElapsed adds the time that the epoch has taken in other processes, where the run is resumed within it. Where it is resumed
// between epochs, a process may have been killed before it removed the file of the last one.
func (d *Dir) addElapsed(epoch, batch int) {
	if batch == 0 {
		d.dropElapsed()
		return
	}
	var e elapsed
	text, err := filekind.Read(d.Path(elapsedFile), mostElapsed)
	if err == nil && json.Unmarshal(text, &e) == nil && e.Epoch == epoch && e.Batch == batch && e.Seconds > 0 {
		d.since = d.since.Add(-time.Duration(e.Seconds * float64(time.Second)))
	}
}
