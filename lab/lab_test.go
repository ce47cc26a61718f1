package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/torchtest"
	"hdas/lab"
	"hdas/live"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/run"
	"hdas/torch"
)

// small returns the configuration of a training on the embedded digits that takes less than a second.
func small(t *testing.T, more ...string) configs.Train {
	t.Helper()
	c, err := configs.LoadTrain(configs.Overrides{File: "tiny-train", Alone: true, Set: append([]string{
		"train.epochs=1", "train.batch=500", "network.channels=2", "network.layers=3", "data.size=32", "network.preset=imagenet"}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func folderFor(t *testing.T) *run.Dir {
	t.Helper()
	d, err := run.Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func published(t *testing.T, name string) genotype.Genotype {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// An invalid device is a ConfigError; a missing data set is not.
func TestConfigError(t *testing.T) {
	var fault *lab.ConfigError
	for device, is := range map[string]bool{"tpu": true, "auto": false} {
		c := small(t, "device="+device)
		if !is {
			c.Data.Name, c.Data.Dir = "cifar10", "/nowhere"
		}
		if _, err := lab.Train(t.Context(), c, published(t, "DARTS_V1"), folderFor(t), lab.Watch{}); err == nil || errors.As(err, &fault) != is {
			t.Errorf("%s: error %v", device, err)
		}
	}
	c, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Search.Cells = "NOTHING"
	if _, err := lab.Random(c, 1); !errors.As(err, &fault) {
		t.Errorf("no such cells: error %v", err)
	}
}

// Comparisons and seeds without their required inputs are refused.
func TestRefusesNothing(t *testing.T) {
	var fault *lab.ConfigError
	for _, b := range []lab.Baseline{{Random: -1, Repeats: 1}, {Random: 1, Repeats: 0}} {
		if _, err := lab.NewComparePlan(lab.Found{Genotype: published(t, "DARTS_V1")}, b, 0); !errors.As(err, &fault) {
			t.Errorf("%+v: error %v", b, err)
		}
	}
	command := func(string) []string { return []string{"true"} }
	for _, s := range []lab.Seeds{{N: 2}, {N: 0, Jobs: lab.Jobs{Command: command}}} {
		if _, err := lab.SearchSeeds(t.Context(), configs.Search{}, s, folderFor(t), lab.Watch{}); !errors.As(err, &fault) {
			t.Errorf("%d seeds: error %v", s.N, err)
		}
	}
	if _, err := lab.Evaluate(t.Context(), folderFor(t).Path(), lab.EvalOptions{Device: "auto", Split: "test"}, lab.Watch{}); err == nil {
		t.Error("an empty folder was scored")
	}
}

// A stopped run returns its kind and folder, and its Watch is called at its end. Each process that runs it has a line
// in the file of starts; that of a run that is done already has none.
func TestStoppedAndWatched(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	w := lab.Watch{Command: []string{"a program", "-x"}, Begin: func(s live.Start) (func(run.Progress), func()) {
		told = append(told, s.Name)
		return func(p run.Progress) {
				if p.Step == 1 {
					cancel()
				}
			}, func() {
				told = append(told, "end")
			}
	}}
	d := folderFor(t)
	_, err := lab.Train(ctx, small(t), published(t, "DARTS_V1"), d, w)
	var stopped *lab.Stopped
	if !errors.Is(err, run.ErrStopped) || !errors.As(err, &stopped) || stopped.Kind != "train" || stopped.Folder != d.Path() {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(told, []string{"training of DARTS_V1", "end"}) {
		t.Errorf("told %q", told)
	}
	last, err := lab.Train(t.Context(), small(t), published(t, "DARTS_V1"), d, lab.Watch{})
	if err != nil || last.Epoch != 1 || last.Test.Samples != 1000 {
		t.Errorf("gone on with: %+v, %v", last, err)
	}
	if _, err := lab.Train(t.Context(), small(t), published(t, "DARTS_V1"), d, lab.Watch{}); err != nil {
		t.Fatal(err)
	}
	var starts []live.Start
	text, err := os.ReadFile(d.Path("starts.jsonl"))
	for line := range bytes.Lines(text) {
		var s live.Start
		err = errors.Join(err, json.Unmarshal(line, &s))
		starts = append(starts, s)
	}
	if err != nil || len(starts) != 2 {
		t.Fatalf("starts %s: %v", text, err)
	}
	first, second := starts[0], starts[1]
	if first.ResumedAt != nil || first.Command != "'a program' -x" || second.Command != "" || second.ResumedAt == nil || *second.ResumedAt != (live.Position{Step: 1}) {
		t.Errorf("%s", text)
	}
	c := small(t)
	c.Network.Classes = 10
	network, err := lab.MeasureFor(published(t, "DARTS_V1"), c.Network, layer.Shape{C: 3, H: 32, W: 32})
	if err != nil {
		t.Fatal(err)
	}
	want := live.Start{Time: first.Time, Command: first.Command, Folder: d.Path(), Resume: "hdas train --resume --out " + live.Quote(d.Path()), Name: "training of DARTS_V1", Kind: "training", Seed: c.Seed,
		Device: first.Device, Threads: first.Threads, Precision: "float32", Libtorch: torch.Version(), Instructions: first.Instructions, CUDA: first.CUDA, Host: first.Host,
		Network: live.Network{Genotype: "DARTS_V1", Preset: "imagenet", Channels: c.Network.Channels, Cells: network.Layers, Parameters: network.Parameters, MACs: network.MACs},
		Epochs:  c.Train.Epochs, Steps: first.Steps, Batch: c.Train.Batch,
		Data: live.Data{Name: "digits", Classes: 10, Image: [3]int{3, 32, 32}, Parts: []live.Part{{Name: "train", Images: 4000}, {Name: "test", Images: 1000}}}, Memory: first.Memory}
	if !reflect.DeepEqual(first, want) || first.Threads == 0 || first.Memory == nil || first.Steps != (4000+c.Train.Batch-1)/c.Train.Batch {
		t.Errorf("%+v, not %+v", first, want)
	}
}

// A stopped comparison returns the Stopped error of the comparison, not of the current training. When it
// is resumed, it trains the networks that were drawn at first.
func TestCompare(t *testing.T) {
	f, err := lab.LoadFound("DARTS_V1")
	if err != nil {
		t.Fatal(err)
	}
	k, err := lab.NewComparePlan(f, lab.Baseline{Random: 2, Repeats: 1}, 7)
	if err != nil {
		t.Fatal(err)
	}
	if k.Space.Kind != "cell" || k.Space.Size != "1076746950455072400" {
		t.Errorf("space %+v", k.Space)
	}
	d, c := folderFor(t), small(t)
	if err := k.Begin(c, d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stopped *lab.Stopped
	if _, err := lab.Compare(ctx, c, lab.Jobs{}, d, lab.Watch{}); !errors.As(err, &stopped) || stopped.Kind != "compare" || stopped.Folder != d.Path() {
		t.Errorf("error %v", err)
	}
	r, err := lab.Compare(t.Context(), c, lab.Jobs{}, d, lab.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range r.Networks {
		names = append(names, n.Name)
	}
	if !slices.Equal(names, []string{"found-1", "random-1", "random-2"}) || r.RI.N != 2 || r.Random.N != 2 || r.Found.Mean != r.Networks[0].Top1 {
		t.Errorf("%+v", r)
	}
	for _, folder := range []string{d.Path(), d.Path("random-2")} {
		if got := lab.ResumeCommand(folder); got != "hdas compare --resume --out "+live.Quote(d.Path()) {
			t.Error(got)
		}
	}
	if r.Random.Mean != (r.Networks[1].Top1+r.Networks[2].Top1)/2 {
		t.Errorf("the mean of the random ones is %v", r.Random.Mean)
	}
}

// Searches with several seeds start by the caller's command from the configurations in their folders. If
// one reports that it was stopped, all are stopped.
func TestSeedsByCommand(t *testing.T) {
	c, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	d := folderFor(t)
	var lines []string
	w := lab.Watch{Line: func(job, line string) { lines = append(lines, job+": "+line) }}
	s := lab.Seeds{N: 3, Jobs: lab.Jobs{Command: func(folder string) []string {
		return []string{"/bin/sh", "-c", `grep ^seed "$1/config.yaml" >&2; case $1 in *-1) exit 130; esac`, "sh", folder}
	}}}
	_, err = lab.SearchSeeds(t.Context(), c, s, d, w)
	var stopped *lab.Stopped
	if !errors.As(err, &stopped) || stopped.Kind != "search stage" || !strings.HasPrefix(err.Error(), "seed 1: stopped") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(lines, []string{"seed 0: seed: 0", "seed 1: seed: 1"}) {
		t.Errorf("lines %q", lines)
	}
	if n, err := lab.BegunSeeds(d.Path()); n != 3 || err != nil {
		t.Errorf("%d seeds, %v", n, err)
	}
	if n, err := lab.BegunSeeds(t.TempDir()); n != 0 || err != nil {
		t.Errorf("%d seeds of a folder without, %v", n, err)
	}
}

// If some of several runs fail, the others go on, and the error names those with their folders. A signal
// that kills one is a failure like others.
func TestSeedsThatFail(t *testing.T) {
	c, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	d := folderFor(t)
	var notes, lines []string
	w := lab.Watch{Note: func(text string) { notes = append(notes, text) }, Line: func(job, line string) { lines = append(lines, job+": "+line) }}
	s := lab.Seeds{N: 4, Jobs: lab.Jobs{Places: [][]string{{"there"}}, Command: func(folder string) []string {
		return []string{"/bin/sh", "-c", `echo on $2 >&2; case $1 in *-0) kill -KILL $$;; *-2) echo no luck >&2; exit 1; esac`, "sh", folder}
	}}}
	_, err = lab.SearchSeeds(t.Context(), c, s, d, w)
	for _, words := range []string{"seed 0: signal: killed", "(in " + d.Path("seed-0") + ")\nseed 2: exit status 1: no luck (in " + d.Path("seed-2") + ")\n2 of 4 runs failed", "hdas search stage --resume --out " + d.Path()} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v lacks %q", err, words)
		}
	}
	if !slices.Equal(lines, []string{"seed 0: on there", "seed 1: on there", "seed 2: on there", "seed 2: no luck", "seed 3: on there"}) {
		t.Errorf("lines %q", lines)
	}
	if notes = torchtest.Notes(notes); len(notes) != 2 || notes[1] != "seed 2: exit status 1: no luck" {
		t.Errorf("notes %q", notes)
	}
}

// Each damaged file is reported once, with the number of them, although every epoch reads it.
func TestSkippedFiles(t *testing.T) {
	data := t.TempDir()
	for class := range 2 {
		for i := range 4 {
			file := filepath.Join(data, fmt.Sprint(class), fmt.Sprintf("%d.png", i))
			check(os.MkdirAll(filepath.Dir(file), 0o755))
			check(os.WriteFile(file, picture(t, uint8(60*i)), 0o600))
		}
		check(os.WriteFile(filepath.Join(data, fmt.Sprint(class), "broken.png"), nil, 0o600))
	}
	told := map[string]int{}
	w := lab.Watch{Skipped: func(e *datasets.DamagedError, n int) { told[e.File] += n }}
	c := small(t, "data.name=folder", "data.dir="+data, "data.size=16", "data.test_fraction=0.25", "data.damaged=skip", "train.epochs=3", "train.batch=4", "network.preset=cifar")
	if _, err := lab.Train(t.Context(), c, published(t, "DARTS_V1"), folderFor(t), w); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 {
		t.Errorf("told of %v", told)
	}
	for file, n := range told {
		if !strings.HasSuffix(file, "broken.png") || n > 2 {
			t.Errorf("told %d of %s", n, file)
		}
	}
}

// A search whose cells cannot be computed as programs says so once, before it begins; others say
// nothing.
func TestNoteOfPartialChannels(t *testing.T) {
	for share, want := range map[string]int{"1": 0, "2": 1} {
		c, err := configs.LoadSearch(configs.CellSearch, configs.Overrides{File: "tiny-cell", Alone: true, Set: []string{"search.batch=500", "network.channels=2", "network.layers=3", "search.partial_channels=" + share,
			"search.nodes=1", "search.cell_primitives=[none,skip_connect,avg_pool_3x3]"}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // after its first step
		var notes []string
		_, err = lab.Search(ctx, c, folderFor(t), lab.Watch{Note: func(text string) { notes = append(notes, text) }})
		if !errors.Is(err, run.ErrStopped) {
			t.Errorf("partial_channels %s: %v", share, err)
		}
		if notes = torchtest.Notes(notes); len(notes) != want || want == 1 && !strings.Contains(notes[0], "partial_channels") {
			t.Errorf("partial_channels %s: notes %q", share, notes)
		}
	}
}
