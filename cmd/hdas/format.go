package main

import (
	"fmt"
	"strings"
	"time"

	"hdas/lab"
)

// percent formats a share in [0,1] as percent.
func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// percents formats the spread of shares as percent.
func percents(s lab.Spread) string { return s.Text(100, " %") }

// duration formats seconds in a readable unit.
func duration(seconds float64) string {
	if seconds < 60 {
		return fmt.Sprintf("%.1f s", seconds)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// thousands formats a number with commas between groups of three digits.
func thousands(n int64) string { return lab.Thousands(fmt.Sprint(n)) }

// list formats numbers as [3,4,3].
func list(ns []int) string { return strings.ReplaceAll(fmt.Sprint(ns), " ", ",") }
