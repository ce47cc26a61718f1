package golden

import (
	"fmt"
	"regexp"
	"strconv"
)

// HDAS turns a name of the H-DAS authors' state dicts into this program's. Cells have two edges a
// node; the supernet's stages, whose operations they number max, avg, skip, none, a window of 3.
func HDAS(name string) string {
	for _, r := range hdasNames {
		if m := r.pattern.FindStringSubmatch(name); m != nil && m[0] == name {
			return r.name(m[1:])
		}
	}
	return ""
}

var hdasNames = []struct {
	pattern *regexp.Regexp
	name    func(m []string) string
}{
	{regexp.MustCompile(`(?:net\.)?(stem\..*)`), func(m []string) string { return m[0] }},
	{regexp.MustCompile(`(?:net\.)?linear\.(.*)`), func(m []string) string { return "classifier." + m[0] }},
	{regexp.MustCompile(`aux_head\.net\.(.*)`), func(m []string) string { return "auxiliary_head.features." + m[0] }},
	{regexp.MustCompile(`aux_head\.linear\.(.*)`), func(m []string) string { return "auxiliary_head.classifier." + m[0] }},
	{regexp.MustCompile(`(?:net\.)?bigDAG(\d)\.preproc(\d)\.net\.(.*)`), func(m []string) string {
		return fmt.Sprintf("stages.%d.preprocess%s.op.%s", number(m[0])-1, m[1], m[2])
	}},
	{regexp.MustCompile(`bigDAG(\d)\.bigDAG\.(\d)\.(\d)\.0\.bn\.(.*)`), func(m []string) string {
		return fmt.Sprintf("stages.%d._ops.%d.1.%s", number(m[0])-1, 2*number(m[1])+number(m[2]), m[3])
	}},
	{regexp.MustCompile(`net\.bigDAG(\d)\.DAG\.(\d)\.(\d)\._ops\.(\d)\.bn\.(.*)`), func(m []string) string {
		row := number(m[2])
		if cell := number(m[1]); cell > 0 {
			row += 3*cell - 1
		}
		return fmt.Sprintf("stages.%d._ops.%d._ops.%d.1.%s", number(m[0])-1, row, hdasColumn[number(m[3])], m[4])
	}},
	{regexp.MustCompile(`(?:net\.)?cells\.(\d+)\.preproc(\d)\.net\.(.*)`), func(m []string) string {
		return fmt.Sprintf("cells.%s.preprocess%s.op.%s", m[0], m[1], m[2])
	}},
	{regexp.MustCompile(`(?:net\.)?cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.net\.(\d)\.net\.(\d)\.(.*)`), func(m []string) string {
		return fmt.Sprintf("cells.%s._ops.%d.op.%d.%s", m[0], 2*number(m[1])+number(m[2]), 4*number(m[3])+number(m[4]), m[5])
	}},
	{regexp.MustCompile(`(?:net\.)?cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.bn\.(.*)`), func(m []string) string {
		return fmt.Sprintf("cells.%s._ops.%d.1.%s", m[0], 2*number(m[1])+number(m[2]), m[3])
	}},
}

// hdasColumn is where ops.Stage has the operation that the authors' alphas have in a column.
var hdasColumn = []int{2, 3, 1, 0}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// HDASAlpha turns one of the authors' alphas, a row for every edge of a cell, into columns in the
// order of ops.Stage.
func HDASAlpha(rows []float64) []float64 {
	out := make([]float64, len(rows))
	for i, v := range rows {
		out[i-i%4+hdasColumn[i%4]] = v
	}
	return out
}
