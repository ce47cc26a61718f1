package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hdas/internal/filekind"
)

// Report is the state of a run as a file has it, with the process that computes it.
type Report struct {
	State
	Host string `json:"host"`
	PID  int    `json:"pid"`
}

// interval is the time between two states that are written. The writer does not wait for the disk.
const interval = 2 * time.Second

// most is the largest size in bytes of a file with a report.
const most = 1 << 16

// Publisher keeps the newest state of a run in a file, for other processes.
type Publisher struct {
	path    string
	lock    sync.Mutex
	newest  State
	end     chan struct{}
	stopped sync.WaitGroup
}

// Publish writes a state to the file with that path, and then, every two seconds until Close, the newest one. That a
// file cannot be written is no error: the run does not depend on it.
func Publish(path string, first State) *Publisher {
	p := &Publisher{path: path, newest: first, end: make(chan struct{})}
	p.write()
	p.stopped.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.write()
			case <-p.end:
				return
			}
		}
	})
	return p
}

// Set replaces the newest state. It does not wait for the file.
func (p *Publisher) Set(s State) {
	p.lock.Lock()
	p.newest = s
	p.lock.Unlock()
}

// Close removes the file.
func (p *Publisher) Close() {
	close(p.end)
	p.stopped.Wait()
	os.Remove(p.path)
}

// write replaces the file at once. It is not synced: after a crash of the machine its content does not matter.
func (p *Publisher) write() {
	p.lock.Lock()
	r := Report{State: p.newest, PID: os.Getpid()}
	p.lock.Unlock()
	r.State = r.Since(time.Now())
	r.Host, _ = os.Hostname()
	text, err := json.Marshal(r)
	if err != nil {
		return // a loss that is not finite, which ends the run
	}
	beside := filepath.Join(filepath.Dir(p.path), "."+filepath.Base(p.path)+".unfinished")
	if err := os.WriteFile(beside, append(text, '\n'), 0o644); err == nil {
		err = os.Rename(beside, p.path)
		if err == nil {
			return
		}
	}
	os.Remove(beside)
}

// Read returns the report of the run that publishes to that file, and when it was written.
func Read(path string) (r Report, written time.Time, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return r, written, err
	}
	text, err := filekind.Read(path, most)
	if err != nil {
		return r, written, err
	}
	return r, info.ModTime(), json.Unmarshal(text, &r)
}
