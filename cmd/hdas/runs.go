package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/lab"
)

func (p *program) runs() *cobra.Command {
	var order string
	var filters []string
	c := &cobra.Command{
		Use: "runs [DIR]", Short: "List the runs below a folder",
		Long: `List the searches and trainings in a folder and below it (default: runs), also
those that go on: epochs done, the best and the last accuracy (top-1) of an
epoch, on the validation part or else on the test images, and the time that the
epochs have taken. State: running, done, stopped (also killed; --resume continues)
or damaged.

Columns for --sort and --filter: path, kind, data, genotype, epochs, best, last,
of, time, state, changed. --sort puts the largest numbers, the newest changes and
the first names first; -COLUMN reverses it. --filter COLUMN=TEXT keeps the runs whose
column contains the text; COLUMN>NUMBER and COLUMN<NUMBER compare epochs,
accuracies in percent, and times in seconds.`,
		Example: "  hdas runs\n  hdas runs runs --sort best --filter kind=training --filter 'best>90'\n  hdas runs runs --filter state=stopped --json",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			folder := "runs"
			if len(a) > 0 {
				folder = a[0]
			}
			sortBy, err := sorter(order)
			if err != nil {
				return usageError{err}
			}
			var keep []func(lab.Run) bool
			for _, f := range filters {
				k, err := filter(f)
				if err != nil {
					return usageError{err}
				}
				keep = append(keep, k)
			}
			list, err := lab.Runs(folder)
			if err != nil {
				return usageError{err}
			}
			list = slices.DeleteFunc(list, func(r lab.Run) bool {
				return slices.ContainsFunc(keep, func(k func(lab.Run) bool) bool { return !k(r) })
			})
			slices.SortStableFunc(list, sortBy)
			if list == nil {
				list = []lab.Run{}
			}
			return p.print(list, func(w io.Writer) { writeRuns(w, folder, list) })
		},
	}
	f := c.Flags()
	f.StringVar(&order, "sort", "path", "column to sort by; -COLUMN reverses the order")
	f.StringArrayVar(&filters, "filter", nil, "COLUMN=TEXT, COLUMN>NUMBER or COLUMN<NUMBER that a run must satisfy (repeatable)")
	return c
}

// runColumn is a column of the table of runs. That of a number has none for some runs.
type runColumn struct {
	name   string
	text   func(lab.Run) string
	number func(lab.Run) (v float64, ok bool) // nil if the column is a text
}

var runColumns = []runColumn{
	{"path", func(r lab.Run) string { return r.Path }, nil},
	{"kind", func(r lab.Run) string { return r.Kind }, nil},
	{"data", func(r lab.Run) string { return r.Data }, nil},
	{"genotype", func(r lab.Run) string { return r.Genotype }, nil},
	{"epochs", func(r lab.Run) string { return fmt.Sprintf("%d/%d", r.Epoch, r.Epochs) }, func(r lab.Run) (float64, bool) { return float64(r.Epoch), true }},
	accuracyColumn("best", func(r lab.Run) *float64 { return r.Best }),
	accuracyColumn("last", func(r lab.Run) *float64 { return r.Last }),
	{"of", func(r lab.Run) string { return r.Of }, nil},
	{"time", func(r lab.Run) string {
		if r.Seconds == 0 { // before the first epoch, or of a run of an earlier version
			return ""
		}
		return duration(r.Seconds)
	}, func(r lab.Run) (float64, bool) { return r.Seconds, r.Seconds > 0 }},
	{"state", func(r lab.Run) string { return string(r.State) }, nil},
	{"changed", func(r lab.Run) string { return r.Changed.Format(time.DateTime) }, func(r lab.Run) (float64, bool) { return float64(r.Changed.UnixMilli()) / 1e3, true }},
}

func accuracyColumn(name string, of func(lab.Run) *float64) runColumn {
	number := func(r lab.Run) (float64, bool) {
		if of(r) == nil {
			return 0, false
		}
		return 100 * *of(r), true
	}
	return runColumn{name, func(r lab.Run) string {
		if of(r) == nil {
			return ""
		}
		return percent(*of(r))
	}, number}
}

// columnOf returns the column of that name.
func columnOf(name string) (runColumn, error) {
	i := slices.Index(columnNames(), name)
	if i < 0 {
		return runColumn{}, fmt.Errorf("%q is no column of runs; they are %s", name, strings.Join(columnNames(), ", "))
	}
	return runColumns[i], nil
}

func columnNames() (names []string) {
	for _, c := range runColumns {
		names = append(names, c.name)
	}
	return names
}

// sorter returns the order by a column. Runs without a number come last.
func sorter(order string) (func(a, b lab.Run) int, error) {
	name, reversed := strings.CutPrefix(order, "-")
	c, err := columnOf(name)
	if err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	sign := 1
	if reversed {
		sign = -1
	}
	if c.number == nil {
		return func(a, b lab.Run) int { return sign * strings.Compare(c.text(a), c.text(b)) }, nil
	}
	return func(a, b lab.Run) int {
		va, oka := c.number(a)
		vb, okb := c.number(b)
		if !oka || !okb {
			return cmp.Compare(btoi(okb), btoi(oka))
		}
		return sign * cmp.Compare(vb, va)
	}, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// filter returns a function that reports whether a run satisfies a condition.
func filter(text string) (func(lab.Run) bool, error) {
	at := strings.IndexAny(text, "=<>")
	if at < 0 {
		return nil, fmt.Errorf("--filter %q: COLUMN=TEXT, COLUMN>NUMBER or COLUMN<NUMBER is needed", text)
	}
	c, err := columnOf(text[:at])
	if err != nil {
		return nil, fmt.Errorf("--filter %q: %w", text, err)
	}
	operand := text[at+1:]
	if text[at] == '=' {
		return func(r lab.Run) bool { return strings.Contains(strings.ToLower(c.text(r)), strings.ToLower(operand)) }, nil
	}
	limit, err := strconv.ParseFloat(operand, 64)
	if err != nil || c.number == nil {
		return nil, fmt.Errorf("--filter %q: %c compares the numbers of epochs, best, last, time and changed", text, text[at])
	}
	sign := 1.0
	if text[at] == '<' {
		sign = -1
	}
	return func(r lab.Run) bool { v, ok := c.number(r); return ok && sign*v > sign*limit }, nil
}

func writeRuns(w io.Writer, folder string, list []lab.Run) {
	if len(list) == 0 {
		fmt.Fprintf(w, "no such run in %s or below\n", plain(folder))
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range runColumns {
		fmt.Fprint(t, c.name, "\t")
	}
	fmt.Fprintln(t)
	for _, r := range list {
		for _, c := range runColumns {
			fmt.Fprint(t, cmp.Or(plain(c.text(r)), "-"), "\t")
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for _, r := range list {
		if r.Fault != "" {
			fmt.Fprintf(w, "\n%s: %s\n", plain(r.Path), plain(r.Fault))
		}
	}
}
