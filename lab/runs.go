package lab

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hdas/live"
	"hdas/models/genotype"
	"hdas/run"
)

// Run is a search or a training in a folder, as Runs finds it.
type Run struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"` // "cell search" and so on, "training", "fine-tuning", "linear probe"
	Data     string `json:"data"`
	Genotype string `json:"genotype"` // its name
	Progress
	// Found says in a few words what a search has found after its last epoch: the number of cells and the operations.
	Found   string    `json:"found,omitempty"`
	Best    *float64  `json:"best,omitempty"` // highest top-1 accuracy of an epoch, in [0,1]; nil before the first
	Last    *float64  `json:"last,omitempty"` // that of the last epoch
	Of      string    `json:"of,omitempty"`   // the images of both: "validation" (of a search, of its supernet) or "test"
	Seconds float64   `json:"seconds"`        // that its epochs have taken
	State   RunState  `json:"state"`
	Changed time.Time `json:"changed"`         // when the run last wrote its configuration, a record or a checkpoint
	Fault   string    `json:"fault,omitempty"` // of a damaged run
	// Live is the state within the epoch, of a run that goes on and has begun its first step.
	Live *live.Report `json:"live,omitempty"`
}

// RunState says whether a run goes on.
type RunState string

// The states of runs.
const (
	Running    RunState = "running"
	Done       RunState = "done"
	NotDone    RunState = "stopped" // or killed; --resume continues
	DamagedRun RunState = "damaged"
	Waiting    RunState = "waiting" // the process of several runs will run it; a Watcher alone tells
)

// Runs returns the runs in a folder and in the folders below it, in the order of their paths. Folders of several
// seeds and of comparisons are no runs themselves; those in them are.
func Runs(folder string) (list []Run, err error) {
	paths, _, err := runPaths(folder)
	for _, path := range paths {
		list = append(list, look(path))
	}
	return list, err
}

// runPaths returns the folders of the runs in a folder and below it, and those of several seeds and of comparisons.
func runPaths(folder string) (list, groups []string, err error) {
	if _, err := os.ReadDir(folder); err != nil {
		return nil, nil, err
	}
	const separator = string(filepath.Separator) // so that a link is followed
	err = filepath.WalkDir(strings.TrimRight(folder, separator)+separator, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir() || !run.Begun(path): // a folder that cannot be read shows no runs
		case has(path, seedsFile) || has(path, planFile):
			groups = append(groups, filepath.Clean(path))
		default:
			list = append(list, filepath.Clean(path))
		}
		return nil
	})
	return list, groups, err
}

func has(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}

// look returns the run in a folder. A fault makes it a damaged one.
func look(folder string) Run {
	seen, err := run.Look(folder)
	r := Run{Path: folder, Seconds: seen.Seconds, Changed: seen.Changed, Progress: progressOf(seen.Meta)}
	for _, f := range []func(run.Seen) error{r.describe, r.score} {
		if err == nil {
			err = f(seen)
		}
	}
	if err != nil {
		r.Fault = err.Error()
	}
	r.now(seen.Now)
	return r
}

// now fills in what changes while a run goes on.
func (r *Run) now(n run.Now) {
	r.Live = n.Live
	switch {
	case r.Fault != "":
		r.State = DamagedRun
	case n.Running:
		r.State = Running
	case r.Done:
		r.State = Done
	default:
		r.State = NotDone
	}
}

// describe fills in what the configuration says.
func (r *Run) describe(seen run.Seen) (err error) {
	var c struct{ Data struct{ Name string } }
	if err := yaml.Unmarshal([]byte(seen.Meta.Config), &c); err != nil {
		return err
	}
	r.Data = c.Data.Name
	if r.Kind, _, err = kindOf([]byte(seen.Meta.Config)); err != nil {
		return err
	}
	g, err := run.LoadGenotype(r.Path)
	if err != nil && seen.Meta.Genotype != "" { // a search that has not ended
		g, err = genotype.Decode(strings.NewReader(seen.Meta.Genotype))
		if err != nil {
			return err
		}
	}
	r.Genotype = g.Name
	return nil
}

// score fills in the accuracies of the epochs.
func (r *Run) score(seen run.Seen) error {
	for i, line := range seen.Records {
		var e struct {
			Valid, Test *struct{ Top1 float64 }
			Genotype    string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Genotype != "" && i == len(seen.Records)-1 {
			g, err := genotype.Decode(strings.NewReader(e.Genotype))
			if err != nil {
				return err
			}
			r.Found = operations(g, r.Kind)
		}
		of, what := e.Test, "test"
		if e.Valid != nil {
			of, what = e.Valid, "validation"
		}
		if of == nil {
			continue
		}
		r.Of, r.Last = what, &of.Top1
		if r.Best == nil || of.Top1 > *r.Best {
			r.Best = r.Last
		}
	}
	return nil
}
