package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/lab"
)

// anExperiment is a recipe with a search, networks drawn from its space, and a published network with other operations.
const anExperiment = `name: own
about: a test
reference: random
searches:
  stages: {kind: stage, config: tiny-stage}
trainings:
  short: {config: tiny-train, set: {train.lr: 0.1}}
rows:
  - {name: random, random: stages, draws: 2, train: short}
  - {name: found, search: stages, train: short, paper: {error: 2.5}}
  - {name: skips, genotype: DARTS_V1+Hs_DAS_CIFAR_stages, operations: skip_connect, train: short}
  - {name: lost, unknown: its cell was not published}
`

// tinyDigits makes the runs as small as they can be.
var tinyDigits = []string{"--set", "search.lengths=[2,2,2]", "--set", "data.per_class=10", "--threads", "1", "--json"}

func recipeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// tables returns the tables that hdas reproduce prints, without times and paths.
func tables(t *testing.T, out string) (list []lab.Table) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err, out)
	}
	for _, table := range list {
		for i := range table.Rows {
			table.Rows[i].SearchDays, table.Rows[i].TrainDays, table.Rows[i].Drawings = nil, nil, nil
		}
	}
	return list
}

// An experiment that is stopped goes on with the same command, computes nothing twice, and ends with the same table.
func TestReproduce(t *testing.T) {
	t.Setenv(asProgram, "yes")
	file, root := recipeFile(t, anExperiment), t.TempDir()
	of := func(out string, more ...string) []string {
		return append(append([]string{"reproduce", file, "--scale", "tiny", "--out", filepath.Join(root, out)}, tinyDigits...), more...)
	}
	want := tables(t, must(t, of("whole", "--jobs", "2")...))
	rows := want[0].Rows
	if len(rows) != 4 || rows[0].Error.N != 2 || rows[1].Error.N != 2 || rows[1].RI == nil || rows[2].RI == nil || rows[3].Missing == "" || rows[1].Paper.Error == nil || rows[1].ToPaper != nil {
		t.Fatalf("%+v", rows)
	}
	for i, what := range []string{"Longest path through a stage, in cells", "Dead cells of a stage"} {
		if c := want[0].Courses[i]; c.Plot != what || c.Name != "found" || len(c.Values) != 1 {
			t.Errorf("%+v", c)
		}
	}
	stopped := filepath.Join(root, "stopped")
	c, errs := process(t, "yes", of("stopped")...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if ended, _ := filepath.Glob(filepath.Join(stopped, "train-*", "genotype.svg")); len(ended) > 0 {
			break
		}
		if time.Since(began) > 5*time.Minute {
			t.Fatalf("no run ends: %s", errs)
		}
	}
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	if c.ProcessState.ExitCode() != exitStopped || !strings.Contains(errs.String(), "the same command goes on") {
		t.Errorf("%v: %s", c.ProcessState, errs)
	}
	ended := map[string]int{}
	runs, _ := filepath.Glob(filepath.Join(stopped, "*-*"))
	for _, folder := range runs {
		if _, err := os.Stat(filepath.Join(folder, "starts.jsonl")); err == nil {
			ended[folder], _ = starts(t, folder)
		}
	}
	if got := tables(t, must(t, of("stopped")...)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
	again := 0
	for folder, n := range ended {
		if is, _ := starts(t, folder); is != n {
			again++
		}
	}
	if again > 1 {
		t.Errorf("%d of %d runs that had begun were begun again", again, len(ended))
	}
	// A second time there is nothing to do, and other experiments share its runs.
	if got := tables(t, must(t, of("whole")...)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
	for _, ending := range []string{"txt", "csv", "tex", "json"} {
		text, err := os.ReadFile(filepath.Join(root, "whole", "tables", "own-tiny."+ending))
		if err != nil || !strings.Contains(string(text), "found") {
			t.Errorf("%s: %v, %s", ending, err, text)
		}
	}
}

// If a run fails, those that need it are not run, the others end, and the error names it.
func TestReproduceFails(t *testing.T) {
	t.Setenv(asProgram, "yes")
	text := strings.Replace(anExperiment, "{kind: stage, config: tiny-stage}", "{kind: stage, config: tiny-stage, set: {data.name: cifar10, data.per_class: 0}}", 1)
	text = strings.Replace(text, "random: stages, draws: 2", "genotype: DARTS_V1", 1)
	root := t.TempDir()
	code, out, errs := call(t, "reproduce", recipeFile(t, text), "--scale", "tiny", "--seeds", "1", "--out", root, "--data-dir", t.TempDir(), "--rows", "random,found,skips",
		"--set", "search.lengths=[2,2,2]", "--threads", "1", "--json")
	if code != exitFailed || !strings.Contains(errs, "search stages, seed 0: ") || !strings.Contains(errs, "cifar10 not found") || !strings.Contains(errs, "training of found, seed 0: it was not run") ||
		!strings.Contains(errs, "1 of 4 runs failed, the others have ended; the same command does the failed ones again") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if rows := tables(t, out)[0].Rows; rows[0].Left != 0 || rows[1].Left != 1 || rows[1].Error != nil || rows[2].Left != 0 {
		t.Errorf("%+v", rows)
	}
}

// What an experiment says wrongly is said before anything is run.
func TestReproduceRefused(t *testing.T) {
	file := recipeFile(t, anExperiment)
	for words, args := range map[string][]string{
		`scale "big" is unknown`:                        {file, "--scale", "big"},
		`row "fund" is unknown`:                         {file, "--rows", "fund"},
		"each run of an experiment has a seed":          {file, "--set", "seed=3"},
		"search.lengths":                                {file, "--scale", "tiny", "--set", "search.lengths=[1]"},
		"experiment \"table9\" is neither built in nor": {"table9"},
		"did you mean table3?":                          {"tabel3"},
		"--measure is for --dry-run":                    {file, "--measure"},
		"--variations is for --hyperparameters":         {file, "--variations", file},
		"variation 1: its name":                         {file, "--hyperparameters", "--variations", recipeFile(t, "[{times: {train.lr: 2}}, {name: b}]")},
		"times: train.name is no number":                {file, "--scale", "tiny", "--hyperparameters", "--variations", recipeFile(t, "[{name: a, times: {train.name: 2}}, {name: b}]")},
	} {
		if code, _, errs := call(t, append([]string{"reproduce", "--out", t.TempDir()}, args...)...); code != exitUsage || !strings.Contains(errs, words) {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}

// Under several settings each network has a rank, and the plan shows each run with its command.
func TestReproduceVariations(t *testing.T) {
	t.Setenv(asProgram, "yes")
	file := recipeFile(t, anExperiment)
	args := append([]string{"reproduce", file, "--scale", "tiny", "--out", t.TempDir(), "--rows", "random,skips", "--seeds", "1", "--hyperparameters",
		"--variations", recipeFile(t, "[{name: own}, {name: faster, times: {train.lr: 2}}]")}, tinyDigits...)
	var plans []experimentPlan
	if err := json.Unmarshal([]byte(must(t, append(args, "--dry-run", "--measure")...)), &plans); err != nil {
		t.Fatal(err)
	}
	runs := plans[0].Runs
	if len(runs) != 6 || plans[0].Cost.Trainings != 6 || plans[0].Cost.Seconds <= 0 || runs[0].Cost.Bytes < 1e6 || !strings.Contains(strings.Join([]string{runs[2].Command, runs[3].Command}, " "), "train.lr=0.2") {
		t.Errorf("%+v", plans)
	}
	found := append([]string{"reproduce", file, "--scale", "tiny", "--out", t.TempDir(), "--rows", "found", "--seeds", "1", "--dry-run", "--measure"}, tinyDigits...)
	if err := json.Unmarshal([]byte(must(t, found...)), &plans); err != nil {
		t.Fatal(err)
	}
	if runs := plans[0].Runs; len(runs) != 2 || runs[0].Cost.Seconds <= 0 || runs[1].Cost.Seconds <= 0 || len(runs[1].Needs) != 1 {
		t.Errorf("%+v", plans)
	}
	v := tables(t, must(t, args...))[0].Variations
	if v == nil || len(v.Rows) != 2 || len(v.Rows[0].Errors) != 2 || v.Rows[0].Ranks[0]+v.Rows[1].Ranks[0] < 2 || v.Rows[0].Best > v.Rows[0].Mean || len(v.Taus) != 2 {
		t.Errorf("%+v", v)
	}
}

func TestReproduceList(t *testing.T) {
	var all []experimentAbout
	if err := json.Unmarshal([]byte(must(t, "reproduce", "list", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]experimentAbout{}
	for _, one := range all {
		byName[one.Name] = one
	}
	one := byName["table1"]
	if len(all) < 10 || one.Rows[2].Unknown == "" || one.Days != 1 || one.Cost.Searches != 18 || byName["table4"].Cost.Trainings != 9 {
		t.Errorf("%d experiments, %+v", len(all), one)
	}
	if out := must(t, "reproduce", "list"); !strings.Contains(out, "the cell of this row was not published") || !strings.Contains(out, "error 2.58 %, 0 dead cells, longest path 5") {
		t.Error(out)
	}
}
