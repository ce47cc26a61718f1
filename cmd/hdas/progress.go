package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/estimate"
	"hdas/lab"
	"hdas/live"
	"hdas/run"
	"hdas/setting"
)

// watch returns callbacks that print the progress of runs to the standard error.
func (p *program) watch() lab.Watch {
	return lab.Watch{
		Devices:  p.devices,
		Begin:    p.begin,
		Several:  func(s live.Start) { p.start(s); p.several = true },
		Command:  p.command,
		Skipped:  func(e *datasets.DamagedError, n int) { p.say("skipped (%d so far): %v", n, e) },
		Note:     func(text string) { p.say("%s", text) },
		Measured: func(text string) { p.say("measured: %s", text) },
		Changed: func(run, text string) bool {
			if p.acceptData {
				p.say("the data of %s has changed since it was begun: %s", run, text)
			}
			return p.acceptData
		},
		Line: func(job, line string) {
			if !strings.HasPrefix(line, "{") { // an object names its run itself
				line = job + ": " + line
			}
			fmt.Fprintln(p.above(), line)
		},
	}
}

// watchOf is watch for runs with those settings.
func (p *program) watchOf(s *settings) lab.Watch {
	w := p.watch()
	w.Configuration = s.File
	return w
}

// say prints a sentence to the standard error, above the lines of progress if there are any.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.above(), "hdas: "+format+"\n", args...)
}

// above returns the standard error, above the lines of progress if there are any.
func (p *program) above() io.Writer {
	if s := p.screen.Load(); s != nil {
		return plainWriter{s}
	}
	return p.err
}

const acceptFlag = "accept-data"

// acceptsData adds the flag of commands that resume or evaluate runs.
func (p *program) acceptsData(c *cobra.Command) {
	c.Flags().BoolVar(&p.acceptData, acceptFlag, false, "resume or evaluate a run although images were added, removed or changed since it began (not classes)")
}

// logs says how progress is written.
type logs struct {
	every  time.Duration
	format word
}

// The values of --log-format.
const (
	logAuto word = "auto"
	logJSON word = "json"
	logText word = "text"
	logNone word = "none"
)

var logFormats = []word{logAuto, logJSON, logText, logNone}

// firstLine is after which time the first line of progress may come: it has the time that the run will take.
const firstLine = 10 * time.Second

// defaultLogs are the values of the flags.
var defaultLogs = logs{time.Minute, logAuto}

// logFlags adds the flags of commands that run searches or trainings.
func (p *program) logFlags(c *cobra.Command) {
	f := c.Flags()
	f.Var(&pause{&p.logs.every}, "log-every", "without a bar: time between two lines of progress within an epoch, as in 30s or 10m, besides the one after each epoch; the first comes after 10s; 0: none")
	f.Var(&p.logs.format, "log-format", "auto (a bar on a terminal, JSON lines elsewhere), json, text, or none")
}

// word is the value of a flag that takes one of logFormats.
type word string

func (w *word) String() string { return string(*w) }
func (w *word) Type() string   { return "word" }
func (w *word) Set(text string) error {
	if !slices.Contains(logFormats, word(text)) {
		return fmt.Errorf("%s", setting.Unknown(text, logFormats))
	}
	*w = word(text)
	return nil
}

// pause is the value of a flag that takes a time that is not negative.
type pause struct{ *time.Duration }

func (d *pause) Type() string { return "time" }
func (d *pause) Set(text string) error {
	t, err := time.ParseDuration(text)
	if text == "0" || err == nil && t >= 0 {
		*d.Duration = t
		return nil
	}
	return errors.New("must be a time such as 30s, 10m or 1h, or 0")
}

// bars returns the terminal on which bars are shown; ok is false if progress is shown in lines, or not at all.
func (p *program) bars() (f *os.File, ok bool) {
	f, ok = terminal(p.err)
	return f, ok && p.logs.format == logAuto
}

// start says what begins; of the runs of a comparison only their networks.
func (p *program) start(s live.Start) {
	_, bars := p.bars()
	switch {
	case (bars || p.logs.format == logText) && p.several:
		fmt.Fprintln(p.above(), network(s.Network))
	case bars || p.logs.format == logText:
		writeStart(p.above(), s)
	case p.logs.format != logNone:
		p.logger(s.Name).Info().Fields(fields(s)).Msg("start")
	}
}

// begin says what a run is, and returns an observer that shows its progress and a function that ends the display. On a
// terminal it is a line that changes, otherwise lines.
func (p *program) begin(s live.Start) (observe func(run.Progress), end func()) {
	p.unfollow()
	p.start(s)
	if p.logs.format == logNone {
		return nil, func() {}
	}
	var show func(run.Progress)
	if f, ok := p.bars(); ok {
		show, end = p.bar(f, s)
	} else {
		show, end = p.lines(s), func() {}
	}
	expect := p.expects(s.Name)
	return func(at run.Progress) {
		expect(at)
		show(at)
	}, end
}

// lines returns an observer that writes lines of progress.
func (p *program) lines(s live.Start) func(run.Progress) {
	last := time.Now().Add(min(firstLine, p.logs.every) - p.logs.every)
	r := scoresOf(s)
	return func(at run.Progress) {
		now := time.Now()
		if at.Record == nil && (p.logs.every == 0 || now.Sub(last) < p.logs.every) {
			return
		}
		last = now
		r.add(at.Record)
		p.log(s.Name, at, r)
	}
}

// The number of steps, and the seconds, from which the time of a run is predicted.
const (
	fewSteps   = 5
	fewSeconds = 2
)

// expects returns an observer that says once how long the run will take and how much memory it has used: after its first
// steps, or after its first epoch if that ends before.
func (p *program) expects(name string) func(run.Progress) {
	steps, said := 0, false
	return func(at run.Progress) {
		if at.Step > 0 {
			steps++
		}
		epoch := at.Record != nil
		if said || at.Left == 0 || !epoch && (steps < fewSteps || at.Seconds < fewSeconds) {
			return
		}
		said = true
		_, bars := p.bars()
		if !bars && p.logs.format != logText {
			p.logger(name).Info().Float64("seconds_left", math.Round(at.Left)).Bool("evaluations", epoch).
				Float64("images_per_second", math.Round(at.ImagesPerSecond)).Int64("memory", at.Memory).Msg("expected")
			return
		}
		without := ", without evaluations"
		if epoch {
			without = ""
		}
		fmt.Fprintf(p.above(), "time      %s left at %s images/s%s; memory so far %s\n", clock(at.Left), thousands(int64(math.Round(at.ImagesPerSecond))), without, estimate.Size(at.Memory))
	}
}

func (p *program) logger(name string) *zerolog.Logger {
	log := zerolog.New(p.err).With().Timestamp().Str("run", name).Logger()
	return &log
}

// log writes a line of progress.
func (p *program) log(name string, at run.Progress, r scores) {
	if p.logs.format == logText {
		s := r.status(at.State)
		s.name, s.many, s.is, s.ended = name, true, lab.Running, at.Record != nil
		fmt.Fprintf(p.err, "%s  %s\n", time.Now().Format(time.DateTime), line(s, anyWidth))
		return
	}
	line := p.logger(name).Info().Int("epoch", at.Epoch).Int("epochs", at.Epochs)
	speed := map[string]any{"images_per_second": math.Round(at.ImagesPerSecond), "memory": at.Memory, "epoch_seconds_left": math.Round(at.EpochLeft), "seconds_left": math.Round(at.Left)}
	if at.Record != nil {
		line.Fields(metrics(at.Record)).Fields(speed).Msg("epoch done")
		return
	}
	line.Int("step", at.Step).Int("steps", at.Steps).Float64("lr", at.LR)
	if at.Learned() {
		line.Float64("train_loss", at.Train.Loss).Float64("train_top1", at.Train.Top1)
	}
	line.Fields(speed).Msg("progress")
}

// fields returns the fields of a value that encodes to a JSON object; the time and the name, which all lines have, are
// left out.
func fields(v any) map[string]any {
	text, err := json.Marshal(v)
	var m map[string]any
	if err != nil || json.Unmarshal(text, &m) != nil {
		return nil
	}
	delete(m, "time")
	delete(m, "name")
	return m
}

// metrics returns the numbers of an epoch's record that are shown in a line of progress.
func metrics(record any) map[string]any {
	text, err := json.Marshal(record)
	if err != nil {
		return nil
	}
	var r struct {
		LR          float64
		Train       *struct{ Loss, Top1 float64 }
		Valid, Test *struct{ Loss, Top1 float64 }
		Depth       *float64
		Complexity  *float64
	}
	if json.Unmarshal(text, &r) != nil {
		return nil
	}
	out := map[string]any{"lr": r.LR}
	for name, s := range map[string]*struct{ Loss, Top1 float64 }{"train": r.Train, "valid": r.Valid, "test": r.Test} {
		if s != nil {
			out[name+"_loss"], out[name+"_top1"] = s.Loss, s.Top1
		}
	}
	for name, v := range map[string]*float64{"depth": r.Depth, "complexity": r.Complexity} {
		if v != nil {
			out[name] = *v
		}
	}
	return out
}

// scores holds the accuracies of the epochs of a run.
type scores struct {
	last, best *float64
	of         string
}

// scoresOf returns the accuracies of the epochs that a run had finished before it was resumed.
func scoresOf(s live.Start) (r scores) {
	if s.ResumedAt == nil {
		return r
	}
	seen, err := run.Look(s.Folder)
	if err != nil {
		return r // the run itself says what is damaged
	}
	for _, record := range seen.Records[:min(s.ResumedAt.Epoch, len(seen.Records))] {
		r.add(json.RawMessage(record))
	}
	return r
}

// add adds a record, unless it is nil.
func (r *scores) add(record any) {
	if record == nil {
		return
	}
	m := metrics(record)
	for _, key := range []string{"valid", "test"} {
		if v, ok := m[key+"_top1"].(float64); ok {
			r.last, r.of = &v, map[string]string{"valid": "validation", "test": "test"}[key]
			if r.best == nil || v > *r.best {
				r.best = &v
			}
			return
		}
	}
}

func (r scores) status(s live.State) status {
	return status{State: s, last: r.last, best: r.best, of: r.of}
}
