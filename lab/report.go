package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/internal/filekind"
	"hdas/metric/score"
	"hdas/models/genotype"
	"hdas/report"
	"hdas/run"
)

// ReportOf returns what a report shows of a run, except for its row in the table. Whatever is damaged is left out and
// named in its Fault. It changes nothing.
func ReportOf(folder string) report.Run {
	seen, err := run.Look(folder)
	faults := []error{err}
	r := report.Run{Path: folder, Records: seen.Records, Config: seen.Meta.Config}
	if g, err := run.LoadGenotype(folder); err == nil {
		r.Genotype = &g
	} else if g, err := genotype.Decode(strings.NewReader(seen.Meta.Genotype)); err == nil {
		r.Genotype = &g
	}
	var kind struct {
		Search struct{ Kind configs.Kind }
	}
	yaml.Unmarshal([]byte(r.Config), &kind) // a fault is that of the row of the table
	if k := kind.Search.Kind; k != "" && len(r.Records) > 0 {
		if r.DAGs, err = searched(k, folder); err != nil {
			r.NoDAGs = err.Error()
		}
	} else if r.Training = k == "" && r.Config != ""; r.Training {
		r.Evaluate = "hdas eval " + folder
		r.Evaluation, err = readEvaluation(folder)
		faults = append(faults, err)
	}
	if r.Environment, err = environment(folder); err != nil {
		faults = append(faults, err)
	}
	if r.Starts, err = run.Starts(folder); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		r.Fault = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return r
}

// searched returns what the search of a folder decides. The cells of its stages are those of the genotype of its first
// epoch, because the file that search.cells names may be gone.
func searched(k configs.Kind, folder string) ([]report.Search, error) {
	o := configs.Overrides{File: filepath.Join(folder, run.ConfigFile), Alone: true}
	if !k.FindsCells() {
		o.Set = []string{fmt.Sprintf("search.cells=%q", run.EpochFile(folder, 0))}
	}
	c, err := configs.LoadSearch(k, o)
	if err != nil {
		return nil, err
	}
	s, err := c.Search.Space()
	return s.DAGs(), err
}

// environment returns what a run was computed with, and on which data.
func environment(folder string) (list []report.Fact, err error) {
	b, ok, _, err := run.ReadBasis(folder)
	if err != nil || !ok {
		return nil, err
	}
	for i, m := range append([]run.Machine{b.Machine}, b.Later...) {
		after := ""
		if i > 0 {
			after = fmt.Sprintf(", resumed (%d)", i)
		}
		for _, f := range []report.Fact{{Name: "device", Value: m.Device}, {Name: "threads", Value: fmt.Sprint(m.Threads)}, {Name: "libtorch", Value: m.Libtorch},
			{Name: "instruction sets", Value: m.Instructions}, {Name: "CUDA", Value: m.CUDA}} {
			if f.Value != "" && f.Value != "0" {
				list = append(list, report.Fact{Name: f.Name + after, Value: f.Value})
			}
		}
	}
	if b.DataDir != "" {
		list = append(list, report.Fact{Name: "data folder", Value: b.DataDir})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Data)) {
		list = append(list, report.Fact{Name: name + " images", Value: fmt.Sprintf("%d of %d classes", b.Data[name].Images, len(b.Classes))})
	}
	return list, nil
}

// FilesOf returns the names of the files in the folder of a run, without hidden ones.
func FilesOf(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// GroupsIn returns the folders of several seeds and of comparisons, and the tables of experiments, in a folder and those below
// it, with their results.
func GroupsIn(folder string) (list []report.Group) {
	const separator = string(filepath.Separator) // so that a link is followed
	filepath.WalkDir(strings.TrimRight(folder, separator)+separator, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // a folder that cannot be read shows no runs
		}
		switch path = filepath.Clean(path); {
		case has(path, seedsFile):
			list = append(list, seedsOf(path))
		case has(path, planFile):
			list = append(list, comparisonOf(path))
		case filepath.Base(path) == TablesFolder:
			files, _ := filepath.Glob(filepath.Join(path, "*.json"))
			for _, file := range files {
				list = append(list, experimentOf(file))
			}
		}
		return nil
	})
	return list
}

// seedsOf returns the result of a search or a training with several seeds.
func seedsOf(folder string) report.Group {
	g := report.Group{Path: folder}
	var s struct { // a Summary or Trainings
		Seeds []struct {
			Seed     uint64
			Valid    json.RawMessage
			Selected *score.Score
			Test     *score.Score
		}
		Valid, Agreement, Top1, Top5 *Spread
		EMA                          *Spread `json:"ema_top1"`
	}
	if g.Absent = result(filepath.Join(folder, summaryFile), &s); g.Absent != "" {
		return g
	}
	g.About = fmt.Sprintf("The same run with %d seeds.", len(s.Seeds))
	for _, r := range s.Seeds {
		m := report.Member{Kind: "test", Name: fmt.Sprintf("seed-%d", r.Seed)}
		if r.Test != nil {
			m.Value = r.Test.Top1
		} else {
			m.Kind = "validation, supernet"
			json.Unmarshal(r.Valid, &m.Value)
		}
		g.Rows = append(g.Rows, m)
	}
	for _, r := range s.Seeds {
		if r.Selected != nil {
			g.Rows = append(g.Rows, report.Member{Kind: "after a short training", Name: fmt.Sprintf("seed-%d", r.Seed), Value: r.Selected.Top1})
		}
	}
	for _, f := range []struct {
		name string
		of   *Spread
	}{{"validation accuracy of the supernets", s.Valid}, {"edges that two genotypes share", s.Agreement}, {"top-1", s.Top1}, {"top-5", s.Top5}, {"top-1 with averaged weights", s.EMA}} {
		if f.of != nil {
			g.Facts = append(g.Facts, report.Fact{Name: f.name, Value: f.of.Text(100, " %")})
		}
	}
	return g
}

// comparisonOf returns the result of a comparison with random genotypes.
func comparisonOf(folder string) report.Group {
	g := report.Group{Path: folder}
	var c Comparison
	if g.Absent = result(filepath.Join(folder, comparisonFile), &c); g.Absent != "" {
		return g
	}
	g.About = fmt.Sprintf("A found network and random ones out of %s, trained alike.", c.Space)
	for _, n := range c.Networks {
		g.Rows = append(g.Rows, report.Member{Kind: strings.TrimRight(n.Name, "-0123456789"), Name: n.Name, Value: n.Top1})
	}
	g.Facts = []report.Fact{{Name: "found", Value: c.Found.Text(100, " %")}}
	if c.Random != nil && c.RI != nil {
		g.Facts = append(g.Facts, report.Fact{Name: "random", Value: c.Random.Text(100, " %")}, report.Fact{Name: "relative improvement, %", Value: c.RI.Text(1, "")})
	}
	if c.Difference != nil {
		g.Facts = append(g.Facts, report.Fact{Name: "found - random", Value: c.Difference.Points()})
	}
	return g
}

// experimentOf returns the table of an experiment.
func experimentOf(file string) report.Group {
	g := report.Group{Path: file}
	var t Table
	if g.Absent = result(file, &t); g.Absent != "" {
		return g
	}
	g.Courses = t.Courses
	g.About = fmt.Sprintf("%s: %s (%s), scale %s. %s", t.Name, t.About, t.Source, t.Scale, t.Note)
	for _, r := range t.Rows {
		for i, e := range r.Errors {
			g.Rows = append(g.Rows, report.Member{Kind: r.Name, Name: fmt.Sprintf("%s, seed %d", r.Name, i), Value: 1 - e/100})
		}
		var parts []string
		add := func(what string, s *Spread, unit string) {
			switch {
			case s == nil:
			case s.SD == 0:
				parts = append(parts, fmt.Sprintf("%s%.2f%s", what, s.Mean, unit))
			default:
				parts = append(parts, fmt.Sprintf("%s%.2f +- %.2f%s", what, s.Mean, s.SD, unit))
			}
		}
		add("error ", r.Error, " %")
		if r.Paper.Error != nil {
			parts = append(parts, fmt.Sprintf("the paper's error %.2f %%", *r.Paper.Error))
		}
		add("best epoch ", r.Best, " %")
		add("", r.Parameters, " M parameters")
		add("", r.MACs, " M multiply-adds")
		add("dead cells ", r.Dead, "")
		add("longest path ", r.Longest, "")
		add("mean path ", r.MeanPath, "")
		add("relative improvement ", r.RI, " %")
		parts = append(parts, r.Verdicts...)
		for _, text := range []string{r.Missing, r.Remark} {
			if text != "" {
				parts = append(parts, text)
			}
		}
		g.Facts = append(g.Facts, report.Fact{Name: r.Name, Value: strings.Join(parts, "; ")})
	}
	for _, o := range t.Orders {
		g.Facts = append(g.Facts, report.Fact{Name: "order of the errors beside the paper's, Kendall's tau", Value: fmt.Sprintf("%.2f (%s)", o.Tau, o.Text())})
	}
	return g
}

// result reads the result of a group. It returns why there is none, or an empty text.
func result(file string, into any) string {
	text, err := filekind.Read(file, mostEvaluation)
	if errors.Is(err, fs.ErrNotExist) {
		return "Not all of the runs have ended, so there is no result yet."
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Sprintf("%s: %v", file, err)
	}
	return ""
}
