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

// firstOf joins the first five words.
func firstOf(words []string) string {
	const most = 5
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", ..."
	}
	return strings.Join(words, ", ")
}

// averaged is the name of the step count of torch.optim.swa_utils.AveragedModel.
const averaged = "n_averaged"

// profiled matches the counters that the profiler thop adds to every module.
var profiled = regexp.MustCompile(`(^|\.)total_(ops|params)$`)

// passOver removes entries that are not part of a network: the step count of an averaged model, and the
// counters of profilers, which it mentions in a notice.
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

// root matches the beginning of a tensor name in networks of DARTS or the H-DAS authors. A prefix before it is
// the name of a module around the network.
var root = regexp.MustCompile(`(?:^|\.)((?:net\.)?(?:stem[01]?|cells|stages|classifier|auxiliary_head|bigDAG[0-9]|linear|aux_head)\.)`)

// unwrap removes the names of modules around the network from each tensor's name, unless two tensors would get
// the same name.
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

// view identifies the bytes of a contiguous array in the file.
type view struct {
	first *byte
	bytes int64
}

// view returns the array's bytes in the file; arrays with equal views are the same tensor. ok is false if the
// array is not contiguous or empty.
func (a Array) view() (v view, ok bool) {
	if n := a.bytes(); a.strides == nil && n > 0 {
		return view{&a.data[0], n}, true
	}
	return view{}, false
}
