package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hdas/metric/score"
)

// The times left follow from the steps, and from the evaluation once there was one. The first step, which warms up, does
// not count.
func TestPace(t *testing.T) {
	now := time.Unix(1000, 0)
	wait := func(seconds float64) time.Time {
		now = now.Add(time.Duration(seconds * float64(time.Second)))
		return now
	}
	p := Pace{Images: 10}
	at := func(epoch, step int) State {
		s := State{Epoch: epoch, Epochs: 3, Step: step, Steps: 4}
		p.Fill(&s)
		return s
	}
	p.Begin(now)
	if s := at(0, 0); s.Left != 0 || s.ImagesPerSecond != 0 {
		t.Errorf("before the first step: %+v", s)
	}
	p.Step(wait(100))
	p.Step(wait(2))
	if s := at(0, 2); s.EpochLeft != 4 || s.Left != 4+2*8 || s.ImagesPerSecond != 5 || s.Seconds != 102 {
		t.Errorf("within the first epoch: %+v", s)
	}
	p.Step(wait(2))
	p.Step(wait(2))
	p.Epoch(wait(5))
	if s := at(1, 0); s.EpochLeft != 8+5 || s.Left != 2*(8+5) {
		t.Errorf("after the first epoch: %+v", s)
	}
	for range 1000 {
		p.Step(wait(1))
	}
	if s := at(2, 3); s.EpochLeft < 6 || s.EpochLeft > 6.001 || s.Left != s.EpochLeft {
		t.Errorf("after many faster steps: %+v", s)
	}
	s := at(2, 3)
	s.Epoch, s.Step = 3, 0
	p.Fill(&s)
	if s.Left != 0 || s.EpochLeft != 0 {
		t.Errorf("at the end: %+v", s)
	}
	if s := at(2, 3).Since(now.Add(time.Hour)); s.Left != 0 || s.Seconds < 3600 {
		t.Errorf("an hour later: %+v", s)
	}
}

// Who reads while another writes sees nothing or a whole report, and after the end nothing.
func TestPublisher(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "progress.json")
	if _, _, err := Read(path); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	p := Publish(path, State{Epochs: 3})
	if r, written, err := Read(path); err != nil || r.Epochs != 3 || r.PID != os.Getpid() || time.Since(written) > time.Hour {
		t.Fatalf("the first state: %+v, %v", r, err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 300 {
			p.Set(State{Epoch: i, Step: i, Train: score.Score{Loss: 1, Samples: int64(i)}})
			p.write()
		}
	})
	for range 2 {
		all.Go(func() {
			last := 0
			for last < 299 {
				r, _, err := Read(path)
				if err != nil || r.Epoch < last || r.Step != r.Epoch || r.Train.Samples != int64(r.Epoch) {
					t.Errorf("after %d: %+v, %v", last, r, err)
					return
				}
				last = r.Epoch
			}
		})
	}
	all.Wait()
	p.Close()
	if list, err := os.ReadDir(folder); err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// A folder that cannot be written does not stop a run.
func TestPublisherWithoutAFolder(t *testing.T) {
	p := Publish(filepath.Join(t.TempDir(), "gone", "progress.json"), State{})
	p.Set(State{Epoch: 1})
	p.Close()
}

// Damaged reports are errors.
func TestDamagedReports(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress.json")
	for _, text := range []string{"", "{", `{"epoch": "x"}`, "[]", "\x00", `{"epoch": 1}` + strings.Repeat(" ", most)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Read(path); err == nil {
			t.Errorf("%.20q was read", text)
		}
	}
}

func TestCommandLine(t *testing.T) {
	if got := CommandLine("hdas", "train", "it's", "", "a=b,c"); got != `hdas train 'it'\''s' '' a=b,c` {
		t.Error(got)
	}
}

// The keys that other programs read.
func TestKeysOfAStart(t *testing.T) {
	text, err := json.Marshal(Start{Command: "x", ResumedAt: &Position{2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"command":"x"`, `"resumed_at":{"epoch":2,"step":3}`, `"time":"0001-01-01T00:00:00Z"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s lacks %s", text, part)
		}
	}
}
