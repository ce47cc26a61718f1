package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hdas/lab"
	"hdas/live"
	"hdas/run"
)

// Without a terminal a run writes what it is, a line within an epoch every --log-every, and one after each epoch: JSON
// objects, or text, or nothing.
func TestLines(t *testing.T) {
	images := ownImages(t, briefImages)
	out := func() string { return filepath.Join(t.TempDir(), "run") }
	code, _, errs := call(t, append(brief(images, out()), "--log-every", "1ns")...)
	if code != 0 {
		t.Fatal(errs)
	}
	var messages []string
	for text := range strings.Lines(errs) {
		if !strings.HasPrefix(text, "{") { // notes, and the next commands
			continue
		}
		var l struct {
			Message, Run, Folder, Resume, Device string
			Epoch, Epochs, Step, Steps           int
			LR                                   float64  `json:"lr"`
			Loss                                 float64  `json:"train_loss"`
			Speed                                float64  `json:"images_per_second"`
			Left                                 *float64 `json:"seconds_left"`
			Memory                               any
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Run != "stage search, seed 0" {
			t.Fatalf("%s: %v", text, err)
		}
		if l.Message == "start" && (l.Folder == "" || l.Resume == "" || l.Device == "" || l.Steps != 4) {
			t.Errorf("%s", text)
		}
		if l.Message == "progress" && (l.Epochs != 2 || l.Steps != 4 || l.Left == nil || l.Step > 1 && l.LR == 0) || l.Message == "epoch done" && (l.Loss == 0 || l.LR == 0) {
			t.Errorf("%s", text)
		}
		if l.Message == "expected" && (l.Left == nil || *l.Left < 0 || l.Speed <= 0 || l.Memory == nil) {
			t.Errorf("%s", text)
		}
		messages = append(messages, l.Message)
	}
	epoch := strings.Repeat(" progress", 5)
	if got := strings.Join(messages, " "); got != "start"+epoch+" expected epoch done"+epoch+" epoch done" {
		t.Error(got)
	}

	code, _, errs = call(t, append(brief(images, out()), "--log-format", "text", "--log-every", "0")...)
	if code != 0 || !strings.Contains(errs, "\nresume    hdas search stage --resume --out /") || strings.Count(errs, "  stage search, seed 0  epoch ") != 2 || !strings.Contains(errs, "  epoch 2/2  loss ") {
		t.Error(errs)
	}
	if code, _, errs = call(t, append(brief(images, out()), "--log-format", "none")...); code != 0 || strings.Contains(errs, "epoch") {
		t.Error(errs)
	}
	for flag, word := range map[string]string{"--log-format=xml": "known are auto, json, text, none", "--log-every=-1s": "30s", "--log-every=5": "30s"} {
		if code, _, errs := call(t, "train", "DARTS_V2", flag); code != exitUsage || !strings.Contains(errs, word) {
			t.Errorf("%s: exit %d, %s", flag, code, errs)
		}
	}
}

// A run says once how long it will take: after five steps and two seconds, or after its first epoch, of which it then has
// measured the evaluation.
func TestExpects(t *testing.T) {
	var out bytes.Buffer
	p := &program{err: &out, logs: logs{time.Minute, logText}}
	at := func(step int, seconds, left float64, record any) run.Progress {
		return run.Progress{State: live.State{Step: step, Steps: 9, Epochs: 3, Seconds: seconds, Left: left, ImagesPerSecond: 1234.4, Memory: 2310e6}, Record: record}
	}
	for want, list := range map[string][]run.Progress{
		"":                                      {at(0, 0, 0, nil), at(1, 5, 0, nil), at(2, 6, 30, nil), at(3, 7, 30, nil), at(4, 8, 30, nil)},
		"1m40s left at 1,234 images/s, without": {at(0, 0, 0, nil), at(1, 0.1, 0, nil), at(2, 0.2, 101, nil), at(3, 0.3, 101, nil), at(4, 0.4, 101, nil), at(5, 1.9, 101, nil), at(6, 2.1, 100, nil), at(7, 3, 99, nil), at(0, 9, 90, 1)},
		"50s left at 1,234 images/s; memory so far 2.31 GB": {at(0, 0, 0, nil), at(1, 0.1, 40, nil), at(0, 0.4, 50, 1), at(1, 3, 49, nil)},
		"no line for a run of one epoch":                    {at(0, 0, 0, nil), at(1, 0.1, 40, nil), at(0, 0.4, 0, 1)},
	} {
		out.Reset()
		expect := p.expects("x")
		for _, a := range list {
			expect(a)
		}
		if said := out.String(); strings.HasPrefix(want, "no ") || want == "" {
			if said != "" {
				t.Errorf("%q: %s", want, said)
			}
		} else if strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
			t.Errorf("%q: %s", want, said)
		}
	}
}

// Runs that have begun, go on, are done, stopped or damaged, and one on another machine whose lock is not seen here.
func TestWatch(t *testing.T) {
	folder := someRuns(t)
	held, err := run.Open(filepath.Join(folder, "b/search"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	elsewhere := filepath.Join(folder, "a/tuning/progress.json")
	text, err := json.Marshal(live.Report{Host: "elsewhere", State: live.State{Time: time.Now(), Epoch: 3, Epochs: 5, Step: 7, Steps: 9, LR: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, elsewhere, text)
	put(t, filepath.Join(folder, "a/probe/progress.json"), []byte("{damaged"))
	got := must(t, "watch", folder, "--once")
	got = strings.ReplaceAll(got, folder+"/", "")
	for _, want := range []string{
		"a/probe  epoch 0/5  stopped; resume: hdas train --resume --out a/probe\n",
		"a/training  epoch 0/5  test 90.00 % (best 90.00 %)  stopped; resume: hdas train",
		"a/tuning  epoch 4/5  step 7/9  lr 0.5\n",
		"b/search  epoch 1/9  validation 25.00 % (best 50.00 %)  begins\n",
		"c/damaged  damaged: c/damaged/epochs.jsonl, line 1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(elsewhere, old, old); err != nil {
		t.Fatal(err)
	}
	if got := must(t, "watch", filepath.Join(folder, "a/tuning")); !strings.Contains(got, "stopped") {
		t.Error(got)
	}
	var r lab.Run
	if err := json.Unmarshal([]byte(must(t, "watch", filepath.Join(folder, "a/training"), "--json")), &r); err != nil || r.State != lab.NotDone || *r.Best != 0.9 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, args := range [][]string{{t.TempDir()}, {"/nowhere"}, {}, {folder, "--every", "0"}} {
		if code, _, errs := call(t, append([]string{"watch"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}

// A resumed run knows the accuracies of the epochs before, and no later ones.
func TestScoresOfResumedRuns(t *testing.T) {
	folder := filepath.Join(someRuns(t), "b/search")
	for epochs, want := range map[int]string{0: "", 1: "validation 50.00 % (best 50.00 %)", 2: "validation 25.00 % (best 50.00 %)"} {
		s := scoresOf(live.Start{Folder: folder, ResumedAt: &live.Position{Epoch: epochs}}).status(live.State{Epochs: 9})
		if got := line(s, anyWidth); !strings.Contains(got, want) || want == "" && strings.Contains(got, "best") {
			t.Errorf("%d: %s", epochs, got)
		}
	}
}

// Watching goes on until the run has ended, with a line for each epoch.
func TestWatchToTheEnd(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	put(t, filepath.Join(folder, run.ConfigFile), []byte("train: {epochs: 3}\ndata: {name: digits}\n"))
	d, err := run.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	w := lab.NewWatcher(folder)
	looks := func(running bool, best float64) {
		t.Helper()
		list, err := w.Look()
		if err != nil || len(list) != 1 || w.Running() != running || best > 0 && (list[0].Best == nil || *list[0].Best != best) {
			t.Fatalf("%+v, running %t, %v", list, w.Running(), err)
		}
	}
	looks(true, 0)
	for e, top1 := range []float64{0.5, 0.75} {
		if err := d.Append(map[string]any{"epoch": e + 1, "test": map[string]float64{"top1": top1}}); err != nil {
			t.Fatal(err)
		}
		looks(true, top1)
		looks(true, top1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e strings.Builder
	if code := execute(ctx, []string{"watch", folder}, &o, &e); code != 0 || strings.Count(o.String(), "\n") != 1 {
		t.Errorf("stopped by a signal: exit %d, %s%s", code, &o, &e)
	}
	done := make(chan string)
	go func() {
		var o, e strings.Builder
		done <- fmt.Sprint(execute(t.Context(), []string{"watch", folder, "--every", "10ms"}, &o, &e), o.String(), e.String())
	}()
	time.Sleep(50 * time.Millisecond)
	d.Close()
	if got := <-done; !strings.HasPrefix(got, "0") || !strings.Contains(got, "stopped") {
		t.Error(got)
	}
	looks(false, 0.75)
}
