package run_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hdas/run"
)

func basis() run.Basis {
	return run.Basis{
		Config: "seed: 1\nthreads: 0\ntrain:\n    epochs: 2\n", Classes: []string{"a", "b"}, Machine: run.Machine{Device: "cpu", Threads: 2, Libtorch: "2.1.2"}, DataDir: "photos",
		Data: map[string]run.Part{"train": {Images: 3, Counts: []int{2, 1}, Digest: "sha256:1", Files: map[string]int64{"a/1.png": 10, "a/2.png": 10, "b/1.png": 10}}},
		Cuts: map[string]map[string]uint64{"test": {"a": 1<<64 - 1, "b": 7}, "halves": {}},
	}
}

// What of a run must match, what may change where that is accepted, and what is only recorded.
func TestRulesOfABasis(t *testing.T) {
	for what, c := range map[string]struct {
		change func(b *run.Basis)
		rule   run.Rule
		text   string
	}{
		"a class":         {func(b *run.Basis) { b.Classes = []string{"a", "c"} }, run.MustMatch, `other classes: 2, begun with 2, added: "c", removed: "b"`},
		"order":           {func(b *run.Basis) { b.Classes = []string{"b", "a"} }, run.MustMatch, "other classes"},
		"a setting":       {func(b *run.Basis) { b.Config = strings.Replace(b.Config, "epochs: 2", "epochs: 3", 1) }, run.MustMatch, "the setting train.epochs: 3, begun with 2"},
		"a free setting":  {func(b *run.Basis) { b.Config = strings.Replace(b.Config, "threads: 0", "threads: 3", 1) }, run.Recorded, "the setting threads: 3, begun with 0"},
		"more of a class": {func(b *run.Basis) { b.Data["train"] = run.Part{Images: 4, Counts: []int{3, 1}, Digest: "sha256:2"} }, run.MayChange, "train images: 4, begun with 3: 1 more of a"},
		"fewer":           {func(b *run.Basis) { b.Data["train"] = run.Part{Images: 2, Counts: []int{1, 1}, Digest: "sha256:2"} }, run.MayChange, "2, begun with 3: 1 fewer of a"},
		"others":          {func(b *run.Basis) { b.Data["train"] = run.Part{Images: 3, Counts: []int{2, 1}, Digest: "sha256:2"} }, run.MayChange, "the same number, 3, but others"},
		"files": {func(b *run.Basis) {
			b.Data["train"] = run.Part{Images: 3, Digest: "sha256:2", Files: map[string]int64{"a/1.png": 11, "b/1.png": 10, "b/2.png": 10}}
		}, run.MayChange, `3, begun with 3: 1 added ("b/2.png"), 1 removed ("a/2.png"), 1 changed ("a/1.png")`},
		"the device":  {func(b *run.Basis) { b.Device = "cuda:0" }, run.Noted, "the device cuda:0 instead of cpu"},
		"the threads": {func(b *run.Basis) { b.Threads = 8 }, run.Noted, "8 threads instead of 2"},
		"libtorch":    {func(b *run.Basis) { b.Libtorch = "2.2" }, run.Noted, "libtorch 2.2 instead of 2.1.2"},
		"the folder":  {func(b *run.Basis) { b.DataDir = "pictures" }, run.Recorded, "the data folder: pictures"},
	} {
		now := basis()
		c.change(&now)
		list := basis().Differences(now)
		if len(list) != 1 || list[0].Rule != c.rule || !strings.Contains(list[0].Text, c.text) || run.Texts(list, c.rule) != list[0].Text || run.Texts(list, c.rule+1) != "" {
			t.Errorf("%s: %+v", what, list)
		}
	}
	now := basis()
	now.Config += "new: 1\n" // of a later program
	now.Data["test"] = run.Part{Digest: "sha256:3"}
	if list := basis().Differences(now); len(list) > 0 {
		t.Errorf("what one of them alone knows: %+v", list)
	}
	now.Cuts = map[string]map[string]uint64{"selection": {"a": 3}}
	now.Device = "cuda:0"
	b := basis().Update(now)
	if len(b.Data) != 2 || len(b.Cuts) != 3 || b.Device != "cpu" || b.Last() != now.Machine || b.Config != now.Config {
		t.Errorf("updated: %+v", b)
	}
	if again := b.Update(now); len(again.Later) != 1 || len(b.Differences(now)) != 0 {
		t.Errorf("updated twice: %+v", again)
	}
	now.Instructions = "avx2" // not recorded by the version that began the run
	if again := b.Update(now); len(again.Later) != 1 {
		t.Errorf("%+v", again)
	}
}

// The record comes back from the folder with the names of files, and from a checkpoint without.
func TestBasisComesBack(t *testing.T) {
	d, want := create(t), basis()
	if _, ok, old, err := run.ReadBasis(d.Path()); ok || old || err != nil {
		t.Errorf("a new folder: %t, %t, %v", ok, old, err)
	}
	check(t, d.WriteBasis(want))
	if got, ok, old, err := run.ReadBasis(d.Path()); !ok || old || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	meta := run.Meta{Kind: "training", Config: want.Config, Basis: want.Brief()}
	if got, err := run.BasisOf(d.Path(), meta); err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("of a run: %+v, %v", got, err)
	}
	other := *want.Brief()
	other.Cuts = map[string]map[string]uint64{"test": {"a": 5, "b": 7}}
	if got, err := run.BasisOf(d.Path(), run.Meta{Basis: &other}); err != nil || got.Cuts["test"]["a"] != 5 {
		t.Errorf("of another run: %+v, %v", got, err)
	}
	if got, err := run.BasisOf(d.Path(), run.Meta{}); got != nil || err != nil {
		t.Errorf("of an old checkpoint: %+v, %v", got, err)
	}
	check(t, os.WriteFile(d.Path("basis.json"), []byte("{"), 0o600))
	if _, _, _, err := run.ReadBasis(d.Path()); err == nil || !strings.Contains(err.Error(), "basis.json") {
		t.Errorf("a damaged record: %v", err)
	}
	check(t, os.Remove(d.Path("basis.json")))
	do(t, func() error {
		c := sample(1)
		c.Meta.Config, c.Meta.Basis = want.Config, want.Brief()
		return d.Save(c)
	})
	if got, ok, _, err := run.ReadBasis(d.Path()); !ok || err != nil || got.Config != want.Config || got.Data["train"].Files != nil || !slices.Equal(got.Classes, want.Classes) || got.Cuts["test"]["a"] != 1<<64-1 || got.Cuts["halves"] == nil {
		t.Errorf("of the checkpoint: %+v, %v", got, err)
	}
	do(t, func() error { return d.Save(sample(2)) })
	if _, ok, old, err := run.ReadBasis(d.Path()); ok || !old || err != nil {
		t.Errorf("a checkpoint without: %t, %t, %v", ok, old, err)
	}
}

// A run that has saved nothing yet cannot go on from another checkpoint than the one that it was begun with; later it
// does not read it.
func TestBasisNamesTheStart(t *testing.T) {
	was := run.Basis{Start: "sha256:1"}
	for start, refused := range map[string]bool{"sha256:1": false, "sha256:2": true, "": false} {
		text := run.Texts(was.Differences(run.Basis{Start: start}), run.MustMatch)
		if (text != "") != refused || refused && !strings.Contains(text, "train.init") {
			t.Errorf("%q: %q", start, text)
		}
	}
	if got := was.Update(run.Basis{}).Start; got != was.Start {
		t.Errorf("resumed, it is %q", got)
	}
}
