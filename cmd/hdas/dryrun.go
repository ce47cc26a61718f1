package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/estimate"
)

// dryFlag adds the flag of commands that can predict their time and memory.
func dryFlag(c *cobra.Command, dry *bool) {
	c.Flags().BoolVar(dry, "dry-run", false, "predict time and memory from measured steps, and the largest batch that fits; needs no images and writes no file")
}

// dryRun prints the prediction for a new run. load reads the inputs of the command.
func (p *program) dryRun(r *place, load func() (datasets.Spec, error), predict func() (estimate.Estimate, error)) error {
	if r.resume {
		return usageError{errors.New("--dry-run is for a new run; do not use it with --resume")}
	}
	if _, err := load(); err != nil {
		return usageError{err}
	}
	e, err := predict()
	if err != nil {
		return err
	}
	return p.print(e, func(w io.Writer) { writeEstimate(w, e) })
}

func writeEstimate(w io.Writer, e estimate.Estimate) {
	on := e.Device
	if on == "cpu" {
		on = fmt.Sprintf("cpu, threads: %d", e.Threads)
	}
	for i, p := range e.Parts {
		row := func(what, format string, args ...any) {
			fmt.Fprintf(w, "%-24s "+format+"\n", append([]any{what}, args...)...)
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		name := p.Name
		if p.Runs > 1 {
			name += fmt.Sprintf(", %d times", p.Runs)
		}
		if p.AtOnce > 1 {
			name += fmt.Sprintf(", %d at once", p.AtOnce)
		}
		fmt.Fprintf(w, "%s (%s)\n", name, on)
		row("weights", "%s", thousands(p.Weights))
		if p.Arch > 0 {
			row("architecture parameters", "%s", thousands(p.Arch))
		}
		if p.Timed.Steps > 0 {
			row("a step", "%s: %d steps of batch %d were measured", interval(p.Step), p.Timed.Steps, p.Timed.Batch)
			row("evaluation", "%s, after each epoch", interval(p.Evaluation))
			row("a run", "%s: %d epochs of %d steps of batch %d", interval(p.Run), p.Epochs, p.Steps, p.Batch)
		}
		row("memory of a run", "%s", memory(p))
		if e.Free > 0 {
			row("largest batch that fits", "%s", batchThatFits(p))
		}
	}
	fmt.Fprintln(w)
	if e.Seconds.Median > 0 {
		fmt.Fprintf(w, "time    %s\n", interval(e.Seconds))
	}
	fmt.Fprintf(w, "memory  %s\n", verdict(e))
	for _, a := range e.Assumed {
		fmt.Fprintf(w, "assumed: %s\n", a)
	}
}

// interval formats a time with its spread.
func interval(s estimate.Seconds) string {
	return fmt.Sprintf("%s (%s to %s)", duration(s.Median), duration(s.Low), duration(s.High))
}

func memory(p estimate.Part) string {
	points := p.Memory.Points
	if len(points) == 0 {
		return "more than is free, even with the smallest batch"
	}
	var of []string
	for _, m := range points {
		of = append(of, fmt.Sprint(m.Batch))
	}
	how := "extrapolated from batches"
	if points[len(points)-1].Batch == p.Batch {
		how = "measured with batches"
	}
	return fmt.Sprintf("%s, at most %s: %s %s", estimate.Size(p.Memory.Bytes.Predicted), estimate.Size(p.Memory.Bytes.High), how, strings.Join(of, ", "))
}

func batchThatFits(p estimate.Part) string {
	if p.LargestBatch == 0 {
		return "none"
	}
	return fmt.Sprintf("%s=%d", p.Key, p.LargestBatch)
}

func verdict(e estimate.Estimate) string {
	need := fmt.Sprintf("%s, at most %s", estimate.Size(e.Bytes.Predicted), estimate.Size(e.Bytes.High))
	switch {
	case e.Free <= 0:
		return need + "; how much is free is not known"
	case e.Fits:
		return fmt.Sprintf("%s of %s that are free: it fits", need, estimate.Size(e.Free))
	}
	return fmt.Sprintf("%s of %s that are free: it does not fit\n\n%s", need, estimate.Size(e.Free), e.Warning())
}
