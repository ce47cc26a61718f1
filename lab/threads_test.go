package lab

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/run"
)

// The runs of several seeds, of a comparison and of a selection compute with the threads with which the whole
// was begun, whatever the machine or the number of jobs is when it is resumed.
func TestThreadsOfParts(t *testing.T) {
	d, err := run.Create(filepath.Join(t.TempDir(), "whole"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := configs.DefaultSearch(configs.CellSearch)
	if n := (Seeds{N: 2, Jobs: Jobs{AtOnce: 1 << 20}}).share(c, d.Path()).Threads; n != 1 {
		t.Errorf("a share of %d threads", n)
	}
	if n, own := (Seeds{N: 2, Jobs: Jobs{AtOnce: 1}}).share(c, d.Path()).Threads, defaultThreads(); n != own {
		t.Errorf("%d threads, not %d", n, own)
	}
	if err := d.WriteFile(seedsFile, []byte(`{"seeds":2,"threads":3}`)); err != nil {
		t.Fatal(err)
	}
	for jobs := range 3 {
		if n := (Seeds{N: 2, Jobs: Jobs{AtOnce: jobs}}).share(c, d.Path()).Threads; n != 3 {
			t.Errorf("%d threads with %d jobs, not those of the folder", n, jobs)
		}
	}
	if c.Threads = 5; (Seeds{N: 2, Jobs: Jobs{AtOnce: 2}}).share(c, d.Path()).Threads != 5 {
		t.Error("not the threads of the configuration")
	}

	part, err := run.Create(d.Path("part"))
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	first, last := run.Machine{Device: "cpu", Threads: 2}, run.Machine{Device: "cuda:2", Threads: 3}
	if err := inherit(part, run.Basis{Machine: first, Later: []run.Machine{last}, Classes: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	b, ok, _, err := run.ReadBasis(part.Path())
	if err != nil || !ok || b.Machine != last || b.Later != nil {
		t.Errorf("%+v, %v", b, err)
	}
	var notes []string
	w := Watch{Note: func(text string) { notes = append(notes, text) }}
	own := defaultThreads()
	for _, threads := range []int{0, own + 1} { // the settings win over the record
		o, _, err := w.again(configs.Common{Device: configs.AutoDevice, Precision: "float32", Threads: threads}, run.Machine{Threads: own + 2})
		want := threads
		if threads == 0 {
			want = own + 2
		}
		if got := computed(run.Basis{}, o).Threads; err != nil || got != want {
			t.Errorf("%d threads, not %d, %v", got, want, err)
		}
	}
	if notes = torchtest.Notes(notes); len(notes) != 1 || !strings.Contains(notes[0], "recorded number of threads") {
		t.Errorf("notes %q", notes)
	}
	if _, _, err := w.again(configs.Common{Device: configs.AutoDevice, Precision: "float32"}, run.Machine{}); err != nil || defaultThreads() != own {
		t.Errorf("the default has become %d, not %d: %v", defaultThreads(), own, err)
	}
}

// A training that selects among searches computes where they do, unless it says otherwise.
func TestWhereASelectionComputes(t *testing.T) {
	searches := configs.Common{Device: "cuda:2", Threads: 3}
	for _, c := range []struct{ own, want configs.Common }{
		{configs.Common{Device: configs.AutoDevice}, searches},
		{configs.Common{Device: "cuda:1", Threads: 2}, configs.Common{Device: "cuda:1", Threads: 2}},
		{configs.Common{Seed: 7, Device: configs.AutoDevice, Precision: "float32"}, configs.Common{Seed: 7, Device: "cuda:2", Threads: 3, Precision: "float32"}},
	} {
		if got := where(c.own, searches); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v, not %+v", got, c.want)
		}
	}
}
