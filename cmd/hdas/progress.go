package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"hdas/datasets"
	"hdas/lab"
	"hdas/run"
)

// watch returns callbacks that print the progress of runs to the standard error.
func (p *program) watch() lab.Watch {
	return lab.Watch{
		Begin:    func(name string) (func(run.Progress), func()) { return progress(p.err, name) },
		Skipped:  func(e *datasets.DamagedError, n int) { fmt.Fprintf(p.err, "hdas: skipped (%d so far): %v\n", n, e) },
		Note:     func(text string) { fmt.Fprintln(p.err, "hdas: "+text) },
		Measured: func(text string) { fmt.Fprintln(p.err, "hdas: measured: "+text) },
		Changed: func(run, text string) bool {
			if p.acceptData {
				fmt.Fprintf(p.err, "hdas: the data of %s has changed since it was begun: %s\n", run, text)
			}
			return p.acceptData
		},
		Line: func(_, line string) { fmt.Fprintln(p.err, line) },
	}
}

const acceptFlag = "accept-data"

// acceptsData adds the flag of commands that resume or evaluate runs.
func (p *program) acceptsData(c *cobra.Command) {
	c.Flags().BoolVar(&p.acceptData, acceptFlag, false, "resume or evaluate a run although images were added, removed or changed since it began (not classes)")
}

// progress returns an observer that shows the progress of a run, and a function that ends the display. On
// a terminal it is a progress bar with the remaining time, otherwise one structured line for each epoch.
func progress(w io.Writer, name string) (observe func(run.Progress), end func()) {
	if f, ok := terminal(w); ok {
		return bar(f, plain(name))
	}
	log := zerolog.New(w).With().Timestamp().Str("run", name).Logger()
	return func(p run.Progress) {
		if p.Record == nil {
			return
		}
		line := log.Info().Int("epoch", p.Epoch).Int("epochs", p.Epochs)
		if f := metrics(p.Record); f != nil {
			line = line.Fields(f)
		}
		line.Msg("epoch done")
	}, func() {}
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

func bar(w io.Writer, name string) (func(run.Progress), func()) {
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(48))
	var b *mpb.Bar
	var last time.Time
	var shown string
	return func(at run.Progress) {
			done := int64(at.Epoch*at.Batches + at.Batch)
			if b == nil {
				b = p.AddBar(int64(at.Epochs*at.Batches),
					mpb.PrependDecorators(decor.Name(name, decor.WC{W: 20, C: decor.DindentRight})),
					mpb.AppendDecorators(
						decor.Percentage(decor.WC{W: 5}),
						decor.Any(func(decor.Statistics) string { return shown }, decor.WC{W: 18}),
						decor.EwmaETA(decor.ET_STYLE_GO, 30, decor.WC{W: 8})))
				b.SetRefill(done)
				b.SetCurrent(done)
			} else {
				b.EwmaSetCurrent(done, time.Since(last))
			}
			last = time.Now()
			if at.Record != nil {
				f := metrics(at.Record)
				for _, k := range []string{"valid_top1", "test_top1"} {
					if v, ok := f[k].(float64); ok {
						shown = percent(v)
					}
				}
			}
		}, func() {
			if b != nil && !b.Completed() {
				b.Abort(false)
			}
			p.Wait()
		}
}
