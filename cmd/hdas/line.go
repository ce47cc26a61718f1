package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/mattn/go-runewidth"

	"hdas/estimate"
	"hdas/lab"
	"hdas/live"
)

// status is what a line of progress shows of a run.
type status struct {
	name string
	many bool   // the name tells the line from others
	wide int    // columns of the longest of their names
	more string // a second line
	live.State
	last, best *float64 // accuracy of the last epoch, and the highest of an epoch
	of         string   // the images of both: "validation" or "test"
	found      string   // what a search has found so far
	is         lab.RunState
	note       string // in place of the times, of a run that does not go on or has not begun its first step
	ended      bool   // the line is of the end of an epoch
}

// forms are the texts of a part of a line, from the longest to the shortest, which may be empty.
type forms []string

// The parts of a line, in the order in which they are shown.
const (
	ofName = iota
	ofBar
	ofEpoch
	ofStep
	ofLoss
	ofAccuracy
	ofLast
	ofRate
	ofSpeed
	ofMemory
	ofLeft
	ofFound
	parts
)

// shorter lists the parts in the order in which they are shortened, each time to its next form.
var shorter = []int{ofFound, ofBar, ofMemory, ofLast, ofAccuracy, ofBar, ofSpeed, ofMemory, ofLeft, ofName, ofSpeed, ofStep, ofRate, ofLoss, ofAccuracy, ofStep, ofLast, ofName, ofLeft, ofLast, ofAccuracy, ofLoss, ofName, ofLeft}

// anyWidth is that of a line in a file.
const anyWidth = math.MaxInt

// line returns the progress of a run in at most that many columns. Parts that matter less are shortened or left out
// first. A line of anyWidth has no bar.
func line(s status, width int) string {
	all := s.parts()
	if width == anyWidth {
		all[ofBar] = nil
	}
	var at [parts]int
	text := func() string {
		var words []string
		for i, f := range all {
			if at[i] < len(f) && f[at[i]] != "" {
				words = append(words, f[at[i]])
			}
		}
		return strings.Join(words, "  ")
	}
	out := text()
	for _, i := range shorter {
		if runewidth.StringWidth(out) <= width {
			return out
		}
		if at[i]+1 < len(all[i]) {
			at[i]++
			out = text()
		}
	}
	return runewidth.Truncate(out, width, "")
}

// parts returns the forms of all parts.
func (s status) parts() (all [parts]forms) {
	name := plain(s.name)
	all[ofName] = forms{name, "", ""}
	if s.many {
		pad := func(most int) string { return runewidth.FillRight(ending(name, most), min(s.wide, most)) }
		all[ofName] = forms{pad(60), pad(24), pad(14)}
	}
	running := s.is == lab.Running
	within := s.is == lab.NotDone && s.Step > 0 // it was stopped within an epoch
	epoch := s.Epoch
	if running && !s.ended || within {
		epoch = min(epoch+1, s.Epochs)
	}
	if s.Epochs > 0 {
		all[ofBar] = forms{s.bar(20), s.bar(10), ""}
		all[ofEpoch] = forms{fmt.Sprintf("epoch %d/%d", epoch, s.Epochs)}
	}
	if s.last != nil {
		short := "valid"
		if s.of != "validation" {
			short = s.of
		}
		all[ofLast] = forms{fmt.Sprintf("%s %s (best %s)", s.of, percent(*s.last), percent(*s.best)), fmt.Sprintf("%s %s", short, percent(*s.last)), fmt.Sprintf("%s %.1f %%", short, 100**s.last), ""}
	}
	if s.found != "" {
		all[ofFound] = forms{"found: " + plain(s.found), ""}
	}
	switch {
	case !within:
	case s.Steps > 0:
		all[ofStep] = forms{fmt.Sprintf("step %d/%d", s.Step, s.Steps), ""}
	default:
		all[ofStep] = forms{fmt.Sprintf("step %d", s.Step), ""}
	}
	if !running {
		all[ofLeft] = forms{s.note, string(s.is)}
		return all
	}
	switch {
	case s.Evaluating():
		all[ofStep] = forms{"evaluating", "evaluating", ""}
	case s.Steps > 0 && !s.ended:
		all[ofStep] = forms{fmt.Sprintf("step %d/%d", s.Step, s.Steps), fmt.Sprintf("%d/%d", s.Step, s.Steps), ""}
	}
	of := ""
	if s.TrainEpoch > 0 && !s.ended && !s.Learned() {
		of = fmt.Sprintf(" (epoch %d)", s.TrainEpoch)
	}
	if s.Train.Samples > 0 {
		all[ofLoss] = forms{fmt.Sprintf("loss %.4f%s", s.Train.Loss, of), fmt.Sprintf("loss %.2f%s", s.Train.Loss, of), ""}
		all[ofAccuracy] = forms{"accuracy " + percent(s.Train.Top1), "acc " + percent(s.Train.Top1), fmt.Sprintf("acc %.1f %%", 100*s.Train.Top1), ""}
	}
	if s.LR > 0 {
		all[ofRate] = forms{fmt.Sprintf("lr %.3g", s.LR), ""}
	}
	if s.ImagesPerSecond > 0 {
		n := thousands(int64(math.Round(s.ImagesPerSecond)))
		all[ofSpeed] = forms{n + " images/s", n + " img/s", ""}
	}
	if s.Memory > 0 {
		all[ofMemory] = forms{"memory " + estimate.Size(s.Memory), estimate.Size(s.Memory), ""}
	}
	if s.ended && s.Left > 0 {
		all[ofLeft] = forms{clock(s.Left) + " left"}
	} else if s.Evaluating() && s.EpochLeft < 1 && s.Left > 0 { // how long it takes is not known yet, or was less
		all[ofLeft] = forms{clock(s.Left) + " left", clock(s.Left)}
	} else if s.EpochLeft > 0 || s.Left > 0 {
		all[ofLeft] = forms{fmt.Sprintf("left: epoch %s, run %s", clock(s.EpochLeft), clock(s.Left)), clock(s.Left) + " left", clock(s.Left)}
	} else if s.note != "" {
		all[ofLeft] = forms{s.note}
	}
	return all
}

// bar draws the finished part of the run.
func (s status) bar(width int) string {
	done := float64(s.Epoch)
	if s.Steps > 0 {
		done += float64(s.Step) / float64(s.Steps)
	}
	n := min(width, int(float64(width)*done/float64(s.Epochs)))
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + "]"
}

// clock formats seconds as 5s, 3m20s, 2h05m or 3d04h.
func clock(seconds float64) string {
	n := int(math.Round(seconds))
	switch {
	case n < 60:
		return fmt.Sprintf("%ds", n)
	case n < 3600:
		return fmt.Sprintf("%dm%02ds", n/60, n%60)
	case n < 86400:
		return fmt.Sprintf("%dh%02dm", n/3600, n/60%60)
	}
	return fmt.Sprintf("%dd%02dh", n/86400, n/3600%24)
}

// ending returns a text, of a longer one the last columns.
func ending(text string, columns int) string {
	if runewidth.StringWidth(text) <= columns {
		return text
	}
	return runewidth.TruncateLeft(text, runewidth.StringWidth(text)-columns+1, "…")
}
