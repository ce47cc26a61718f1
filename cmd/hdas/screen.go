package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"hdas/lab"
	"hdas/live"
	"hdas/run"
)

// screen shows lines at the bottom of a terminal that change.
type screen struct {
	*mpb.Progress
	f *os.File
}

func (p *program) open(f *os.File) *screen {
	s := &screen{mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(250*time.Millisecond)), f}
	p.screen.Store(s)
	return s
}

// close keeps the lines as they are; all rows have ended.
func (p *program) close(s *screen) {
	s.Wait()
	p.screen.Store(nil)
}

// Write writes lines above those that change.
func (s *screen) Write(b []byte) (int, error) {
	n, err := s.Progress.Write(b)
	if err != nil { // they have just ended
		return s.f.Write(b)
	}
	return n, err
}

// row shows a line below those before it. text returns it for a number of columns and is called by another goroutine.
// end keeps the line as it is then.
func (s *screen) row(text func(width int) string) (end func()) {
	fill := mpb.BarFillerFunc(func(w io.Writer, st decor.Statistics) error {
		// A full line would wrap on some terminals, and Ctrl-C moves the cursor: the terminal echoes it as ^C.
		_, err := io.WriteString(w, "\r"+text(st.AvailableWidth-1))
		return err
	})
	b, err := s.Add(0, fill, mpb.BarFillerTrim())
	if err != nil {
		return func() {}
	}
	return func() {
		b.Abort(false)
		b.Wait()
	}
}

// bar returns an observer that shows a run in a line, and a function that ends it.
func (p *program) bar(f *os.File, start live.Start) (observe func(run.Progress), end func()) {
	s := p.open(f)
	var lock sync.Mutex
	seen := scoresOf(start)
	now := status{name: start.Name, is: lab.Running, last: seen.last, best: seen.best, of: seen.of}
	now.Epochs, now.Steps, now.Time = start.Epochs, start.Steps, time.Now()
	ended := s.row(func(width int) string {
		lock.Lock()
		defer lock.Unlock()
		at := now
		at.State = now.Since(time.Now())
		return line(at, width)
	})
	return func(at run.Progress) {
			lock.Lock()
			defer lock.Unlock()
			seen.add(at.Record)
			now.State, now.last, now.best, now.of = at.State, seen.last, seen.best, seen.of
		}, func() {
			lock.Lock()
			now.State = now.Since(time.Now())
			now.is, now.note = lab.Done, "took "+clock(now.Seconds)
			if now.Epoch < now.Epochs {
				now.is, now.note = lab.NotDone, "stopped after "+clock(now.Seconds)
			}
			lock.Unlock()
			ended()
			p.close(s)
		}
}
