package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hdas/setting"
)

// flagRanges holds the ranges of the numbers that flags take, by name, or by those of the command and the flag. Seeds have none: any is allowed.
var flagRanges = map[string]string{
	"batch":            "1..65536",
	"cell-primitives":  "2..100",
	"cells":            "0..1000",
	"channels":         "0..4096",
	"classes":          "0..1000000",
	"jobs":             "0..1024",
	"layers":           "0..1000",
	"lengths":          "1..1000",
	"max-bytes":        "1..1099511627776",
	"max-images":       "1..65536",
	"max-requests":     "1..65536",
	"min-cells":        "0..1000",
	"n":                "1..100000",
	"nodes":            "1..100",
	"processes":        "1..1024",
	"random":           "0..1000",
	"repeats":          "1..1000",
	"reproduce seeds":  "0..1000",
	"rounds":           "2..10000; the first step is not counted",
	"seeds":            "1..1000",
	"size":             "0..2048",
	"stage-primitives": "2..100",
	"steps":            "0..10000",
	"test-fraction":    "[0,1)",
	"threads":          "0..1024",
	"tolerance":        "[0,1e6]",
	"top":              "1..1000000",
	"window":           "0..1001",
}

// bound makes the flags of a command, and of those below it, refuse numbers out of their range.
func bound(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if allowed, ok := rangeOf(c, f); ok && numeric(f.Value) {
			f.Value = bounded{f.Value, allowed}
		}
	})
	for _, below := range c.Commands() {
		bound(below)
	}
}

// rangeOf returns the range of a flag of a command.
func rangeOf(c *cobra.Command, f *pflag.Flag) (string, bool) {
	if own, ok := flagRanges[strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")+" "+f.Name]; ok {
		return own, true
	}
	allowed, ok := flagRanges[f.Name]
	return allowed, ok
}

// numeric reports whether a flag takes a number, or several, that can be out of range.
func numeric(v pflag.Value) bool {
	switch v.Type() {
	case "int", "int64", "float64", "intSlice", "int64Slice":
		return true
	}
	return false
}

// bounded is the value of a flag with a range.
type bounded struct {
	pflag.Value
	allowed string
}

// outOfRange is the error for a number that is not in the range of its flag.
type outOfRange struct{ number, allowed string }

func (e *outOfRange) Error() string { return e.number + " is not in " + e.allowed }

// Set sets the number, or a list of numbers separated by commas.
func (b bounded) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if x, err := strconv.ParseFloat(strings.TrimSpace(part), 64); err == nil && !setting.InRange(x, b.allowed) {
			return &outOfRange{strings.TrimSpace(part), b.allowed}
		}
	}
	return b.Value.Set(text)
}
