package lab

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

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
	Best    *float64  `json:"best,omitempty"` // highest top-1 accuracy of an epoch, in [0,1]; nil before the first
	Last    *float64  `json:"last,omitempty"` // that of the last epoch
	Of      string    `json:"of,omitempty"`   // the images of both: "validation" (of a search, of its supernet) or "test"
	Seconds float64   `json:"seconds"`        // that its epochs have taken
	State   RunState  `json:"state"`
	Changed time.Time `json:"changed"`         // when the run last wrote its configuration, a record or a checkpoint
	Fault   string    `json:"fault,omitempty"` // of a damaged run
}

// RunState says whether a run goes on.
type RunState string

// The states of runs.
const (
	Running    RunState = "running"
	Done       RunState = "done"
	NotDone    RunState = "stopped" // or killed; --resume continues
	DamagedRun RunState = "damaged"
)

// Runs returns the runs in a folder and in the folders below it, in the order of their paths. Folders of several
// seeds and of comparisons are no runs themselves; those in them are.
func Runs(folder string) (list []Run, err error) {
	if _, err := os.ReadDir(folder); err != nil {
		return nil, err
	}
	const separator = string(filepath.Separator) // so that a link is followed
	err = filepath.WalkDir(strings.TrimRight(folder, separator)+separator, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && run.Begun(path) && !has(path, seedsFile) && !has(path, planFile) {
			list = append(list, look(filepath.Clean(path)))
		}
		return nil // a folder that cannot be read shows no runs
	})
	return list, err
}

func has(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}

// look returns the run in a folder. A fault makes it a damaged one.
func look(folder string) Run {
	seen, err := run.Look(folder)
	r := Run{Path: folder, Seconds: seen.Seconds, Changed: seen.Changed, Progress: progressOf(seen.Meta), State: NotDone}
	for _, f := range []func(run.Seen) error{r.describe, r.score} {
		if err == nil {
			err = f(seen)
		}
	}
	switch {
	case err != nil:
		r.State, r.Fault = DamagedRun, err.Error()
	case seen.Running:
		r.State = Running
	case r.Done:
		r.State = Done
	}
	return r
}

// describe fills in what the configuration says.
func (r *Run) describe(seen run.Seen) error {
	var c struct {
		Data   struct{ Name string }
		Search struct{ Kind string }
		Train  struct {
			Init  string
			Probe bool
		}
	}
	if err := yaml.Unmarshal([]byte(seen.Meta.Config), &c); err != nil {
		return err
	}
	r.Data = c.Data.Name
	switch {
	case c.Search.Kind != "":
		r.Kind = c.Search.Kind + " search"
	case c.Train.Probe:
		r.Kind = "linear probe"
	case c.Train.Init != "":
		r.Kind = "fine-tuning"
	default:
		r.Kind = "training"
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
	for _, line := range seen.Records {
		var e struct{ Valid, Test *struct{ Top1 float64 } }
		if err := json.Unmarshal(line, &e); err != nil {
			return err
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
