package main

import (
	"fmt"
	"io"
	"strings"

	"hdas/estimate"
	"hdas/live"
)

// writeStart says what begins or goes on.
func writeStart(w io.Writer, s live.Start) {
	row := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-9s "+format+"\n", append([]any{what}, args...)...)
	}
	title := plain(s.Name)
	if s.Configuration != "" {
		title += fmt.Sprintf(" (%s)", plain(s.Configuration))
	}
	switch at := s.ResumedAt; {
	case at != nil && at.Step > 0:
		title += fmt.Sprintf(", resumed after step %d of epoch %d", at.Step, at.Epoch+1)
	case at != nil:
		title += fmt.Sprintf(", resumed after epoch %d", at.Epoch)
	}
	fmt.Fprintln(w, title)
	on := []string{s.Device}
	if s.Device == "cpu" {
		on = []string{fmt.Sprintf("cpu, %s", counted(s.Threads, "thread"))}
	}
	on = append(on, s.Precision, "libtorch "+s.Libtorch)
	if s.CUDA != "" {
		on = append(on, s.CUDA)
	} else if s.Instructions != "" {
		on = append(on, s.Instructions)
	}
	if s.Processes > 1 {
		on[0] = fmt.Sprintf("%d processes, this one on %s", s.Processes, on[0])
	}
	row("device", "%s", strings.Join(on, ", "))
	if s.Network.Parameters > 0 {
		row("network", "%s", network(s.Network))
	}
	var held []string
	for _, p := range s.Data.Parts {
		held = append(held, fmt.Sprintf("%s %s", plain(p.Name), thousands(int64(p.Images))))
	}
	text := fmt.Sprintf("%s: images %s; %s", plain(s.Data.Name), strings.Join(held, ", "), counted(s.Data.Classes, "class"))
	if i := s.Data.Image; i[0] > 0 {
		text += fmt.Sprintf(", %dx%dx%d", i[0], i[1], i[2])
	}
	row("data", "%s", text)
	switch epochs := counted(s.Epochs, "epoch"); {
	case s.AtOnce > 1:
		row("length", "%d runs of %s, %d at once", s.Runs, epochs, s.AtOnce)
	case s.Runs > 0:
		row("length", "%d runs of %s, one after the other", s.Runs, epochs)
	default:
		row("length", "%s of %s of batch %d", epochs, counted(s.Steps, "step"), s.Batch)
	}
	if m := s.Memory; m != nil {
		text := fmt.Sprintf("%s expected", estimate.Size(m.Expected))
		if m.Free > 0 {
			text += fmt.Sprintf(", %s free", estimate.Size(m.Free))
		}
		row("memory", "%s", text)
	}
	row("folder", "%s", plain(s.Folder))
	row("resume", "%s", plain(s.Resume))
}

// network describes the network that learns.
func network(n live.Network) string {
	text := fmt.Sprintf("C=%d, %s parameters, %s multiply-adds per image", n.Channels, thousands(n.Parameters), thousands(n.MACs))
	switch {
	case n.Architecture == 0:
		return fmt.Sprintf("%s: %d cells, %s", plain(n.Genotype), n.Cells, text)
	case n.Genotype != "":
		text = fmt.Sprintf(" of %s, %s", plain(n.Genotype), text)
	default:
		text = ", " + text
	}
	return fmt.Sprintf("supernet of %d cells%s; %s architecture parameters", n.Cells, text, thousands(n.Architecture))
}

// counted returns a number with a word, in the plural unless the number is 1.
func counted(n int, what string) string {
	if n != 1 {
		if strings.HasSuffix(what, "ss") || strings.HasSuffix(what, "ch") {
			what += "e"
		}
		what += "s"
	}
	return thousands(int64(n)) + " " + what
}
