package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

var colours = []string{"apple", "berry", "cherry"}

// ownFolder writes n images of each class into a folder; some are of other sizes.
func ownFolder(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for k, class := range colours {
		check(os.Mkdir(filepath.Join(dir, class), 0o755))
		for i := range n {
			addImage(t, dir, class, fmt.Sprintf("%02d", i), 80*k)
		}
	}
	return dir
}

func addImage(t *testing.T, dir, class, name string, shade int) {
	t.Helper()
	check(os.WriteFile(filepath.Join(dir, class, name+".png"), picture(t, uint8(shade)), 0o600))
}

// onOwn is a training of less than a second on a folder.
func onOwn(t *testing.T, dir string, more ...string) configs.Train {
	t.Helper()
	return small(t, append([]string{"data.name=folder", "data.dir=" + dir, "data.size=16", "train.batch=8", "train.epochs=2", "network.preset=cifar"}, more...)...)
}

// searchOwn is a search of less than a second on a folder.
func searchOwn(t *testing.T, dir string) configs.Search {
	t.Helper()
	c, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Alone: true, Set: []string{"data.name=folder", "data.dir=" + dir, "data.size=28",
		"network.preset=imagenet", "network.channels=2", "search.lengths=[2,2,2]", "search.epochs=2", "search.batch=8"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// watcher keeps what it is told, and accepts other data if it is to.
type watcher struct {
	lab.Watch
	notes, changes []string
}

func watching(accept bool) *watcher {
	w := new(watcher)
	w.Note = func(text string) { w.notes = append(w.notes, text) }
	w.Changed = func(_, text string) bool { w.changes = append(w.changes, text); return accept }
	return w
}

// stopping cancels after the first step.
func stopping(t *testing.T) (context.Context, lab.Watch) {
	ctx, cancel := context.WithCancel(t.Context())
	return ctx, lab.Watch{Begin: func(live.Start) (func(run.Progress), func()) {
		return func(p run.Progress) {
			if p.Step == 1 {
				cancel()
			}
		}, func() {}
	}}
}

// changed fails unless err is of changed data, with those words.
func changed(t *testing.T, err error, words ...string) {
	t.Helper()
	var fault *lab.ChangedError
	if !errors.As(err, &fault) {
		t.Errorf("not refused as changed data: %v", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not have %q", err, w)
		}
	}
}

func score(t *testing.T, d *run.Dir, w *watcher, split string) (lab.Evaluation, error) {
	t.Helper()
	return lab.Evaluate(t.Context(), d.Path(), lab.EvalOptions{Device: "auto", Batch: 50, Split: split}, w.Watch)
}

// Images that come first by name, as many as there are, leave what a run was tested on what it was: none
// that it learned from is scored as a test image.
func TestAddedImagesStayOnTheirSide(t *testing.T) {
	dir := ownFolder(t, 20)
	d := folderFor(t)
	if _, err := lab.Train(t.Context(), onOwn(t, dir), published(t, "DARTS_V1"), d, lab.Watch{}); err != nil {
		t.Fatal(err)
	}
	basis, ok, old, err := run.ReadBasis(d.Path())
	if err != nil || !ok || old || !slices.Equal(basis.Classes, colours) || basis.Data[datasets.Train].Images != 48 || basis.Data[datasets.Test].Images != 12 ||
		len(basis.Data[datasets.Test].Files) != 12 || len(basis.Cuts["test"]) != 3 || basis.Device != torchtest.Device().String() || basis.Threads < 1 || basis.Libtorch == "" || basis.DataDir != dir {
		t.Fatalf("%+v, %v", basis, err)
	}
	w := watching(false)
	if e, err := score(t, d, w, datasets.Test); err != nil || e.Samples != 12 || len(w.notes) > 0 {
		t.Errorf("%+v, %v, notes %q", e, err, w.notes)
	}
	for _, class := range colours {
		for i := range 20 {
			addImage(t, dir, class, fmt.Sprintf("-%02d", i), 10)
		}
	}
	w = watching(false)
	e, err := score(t, d, w, datasets.Test)
	if err != nil || e.Samples < 15 || e.Samples > 40 || len(w.notes) != 1 || !strings.Contains(w.notes[0], `begun with 12`) || !strings.Contains(w.notes[0], ` added ("apple/-`) || strings.Contains(w.notes[0], "removed") {
		t.Errorf("%+v, %v, notes %q", e, err, w.notes)
	}
	test, err := datasets.Spec{Name: "folder", Dir: dir, Size: 16, Cut: basis.Cuts["test"]}.Open(datasets.Test)
	if err != nil || int64(test.Len()) != int64(e.Samples) {
		t.Fatalf("%v, %v", test, err)
	}
	for i := range test.Len() {
		path, _ := test.(datasets.Encoded).Entry(i)
		if _, learned := basis.Data[datasets.Train].Files[path]; learned {
			t.Errorf("%s was learned from", path)
		}
	}
	// The checkpoint alone has no names: that nothing is gone cannot be told.
	alone := filepath.Join(t.TempDir(), "alone.safetensors")
	data, err := os.ReadFile(d.Path(run.CheckpointFile))
	check(err)
	check(os.WriteFile(alone, data, 0o600))
	_, err = lab.Evaluate(t.Context(), alone, lab.EvalOptions{Device: "auto", Batch: 50, Split: datasets.Test}, lab.Watch{})
	changed(t, err, "more of apple", "--accept-data")
}

// Renamed images may be ones that were learned from; so may those of a test folder made later.
func TestEvaluationRefuses(t *testing.T) {
	dir := ownFolder(t, 20)
	d := folderFor(t)
	if _, err := lab.Train(t.Context(), onOwn(t, dir), published(t, "DARTS_V1"), d, lab.Watch{}); err != nil {
		t.Fatal(err)
	}
	basis, _, _, err := run.ReadBasis(d.Path())
	check(err)
	for i := range 20 {
		check(os.Rename(filepath.Join(dir, "apple", fmt.Sprintf("%02d.png", i)), filepath.Join(dir, "apple", fmt.Sprintf("renamed-%d.png", i))))
	}
	w := watching(false)
	_, err = score(t, d, w, datasets.Test)
	changed(t, err, "added", "removed", "under other names")
	w = watching(true)
	if e, err := score(t, d, w, datasets.Test); err != nil || e.Samples == 0 || len(w.changes) != 1 {
		t.Errorf("accepted: %+v, %v, %q", e, err, w.changes)
	}
	for i := range 20 {
		check(os.Rename(filepath.Join(dir, "apple", fmt.Sprintf("renamed-%d.png", i)), filepath.Join(dir, "apple", fmt.Sprintf("%02d.png", i))))
	}
	if e, err := score(t, d, watching(false), datasets.Test); err != nil || e.Samples != 12 {
		t.Errorf("put back: %+v, %v", e, err)
	}
	for path := range basis.Data[datasets.Test].Files {
		check(os.WriteFile(filepath.Join(dir, path), append(picture(t, 3), 0, 0, 0), 0o600))
		_, err = score(t, d, watching(false), datasets.Test)
		changed(t, err, "1 changed", path)
		check(os.Remove(filepath.Join(dir, path)))
		break
	}
	w = watching(false)
	if e, err := score(t, d, w, datasets.Test); err != nil || e.Samples != 11 || len(w.notes) != 1 {
		t.Errorf("one fewer: %+v, %v, %q", e, err, w.notes)
	}
	// Test images that were learned from, in a test folder of their own.
	parts := t.TempDir()
	for _, part := range []string{"train", "test"} {
		for _, class := range colours {
			check(os.MkdirAll(filepath.Join(parts, part, class), 0o755))
		}
	}
	for _, from := range []string{datasets.Train, datasets.Test} {
		for path := range basis.Data[from].Files {
			check(os.WriteFile(filepath.Join(parts, "train", path), picture(t, 1), 0o600))
			check(os.WriteFile(filepath.Join(parts, "test", path), picture(t, 1), 0o600))
		}
	}
	_, err = lab.Evaluate(t.Context(), d.Path(), lab.EvalOptions{Device: "auto", Batch: 50, Split: datasets.Test, DataDir: parts}, lab.Watch{})
	changed(t, err, "of them were learned from")
}

// A training and a search that were stopped go on with the same data only, and with the same classes and
// settings; threads are free.
func TestGoingOnWithOtherData(t *testing.T) {
	for what, begin := range map[string]func(ctx context.Context, dir string, d *run.Dir, w lab.Watch) error{
		"training": func(ctx context.Context, dir string, d *run.Dir, w lab.Watch) error {
			_, err := lab.Train(ctx, onOwn(t, dir), published(t, "DARTS_V1"), d, w)
			return err
		},
		"search": func(ctx context.Context, dir string, d *run.Dir, w lab.Watch) error {
			_, err := lab.Search(ctx, searchOwn(t, dir), d, w)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir, d := ownFolder(t, 20), folderFor(t)
			ctx, w := stopping(t)
			if err := begin(ctx, dir, d, w); !errors.Is(err, run.ErrStopped) {
				t.Fatal(err)
			}
			before, _, _, _ := run.ReadBasis(d.Path())
			rename := func(from, to string) { check(os.Rename(filepath.Join(dir, from), filepath.Join(dir, to))) }
			rename("berry", "blackberry")
			for _, accept := range []bool{false, true} {
				if err := begin(t.Context(), dir, d, watching(accept).Watch); err == nil || !strings.Contains(err.Error(), `added: "blackberry", removed: "berry"`) {
					t.Errorf("a renamed class, accepted %t: %v", accept, err)
				}
			}
			rename("blackberry", "berry")
			check(os.Mkdir(filepath.Join(dir, "damson"), 0o755))
			for i := range 9 {
				addImage(t, dir, "damson", fmt.Sprint(i), 9)
			}
			if err := begin(t.Context(), dir, d, watching(true).Watch); err == nil || !strings.Contains(err.Error(), `added: "damson"`) {
				t.Errorf("another class: %v", err)
			}
			check(os.RemoveAll(filepath.Join(dir, "damson")))
			for _, class := range colours {
				for i := range 12 {
					addImage(t, dir, class, fmt.Sprintf("-%d", i), 9)
				}
			}
			changed(t, begin(t.Context(), dir, d, watching(false).Watch), "train images", `added ("apple/-`)
			w2 := watching(true)
			if err := begin(t.Context(), dir, d, w2.Watch); err != nil || len(w2.changes) != 1 {
				t.Errorf("accepted: %v, %q", err, w2.changes)
			}
			after, _, _, err := run.ReadBasis(d.Path())
			if err != nil || after.Data[datasets.Train].Images <= before.Data[datasets.Train].Images || after.Cuts["test"]["apple"] != before.Cuts["test"]["apple"] || after.Cuts["halves"]["apple"] != before.Cuts["halves"]["apple"] {
				t.Errorf("begun with %+v, then %+v, %v", before.Cuts, after.Cuts, err)
			}
			for path := range before.Data[datasets.Train].Files {
				if _, there := after.Data[datasets.Train].Files[path]; !there {
					t.Errorf("%s is no training image any more", path)
				}
			}
		})
	}
}

func TestGoingOnWithOtherSettings(t *testing.T) {
	dir, d := ownFolder(t, 20), folderFor(t)
	ctx, w := stopping(t)
	if _, err := lab.Train(ctx, onOwn(t, dir), published(t, "DARTS_V1"), d, w); !errors.Is(err, run.ErrStopped) {
		t.Fatal(err)
	}
	if _, err := lab.Train(t.Context(), onOwn(t, dir, "train.epochs=3"), published(t, "DARTS_V1"), d, watching(true).Watch); err == nil || !strings.Contains(err.Error(), "the setting train.epochs: 3, begun with 2") {
		t.Errorf("more epochs: %v", err)
	}
	if _, err := lab.Train(t.Context(), onOwn(t, dir, "threads=1", "data.workers=1", "train.checkpoint_steps=2"), published(t, "DARTS_V1"), d, watching(false).Watch); err != nil {
		t.Errorf("other threads: %v", err)
	}
}

// A comparison and seeds hold all their runs to what they were begun with.
func TestComparedOnTheSameData(t *testing.T) {
	f, err := lab.LoadFound("DARTS_V1")
	check(err)
	k, err := lab.NewComparePlan(f, lab.Baseline{Random: 1, Repeats: 1}, 7)
	check(err)
	dir, d := ownFolder(t, 12), folderFor(t)
	c := onOwn(t, dir)
	check(k.Begin(c, d))
	ctx, w := stopping(t)
	if _, err := lab.Compare(ctx, c, lab.Jobs{}, d, w); !errors.Is(err, run.ErrStopped) {
		t.Fatal(err)
	}
	addImage(t, dir, "apple", "-", 1)
	_, err = lab.Compare(t.Context(), c, lab.Jobs{}, d, watching(false).Watch)
	changed(t, err, d.Path(), "1 added (\"apple/-.png\")")
	check(os.Remove(filepath.Join(dir, "apple", "-.png")))
	check(os.Rename(filepath.Join(dir, "apple"), filepath.Join(dir, "apfel")))
	if _, err = lab.Compare(t.Context(), c, lab.Jobs{}, d, watching(true).Watch); err == nil || !strings.Contains(err.Error(), "apfel") {
		t.Errorf("a renamed class: %v", err)
	}
	check(os.Rename(filepath.Join(dir, "apfel"), filepath.Join(dir, "apple")))
	if _, err = lab.Compare(t.Context(), c, lab.Jobs{}, d, lab.Watch{}); err != nil {
		t.Error(err)
	}
}

func TestSeedsOnTheSameData(t *testing.T) {
	dir, d := ownFolder(t, 12), folderFor(t)
	c := searchOwn(t, dir)
	s := lab.Seeds{N: 2, Jobs: lab.Jobs{Command: func(folder string) []string { return []string{"/bin/sh", "-c", "exit 130"} }}}
	if _, err := lab.SearchSeeds(t.Context(), c, s, d, lab.Watch{}); !errors.Is(err, run.ErrStopped) {
		t.Fatal(err)
	}
	all, ok, _, err := run.ReadBasis(d.Path())
	one, okOne, _, errOne := run.ReadBasis(d.Path("seed-0"))
	if !ok || !okOne || err != nil || errOne != nil || all.Data[datasets.Train].Digest != one.Data[datasets.Train].Digest || one.Cuts["test"]["apple"] != all.Cuts["test"]["apple"] || one.Config != "" {
		t.Errorf("begun with %+v, a seed with %+v", all, one)
	}
	for i := range 10 {
		addImage(t, dir, "apple", fmt.Sprint("-", i), 1)
	}
	_, err = lab.SearchSeeds(t.Context(), c, s, d, watching(false).Watch)
	changed(t, err, d.Path(), "added (\"apple/-")
	if _, err := lab.SearchSeeds(t.Context(), c, s, d, watching(true).Watch); !errors.Is(err, run.ErrStopped) {
		t.Error(err)
	}
	if _, err := lab.Search(t.Context(), c, reopened(t, d.Path("seed-0")), lab.Watch{}); err == nil {
		t.Error("a seed that was begun with other data goes on")
	}
}

func reopened(t *testing.T, folder string) *run.Dir {
	t.Helper()
	d, err := run.Open(folder)
	check(err)
	t.Cleanup(func() { d.Close() })
	return d
}

// A run of a program that recorded nothing is scored and gone on with by positions, as it was begun, and
// this is said.
func TestRunsWithoutARecord(t *testing.T) {
	for name, c := range map[string]configs.Train{"folder": onOwn(t, ownFolder(t, 20)), "digits": small(t)} {
		d := folderFor(t)
		if name == "folder" { // as programs before divided it
			check(d.WriteBasis(run.Basis{Cuts: map[string]map[string]uint64{"test": {}}, Classes: colours}))
		}
		if _, err := lab.Train(t.Context(), c, published(t, "DARTS_V1"), d, lab.Watch{}); err != nil {
			t.Fatal(err)
		}
		want, err := score(t, d, watching(false), datasets.Test)
		check(err)
		forget(t, d)
		w := watching(false)
		got, err := score(t, d, w, datasets.Test)
		if err != nil || !reflect.DeepEqual(got, want) || len(torchtest.Notes(w.notes)) != 1 || !strings.Contains(w.notes[0], "no record") {
			t.Errorf("%s: %+v, %v, not %+v; notes %q", name, got, err, want, w.notes)
		}
		w = watching(false)
		if _, err := lab.Train(t.Context(), c, published(t, "DARTS_V1"), d, w.Watch); err != nil || len(torchtest.Notes(w.notes)) != 1 {
			t.Errorf("%s, gone on with: %v, notes %q", name, err, w.notes)
		}
		if b, ok, _, err := run.ReadBasis(d.Path()); err != nil || !ok || name == "folder" && (b.Cuts["test"] == nil || len(b.Cuts["test"]) > 0) {
			t.Errorf("%s: then recorded %+v, %v", name, b, err)
		}
	}
}

// forget takes the record out of a run's folder and its checkpoints.
func forget(t *testing.T, d *run.Dir) {
	t.Helper()
	check(os.Remove(d.Path("basis.json")))
	for _, file := range []string{run.CheckpointFile, "checkpoint-previous.safetensors"} {
		err := torch.Do(func(*torch.Scope) error {
			c, err := run.Read(d.Path(file))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			c.Meta.Basis = nil
			state := map[string][]nn.Param{}
			for section, tensors := range c.State {
				for name, x := range tensors {
					state[section] = append(state[section], nn.Param{Name: name, Tensor: x})
				}
			}
			return run.Write(d.Path(file), run.Checkpoint{Meta: c.Meta, State: state})
		})
		check(err)
	}
}

// What has no paths of the user's is known by its digest: of ImageNet the names and sizes.
func TestDigestOfOtherData(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"train", "val"} {
		for _, class := range colours {
			check(os.MkdirAll(filepath.Join(dir, part, class), 0o755))
			for i := range 5 {
				addImage(t, filepath.Join(dir, part), class, fmt.Sprint(i), 40*i)
			}
		}
	}
	d := folderFor(t)
	c := onOwn(t, dir, "data.name=imagenet")
	if _, err := lab.Train(t.Context(), c, published(t, "DARTS_V1"), d, lab.Watch{}); err != nil {
		t.Fatal(err)
	}
	if _, err := score(t, d, watching(false), datasets.Test); err != nil {
		t.Error(err)
	}
	check(os.Rename(filepath.Join(dir, "val", "apple", "0.png"), filepath.Join(dir, "val", "apple", "9.png")))
	_, err := score(t, d, watching(false), datasets.Test)
	changed(t, err, "test images: the same number, 15, but others")
}

// Data of which nothing could be learned, or on which nothing could be scored, is refused.
func TestNumbersThatMeanNothing(t *testing.T) {
	one := ownFolder(t, 1)
	two := t.TempDir()
	for _, part := range []string{"train", "test"} {
		check(os.MkdirAll(filepath.Join(two, part, "apple"), 0o755))
		addImage(t, filepath.Join(two, part), "apple", "1", 1)
		addImage(t, filepath.Join(two, part), "apple", "2", 1)
	}
	for dir, words := range map[string]string{one: "no images", two: "one class (apple)"} {
		if _, err := lab.Train(t.Context(), onOwn(t, dir), published(t, "DARTS_V1"), folderFor(t), lab.Watch{}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("training: %v does not have %q", err, words)
		}
		if _, err := lab.Inspect(t.Context(), datasets.Spec{Name: "folder", Dir: dir}, func(string, int) (func(), func()) { return func() {}, func() {} }); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("inspection: %v does not have %q", err, words)
		}
	}
	if _, err := lab.Search(t.Context(), searchOwn(t, two), folderFor(t), lab.Watch{}); err == nil || !strings.Contains(err.Error(), "one class (apple)") {
		t.Errorf("search: %v", err)
	}
}
