package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// plotted is a plot of the numbers of records.
type plotted struct {
	title  string
	prefix string // of the numbers that it shows, whose names it shortens
	suffix string
	scale  float64
	log    bool // the axis may be logarithmic
	always bool // also if all values are the same
}

// The plots of a run. A number that none of them shows has a plot of its own.
var plots = []plotted{
	{"Loss", "", ".loss", 1, true, true},
	{"Top-1 accuracy, %", "", ".top1", 100, false, true},
	{"Top-5 accuracy, %", "", ".top5", 100, false, false},
	{"Learning rate", "lr", "", 1, true, true},
	{"Depth loss", "depth", "", 1, false, true},
	{"Complexity loss", "complexity", "", 1, false, true},
	{"Entropy of the operations, nats", "entropy.", "", 1, false, true},
	{"Skip connections", "skips.", "", 1, false, true},
	{"Largest eigenvalue of the architecture's Hessian", "eigenvalue", "", 1, true, true},
}

// unplotted are the numbers that say when, not how much.
var unplotted = []string{"epoch", "best", "best_epoch", "stop_at"}

// short returns the name of a number in a plot, and whether the plot shows it.
func (p plotted) short(name string) (string, bool) {
	if p.suffix == "" && !strings.HasSuffix(p.prefix, ".") {
		return name, name == p.prefix
	}
	if !strings.HasPrefix(name, p.prefix) || !strings.HasSuffix(name, p.suffix) || len(name) < len(p.prefix)+len(p.suffix) {
		return "", false
	}
	return name[len(p.prefix) : len(name)-len(p.suffix)], true
}

// curves returns the plots of the numbers of a run.
func curves(h history) (list []figure, err error) {
	rest := maps.Clone(h.numbers)
	for _, p := range plots {
		found := h.named(p.short)
		for name := range h.numbers {
			if _, ok := p.short(name); ok {
				delete(rest, name)
			}
		}
		if len(found) == 0 || !p.always && !slices.ContainsFunc(found, func(s series) bool { return !s.constant() }) {
			continue
		}
		f, err := lines(p.title, found, p.scale, p.log)
		if err != nil {
			return list, err
		}
		if found[0].name == p.prefix {
			f.Legend = nil // the title says it
		}
		list = append(list, f)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if s := rest[name]; !s.constant() && !strings.HasSuffix(name, ".samples") && !slices.Contains(unplotted, name) {
			f, err := lines(name, []series{s}, 1, true)
			if err != nil {
				return list, err
			}
			f.Legend = nil
			list = append(list, f)
		}
	}
	return list, nil
}

// shared are the plots of all runs of a report: of each number that a run may have.
var shared = []plotted{
	{"Loss while learning", "train.loss", "", 1, true, true},
	{"Loss on validation images", "valid.loss", "", 1, true, true},
	{"Loss on test images", "test.loss", "", 1, true, true},
	{"Top-1 while learning, %", "train.top1", "", 100, false, true},
	{"Top-1 on validation images, %", "valid.top1", "", 100, false, true},
	{"Top-1 on test images, %", "test.top1", "", 100, false, true},
}

// together returns the plots that show all runs.
func together(runs []Run, all []history) (list []figure, err error) {
	names := shorter(runs)
	for _, p := range shared {
		var found []series
		for i, h := range all {
			if s, ok := h.numbers[p.prefix]; ok {
				s.name, s.colour = names[i], i
				found = append(found, s)
			}
		}
		if len(found) == 0 {
			continue
		}
		f, err := lines(p.title, found, p.scale, p.log)
		if err != nil {
			return list, err
		}
		list = append(list, f)
	}
	return list, nil
}

// shorter returns the paths of runs without the folder that all are in.
func shorter(runs []Run) (names []string) {
	common := runs[0].Path
	for _, r := range runs {
		for !strings.HasPrefix(r.Path, common) {
			common = common[:len(common)-1]
		}
	}
	common = common[:strings.LastIndexAny(common, `/\`)+1]
	for _, r := range runs {
		names = append(names, cmp.Or(strings.TrimPrefix(r.Path, common), r.Path))
	}
	return names
}
