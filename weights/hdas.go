package weights

import (
	"fmt"
	"regexp"
	"strconv"
)

// The names of tensors in the program of the H-DAS authors. Each node of its cells and stages has two
// edges, numbered within the node. This program numbers all edges of a DAG, as DARTS does.

// FromHDAS returns a function that translates tensor names of the H-DAS authors' program into this
// program's names. all lists the names in the state dict. The function returns an empty text for names
// without an equivalent. It translates trained networks and supernets. The authors' supernets have
// stages with a window of 3, and order the operations max, avg, skip, none.
func FromHDAS(all []string) func(name string) string { return translate(fromHDAS, all) }

// ToHDAS returns a function that translates this program's tensor names into those of the H-DAS authors.
// all lists the names of the network. The function returns an empty text for names without an
// equivalent.
func ToHDAS(all []string) func(name string) string { return translate(toHDAS, all) }

// IsHDAS reports whether a state dict with these names comes from the H-DAS authors' program.
func IsHDAS(all []string) bool {
	for _, name := range all {
		if hdasOnly.MatchString(name) {
			return true
		}
	}
	return false
}

var hdasOnly = regexp.MustCompile(`(^|\.)(cells\.\d+\.(preproc\d|dag)|bigDAG\d)\.`)

// rule translates names that match a pattern; m holds the pattern's groups. has reports whether the state
// dict has a given name. If the result is empty, the next rule is tried.
type rule struct {
	pattern *regexp.Regexp
	name    func(m []string, has func(string) bool) string
}

func translate(rules []rule, all []string) func(string) string {
	known := make(map[string]bool, len(all))
	for _, name := range all {
		known[name] = true
	}
	has := func(name string) bool { return known[name] }
	return func(name string) string {
		for _, r := range rules {
			if m := r.pattern.FindStringSubmatch(name); m != nil {
				if to := r.name(m, has); to != "" {
					return to
				}
			}
		}
		return ""
	}
}

// simple returns a rule whose result is format with the groups in place of its %s.
func simple(pattern, format string) rule {
	return rule{whole(pattern), func(m []string, _ func(string) bool) string {
		groups := make([]any, len(m))
		for i, g := range m {
			groups[i] = g
		}
		return fmt.Sprintf(format, groups[1:]...)
	}}
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile("^" + pattern + "$") }

var fromHDAS = []rule{
	simple(`(?:net\.)?(stem\d?\..*)`, "%s"),
	simple(`(?:net\.)?linear\.(.*)`, "classifier.%s"),
	simple(`aux_head\.net\.(.*)`, "auxiliary_head.features.%s"),
	simple(`aux_head\.linear\.(.*)`, "auxiliary_head.classifier.%s"),
	simple(`(?:net\.)?cells\.(\d+)\.preproc([01])\.net\.(.*)`, "cells.%s.preprocess%s.op.%s"),
	simple(`(?:net\.)?cells\.(\d+)\.preproc([01])\.conv([12]\..*)`, "cells.%s.preprocess%s.conv_%s"),
	simple(`(?:net\.)?cells\.(\d+)\.preproc([01])\.(bn\..*)`, "cells.%s.preprocess%s.%s"),
	{whole(`(?:net\.)?bigDAG([1-9])\.preproc([01])\.net\.(.*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("stages.%d.preprocess%s.op.%s", number(m[1])-1, m[2], m[3])
	}},
	{whole(`bigDAG([1-9])\.bigDAG\.(\d+)\.([01])\.0\.bn\.(.*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("stages.%d._ops.%d.1.%s", number(m[1])-1, row(m[2], m[3]), m[4])
	}},
	{whole(`net\.bigDAG([1-9])\.DAG\.(\d+)\.(\d)\._ops\.([0-3])\.bn\.(.*)`), func(m []string, _ func(string) bool) string {
		row, cell := number(m[3]), number(m[2])
		if cell > 0 {
			row += 3*cell - 1
		}
		return fmt.Sprintf("stages.%d._ops.%d._ops.%d.1.%s", number(m[1])-1, row, HDASColumn[number(m[4])], m[5])
	}},
	// A separable convolution has two groups of four layers in the authors' program, and eight layers here.
	{whole(`(?:net\.)?cells\.(\d+)\.dag\.(\d+)\.([01])\.0\.net\.([01])\.net\.([0-3])\.(.*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("cells.%s._ops.%d.op.%d.%s", m[1], row(m[2], m[3]), 4*number(m[4])+number(m[5]), m[6])
	}},
	{whole(`(?:net\.)?cells\.(\d+)\.dag\.(\d+)\.([01])\.0\.net\.([0-3])\.([a-z_]+)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("cells.%s._ops.%d.op.%s.%s", m[1], row(m[2], m[3]), m[4], m[5])
	}},
	{whole(`(?:net\.)?cells\.(\d+)\.dag\.(\d+)\.([01])\.0\.conv([12]\..*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("cells.%s._ops.%d.conv_%s", m[1], row(m[2], m[3]), m[4])
	}},
	// The batch norm of a skip connection with stride 2, or of a pooling.
	{whole(`((?:net\.)?cells\.(\d+)\.dag\.(\d+)\.([01])\.0\.)bn\.(.*)`), func(m []string, has func(string) bool) string {
		norm := "1"
		if has(m[1] + "conv1.weight") {
			norm = "bn"
		}
		return fmt.Sprintf("cells.%s._ops.%d.%s.%s", m[2], row(m[3], m[4]), norm, m[5])
	}},
}

var toHDAS = []rule{
	simple(`(stem\d?\..*)`, "%s"),
	simple(`classifier\.(.*)`, "linear.%s"),
	simple(`auxiliary_head\.features\.(.*)`, "aux_head.net.%s"),
	simple(`auxiliary_head\.classifier\.(.*)`, "aux_head.linear.%s"),
	simple(`cells\.(\d+)\.preprocess([01])\.op\.(.*)`, "cells.%s.preproc%s.net.%s"),
	simple(`cells\.(\d+)\.preprocess([01])\.conv_([12]\..*)`, "cells.%s.preproc%s.conv%s"),
	simple(`cells\.(\d+)\.preprocess([01])\.(bn\..*)`, "cells.%s.preproc%s.%s"),
	{whole(`stages\.(\d)\.preprocess([01])\.op\.(.*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("bigDAG%d.preproc%s.net.%s", number(m[1])+1, m[2], m[3])
	}},
	{whole(`stages\.(\d)\._ops\.(\d+)\.1\.([a-z_]+)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("bigDAG%d.bigDAG.%s.0.bn.%s", number(m[1])+1, edge(m[2]), m[3])
	}},
	{whole(`(cells\.(\d+)\._ops\.(\d+)\.op\.)([0-7])\.(.*)`), func(m []string, has func(string) bool) string {
		layer := m[4]
		if has(m[1] + "5.weight") { // a separable convolution
			layer = fmt.Sprintf("%d.net.%d", number(m[4])/4, number(m[4])%4)
		}
		return fmt.Sprintf("cells.%s.dag.%s.0.net.%s.%s", m[2], edge(m[3]), layer, m[5])
	}},
	{whole(`cells\.(\d+)\._ops\.(\d+)\.conv_([12]\..*)`), func(m []string, _ func(string) bool) string {
		return fmt.Sprintf("cells.%s.dag.%s.0.conv%s", m[1], edge(m[2]), m[3])
	}},
	{whole(`(cells\.(\d+)\._ops\.(\d+)\.)(?:1|bn)\.([a-z_]+)`), func(m []string, has func(string) bool) string {
		if has(m[1] + "2.weight") {
			return "" // a factorised convolution, which the authors' program does not have
		}
		return fmt.Sprintf("cells.%s.dag.%s.0.bn.%s", m[2], edge(m[3]), m[4])
	}},
}

// HDASColumn holds, for each column of the H-DAS authors' alphas (max, avg, skip, none), the index of the
// same operation in ops.Stage.
var HDASColumn = []int{2, 3, 1, 0}

// row returns the index of an edge in its DAG, from the authors' indices of the node and of the edge in
// the node.
func row(node, edge string) int { return 2*number(node) + number(edge) }

// edge returns the authors' "node.edge" for the index of an edge in its DAG.
func edge(row string) string { return fmt.Sprintf("%d.%d", number(row)/2, number(row)%2) }

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
