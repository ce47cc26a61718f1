package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/configs"
	"hdas/draw"
	"hdas/lab/jobs"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/recipe"
	"hdas/run"
)

// Reproduce does the runs of an experiment that have not ended, each by a process of its own, and returns its table. command
// returns the program and the arguments that do a run. If runs fail, those that do not need them go on; the table then lacks
// them, and the error names them. If ctx is cancelled, all runs are stopped with a checkpoint, and the error wraps run.ErrStopped.
func Reproduce(ctx context.Context, g recipe.Graph, p Jobs, command func(recipe.Node) []string, w Watch) (Table, error) {
	if err := errors.Join(writeGenotypes(g), drawRows(g)); err != nil {
		return Table{}, err
	}
	var list []jobs.Job
	folders := map[string]string{}
	for i, n := range g.Nodes {
		if nodeEnded(n) {
			continue
		}
		j := jobs.Job{Name: n.Name, Command: command(n), Prepare: func() error {
			w.note(fmt.Sprintf("run %d of %d: %s, in %s", i+1, len(g.Nodes), n.Name, n.Folder))
			return nil
		}}
		for _, id := range n.Needs {
			j.Needs = append(j.Needs, g.Node(id).Name)
		}
		list, folders[n.Name] = append(list, j), n.Folder
	}
	failed, err := p.work(ctx, list, folders, w.Line, func(e *jobs.Error) { w.note(e.Error()) })
	if errors.Is(err, run.ErrStopped) {
		return Table{}, fmt.Errorf("%w with checkpoints; the same command goes on", run.ErrStopped)
	} else if err != nil {
		return Table{}, err
	}
	t, err := TableOf(g)
	if len(failed) > 0 {
		failed = append(failed, fmt.Errorf("%d of %d runs failed, the others have ended; the same command does the failed ones again", len(failed), len(list)))
	}
	return t, errors.Join(append(failed, err)...)
}

// nodeEnded reports whether a run of an experiment has ended and written its result.
func nodeEnded(n recipe.Node) bool {
	if n.BestOf > 0 {
		return has(n.Folder, summaryFile) && has(n.Folder, run.GenotypeFile)
	}
	return finished(n.Folder)
}

// writeGenotypes writes the genotypes that an experiment does not search and that have no name.
func writeGenotypes(g recipe.Graph) error {
	for path, network := range g.Files {
		var text bytes.Buffer
		if err := network.Encode(&text); err != nil {
			return err
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, text.Bytes(), 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// drawingOf returns the path of the drawing of a network.
func drawingOf(g recipe.Graph, row recipe.Networks, of recipe.Network) string {
	if of.Search != "" {
		return filepath.Join(g.Node(of.Search).Folder, run.DrawingFile)
	}
	name := strings.Map(func(c rune) rune {
		if c == filepath.Separator || c == ' ' || c == ',' {
			return '-'
		}
		return c
	}, g.Recipe.Name+" "+row.Name)
	return filepath.Join(g.Root, "figures", name+".svg")
}

// drawRows draws the networks of rows without runs.
func drawRows(g recipe.Graph) error {
	for _, row := range g.Rows {
		if row.Genotype == "" || row.Train != "" {
			continue
		}
		var svg bytes.Buffer
		path := drawingOf(g, row, row.List[0])
		if err := errors.Join(draw.Genotype(&svg, *row.List[0].Genotype), os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, svg.Bytes(), 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// Cost is what the runs of an experiment will take.
type Cost struct {
	Searches  int     `json:"searches"` // those of which the best is selected each count
	Trainings int     `json:"trainings"`
	Seconds   float64 `json:"seconds"` // of one device, for those that have not ended; 0: not measured
	Bytes     int64   `json:"bytes"`   // the largest memory of a run
}

// CostOf counts the runs of an experiment. If measure, it measures a few steps of each kind of run on the device of the
// configurations, with random images where the data set is missing.
func CostOf(ctx context.Context, g recipe.Graph, measure bool, w Watch) (c Cost, each map[string]Cost, err error) {
	each = map[string]Cost{}
	known := map[string]Cost{}
	for _, n := range g.Nodes {
		one := Cost{Trainings: 1}
		if n.Search != nil {
			one = Cost{Searches: max(1, n.BestOf)}
			if n.BestOf > 0 {
				one.Trainings = n.BestOf
			}
		}
		if measure && !nodeEnded(n) {
			key, err := likeness(n)
			if err != nil {
				return c, nil, err
			}
			if _, there := known[key]; !there {
				if w.Measured != nil {
					w.Measured(n.Name)
				}
				if known[key], err = w.costOf(ctx, g, n); err != nil {
					return c, nil, fmt.Errorf("%s: %w", n.Name, err)
				}
			}
			one.Seconds, one.Bytes = known[key].Seconds, known[key].Bytes
		}
		each[n.ID] = one
		c.Searches, c.Trainings, c.Seconds, c.Bytes = c.Searches+one.Searches, c.Trainings+one.Trainings, c.Seconds+one.Seconds, max(c.Bytes, one.Bytes)
	}
	return c, each, nil
}

// likeness returns what a run has in common with those that cost the same: its configuration but for the seed, and the
// search that finds its network.
func likeness(n recipe.Node) (string, error) {
	if n.Search != nil {
		c := *n.Search
		c.Seed = 0
		text, err := c.YAML()
		return fmt.Sprint(n.BestOf, string(text)), err
	}
	c := *n.Train
	c.Seed = 0
	text, err := c.YAML()
	return string(text) + string(n.Form), err
}

// costOf measures a run.
func (w Watch) costOf(ctx context.Context, g recipe.Graph, n recipe.Node) (c Cost, err error) {
	if n.Search != nil {
		s := Seeds{N: max(1, n.BestOf)}
		if n.BestOf > 0 {
			s.Select = n.Train
		}
		e, err := EstimateSeeds(ctx, *n.Search, s, w)
		return Cost{Seconds: e.Seconds.Median, Bytes: e.Bytes.High}, err
	}
	network, err := networkOf(g, n)
	if err != nil {
		return c, err
	}
	e, err := EstimateTrain(ctx, *n.Train, network, w)
	return Cost{Seconds: e.Seconds.Median, Bytes: e.Bytes.High}, err
}

// networkOf returns the network of a training, or a random one of the space of the search that will find it.
func networkOf(g recipe.Graph, n recipe.Node) (genotype.Genotype, error) {
	if len(n.Needs) > 0 {
		search := g.Node(n.Needs[0])
		if found, err := run.LoadGenotype(search.Folder); err == nil {
			return found, nil
		}
		drawn, err := Random(*search.Search, 1)
		if err != nil {
			return genotype.Genotype{}, err
		}
		return drawn[0], nil
	}
	for _, row := range g.Rows {
		if i := slices.IndexFunc(row.List, func(one recipe.Network) bool { return one.Train == n.ID }); i >= 0 {
			return *row.List[i].Genotype, nil
		}
	}
	return genotype.Genotype{}, fmt.Errorf("%s has no network", n.Name)
}

// macroOf returns the settings of the network whose size a row reports: those of its training, or without one those of its
// preset in the paper.
func macroOf(g recipe.Graph, row recipe.Row, of recipe.Network, staged bool) plan.Macro {
	if of.Train != "" {
		m := g.Node(of.Train).Train.Network
		m.Classes = m.Preset.Size(staged).Classes
		return m
	}
	m := configs.DefaultTrain().Network
	m.Preset = cmp.Or(row.Preset, m.Preset)
	s := m.Preset.Size(staged)
	m.Channels, m.Layers, m.Classes = s.Channels, s.Layers, s.Classes
	return m
}
