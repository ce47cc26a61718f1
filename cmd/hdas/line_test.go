package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"hdas/lab"
	"hdas/live"
	"hdas/metric/score"
)

// going is a run within its epoch, with all that a line can show.
func going() status {
	last, best := 0.9125, 0.925
	return status{name: "stage search, seed 0", is: lab.Running, last: &last, best: &best, of: "validation", found: "9 skip_connect, 3 none",
		State: live.State{Time: time.Now(), Epoch: 12, Epochs: 50, Step: 120, Steps: 390, LR: 0.0213, Train: score.Score{Loss: 1.23456, Top1: 0.5678, Samples: 99}, TrainEpoch: 13,
			ImagesPerSecond: 12345.6, Memory: 2310e6, EpochLeft: 75, Left: 4995}}
}

// A line is never wider than the terminal, has what matters most at 40 columns, and all with their names when there is
// room. A wider terminal shows no fewer parts.
func TestLinesOfAllWidths(t *testing.T) {
	many, stopped, wide := going(), going(), going()
	many.name, many.many, many.wide = "runs/a-long-folder/of-seeds/seed-17", true, 35
	stopped.is, stopped.note = lab.NotDone, "stopped; resume: hdas search stage --resume --out runs/stages"
	wide.name, wide.many = "日本語の名前がとても長いフォルダー/seed-1\x1b[31m", true
	for name, s := range map[string]status{"one": going(), "many": many, "stopped": stopped, "wide": wide, "empty": {}, "waits": {is: lab.Running, note: "waits"}} {
		parts := 0
		for width := 20; width <= 200; width++ {
			text := line(s, width)
			if n := runewidth.StringWidth(text); n > width || strings.ContainsAny(text, "\n\x1b") {
				t.Fatalf("%s at %d: %d columns: %q", name, width, n, text)
			}
			if n := len(strings.Split(text, "  ")); n < parts && name != "wide" && name != "many" {
				t.Errorf("%s at %d has fewer parts than at %d: %q", name, width, width-1, text)
			} else {
				parts = n
			}
		}
	}
	for width, want := range map[int]string{
		40:  "epoch 13/50  loss 1.23  1h23m",
		80:  "epoch 13/50  120/390  loss 1.2346  acc 56.78 %  valid 91.25 %  1h23m left",
		120: "epoch 13/50  step 120/390  loss 1.2346  acc 56.78 %  valid 91.25 %  lr 0.0213  12,346 img/s  1h23m left",
		200: "stage search, seed 0  [##--------]  epoch 13/50  step 120/390  loss 1.2346  accuracy 56.78 %  validation 91.25 % (best 92.50 %)  lr 0.0213  12,346 images/s  2.31 GB  left: epoch 1m15s, run 1h23m",
	} {
		if got := line(going(), width); got != want {
			t.Errorf("at %d: %q", width, got)
		}
	}
	if got := line(stopped, 40); !strings.Contains(got, "stopped") {
		t.Error(got)
	}
	stopped.note = "stopped after 43s"
	if got := line(stopped, 200); !strings.Contains(got, "epoch 13/50  step 120/390  ") || !strings.Contains(got, "  stopped after 43s") {
		t.Error(got)
	}
	evaluating := going()
	evaluating.Step, evaluating.EpochLeft = evaluating.Steps, 0
	if got := line(evaluating, 200); !strings.Contains(got, "evaluating") || !strings.HasSuffix(got, "  1h23m left") {
		t.Error(got)
	}
}
