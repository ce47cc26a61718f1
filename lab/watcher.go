package lab

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hdas/models/genotype"
	"hdas/run"
)

// Watcher looks at runs again and again. It reads a run's records and checkpoint only when they have changed.
type Watcher struct {
	folders []string
	listed  time.Time // when the runs in the folders were looked for
	runs    []Run
	groups  []string // folders of several seeds and of comparisons
	running bool
}

// again is the time after which a Watcher looks for new runs in its folders.
const again = 2 * time.Second

// NewWatcher returns a Watcher of the runs in those folders and below them.
func NewWatcher(folders ...string) *Watcher { return &Watcher{folders: folders} }

// Look returns the runs as they are now, in the order of the folders and of their paths. The list belongs to the
// Watcher.
func (w *Watcher) Look() ([]Run, error) {
	if now := time.Now(); now.Sub(w.listed) > again {
		if err := w.list(); err != nil {
			return nil, err
		}
		w.listed = now
	}
	for i := range w.runs {
		r := &w.runs[i]
		if n := run.Glance(r.Path); n.Changed.Equal(r.Changed) {
			r.now(n)
		} else {
			*r = look(r.Path)
		}
	}
	w.running = slices.ContainsFunc(w.runs, func(r Run) bool { return r.State == Running })
	for _, group := range w.groups {
		if !run.Glance(group).Running {
			continue
		}
		w.running = true
		for i, r := range w.runs {
			if below := strings.HasPrefix(r.Path, group+string(filepath.Separator)); below && r.State == NotDone {
				w.runs[i].State = Waiting
			}
		}
	}
	return w.runs, nil
}

// Running reports whether a run went on at the last look, or the process of several runs, which runs all of them.
func (w *Watcher) Running() bool { return w.running }

// list looks for the runs in the folders.
func (w *Watcher) list() error {
	known := map[string]Run{}
	for _, r := range w.runs {
		known[r.Path] = r
	}
	w.runs, w.groups = nil, nil
	for _, folder := range w.folders {
		paths, groups, err := runPaths(folder)
		if err != nil {
			return err
		}
		w.groups = append(w.groups, groups...)
		for _, path := range paths {
			r, ok := known[path]
			if !ok {
				r = look(path)
			}
			w.runs = append(w.runs, r)
		}
	}
	return nil
}

// operations returns the operations that a search of that kind has found, the most frequent first, as in
// "stages of 3, 4, 3 cells, 9 skip_connect, 3 sep_conv_3x3".
func operations(g genotype.Genotype, kind string) string {
	count := map[string]int{}
	add := func(d genotype.DAG) {
		for _, n := range d.Nodes {
			for _, e := range n.In {
				count[e.Op]++
			}
		}
	}
	stages := !strings.HasPrefix(kind, "cell ")
	var lengths []string
	for _, s := range g.Stages {
		if stages {
			add(s.DAG)
			lengths = append(lengths, fmt.Sprint(len(s.Nodes)))
		}
	}
	if !stages || strings.HasPrefix(kind, "joint ") {
		for _, c := range g.Cells {
			add(c)
		}
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	var words []string
	for _, name := range names {
		words = append(words, fmt.Sprintf("%d %s", count[name], name))
	}
	text := strings.Join(words, ", ")
	if len(lengths) > 0 {
		text = "stages of " + strings.Join(lengths, ", ") + " cells, " + text
	}
	return text
}
