package weights

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func (f *File) notice(format string, args ...any) {
	f.Notices = append(f.Notices, fmt.Sprintf(format, args...))
}

// firstOf are the first of many words.
func firstOf(words []string) string {
	const most = 5
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", ..."
	}
	return strings.Join(words, ", ")
}

// averaged is the number of steps that torch.optim.swa_utils.AveragedModel has beside the weights.
const averaged = "n_averaged"

// profiled ends the names of the counters that the profiler thop leaves in every module.
var profiled = regexp.MustCompile(`(^|\.)total_(ops|params)$`)

// passOver removes what is no part of a network: the number of steps of an average, and counters of
// profilers, of which a notice says how many there were.
func (f *File) passOver() {
	var counters []string
	f.Entries = slices.DeleteFunc(f.Entries, func(e Entry) bool {
		if profiled.MatchString(e.Name) {
			counters = append(counters, e.Name)
		}
		return e.Name == averaged && e.bytes() == e.DType.Size() || profiled.MatchString(e.Name)
	})
	if len(counters) > 0 {
		f.notice("%d counters of a profiler were passed over: %.200s", len(counters), firstOf(counters))
	}
}

// root begins what a name of DARTS' or the H-DAS authors' networks has; what comes before it names
// modules around the network.
var root = regexp.MustCompile(`(?:^|\.)((?:net\.)?(?:stem[01]?|cells|stages|classifier|auxiliary_head|bigDAG[0-9]|linear|aux_head)\.)`)

// unwrap takes the names of modules around the network off each name, where that makes no two names
// one.
func (f *File) unwrap() {
	short := make([]string, len(f.Entries))
	count := map[string]int{}
	for i, e := range f.Entries {
		short[i] = e.Name
		if m := root.FindStringSubmatchIndex(e.Name); m != nil {
			short[i] = e.Name[m[2]:]
		}
		count[short[i]]++
	}
	for i, name := range short {
		if count[name] == 1 {
			f.Entries[i].Name = name
		}
	}
}

// view is which elements of a file a dense array has.
type view struct {
	first *byte
	bytes int64
}

// view is what identifies an array among those that share storages. It is not ok where the elements
// do not lie row by row, or there are none.
func (a Array) view() (v view, ok bool) {
	if n := a.bytes(); a.strides == nil && n > 0 {
		return view{&a.data[0], n}, true
	}
	return view{}, false
}
