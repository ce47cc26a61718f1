package datasets_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hdas/datasets"
)

// own opens a split of a folder of one's own images.
func own(t *testing.T, dir, split string, cut datasets.Cut) datasets.Dataset {
	t.Helper()
	d, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8, Cut: cut}.Open(split)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// paths are those of a part's images.
func paths(d datasets.Dataset) map[string]bool {
	found := map[string]bool{}
	for i := range d.Len() {
		path, _ := d.(datasets.Encoded).Entry(i)
		found[path] = true
	}
	return found
}

// counts are the images of each class.
func counts(t *testing.T, d datasets.Dataset) []int {
	t.Helper()
	c, err := datasets.ContentOf(d)
	if err != nil {
		t.Fatal(err)
	}
	return c.Counts
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// refusesFolder fails unless a folder is refused with those words.
func refusesFolder(t *testing.T, dir string, words ...string) {
	t.Helper()
	_, err := datasets.Open("folder", dir, datasets.Test)
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not have %q", err, w)
		}
	}
	if err != nil && strings.Contains(err.Error(), "remove") {
		t.Errorf("advice to remove: %v", err)
	}
}

// Images that come or go, first, last or between, leave the others in their part; shares are exact.
func TestPartsStayWhenImagesComeAndGo(t *testing.T) {
	classes := []string{"a", "b", "c"}
	dir := t.TempDir()
	photos(t, dir, classes, 21)
	s, err := datasets.Spec{Name: "folder", Dir: dir, Size: 8}.Fixed()
	if err != nil || len(s.Cut) != 3 {
		t.Fatalf("cut %v, %v", s.Cut, err)
	}
	type division struct{ train, test, weights, arch map[string]bool }
	divide := func(at, half datasets.Cut) (d division, used datasets.Cut) {
		train := own(t, dir, datasets.Train, at)
		weights, arch, used := datasets.HalvesAt(train, 3, half)
		if half == nil {
			for _, part := range []datasets.Dataset{weights, arch} {
				for _, n := range counts(t, part) {
					if n != 8 && n != 9 { // of 17
						t.Errorf("a half has %d of a class", n)
					}
				}
			}
			if weights.Len() != 25 || arch.Len() != 26 {
				t.Errorf("halves of %d and %d", weights.Len(), arch.Len())
			}
		}
		return division{paths(train), paths(own(t, dir, datasets.Test, at)), paths(weights), paths(arch)}, used
	}
	before, halves := divide(nil, nil)
	if fresh, _ := divide(s.Cut, halves); !maps.Equal(fresh.test, before.test) || !maps.Equal(fresh.arch, before.arch) {
		t.Error("the recorded cut is not the one that was made")
	}
	if len(before.test) != 12 { // a fifth of 21, rounded, of each
		t.Errorf("%d test images", len(before.test))
	}
	for i := range 40 {
		for k, class := range classes {
			write(t, filepath.Join(dir, class, fmt.Sprintf("%cnew-%d.png", "-iz"[i%3], i)), plain(shade(k, i), 9, 9))
		}
	}
	if err := os.Remove(filepath.Join(dir, "a", "image-03.png")); err != nil {
		t.Fatal(err)
	}
	after, _ := divide(s.Cut, halves)
	for what, pair := range map[string][2]map[string]bool{
		"training": {before.train, after.train}, "test": {before.test, after.test}, "weights": {before.weights, after.weights}, "architecture": {before.arch, after.arch},
	} {
		new := 0
		for path := range pair[0] {
			if !pair[1][path] && path != "a/image-03.png" {
				t.Errorf("%s is no %s image any more", path, what)
			}
		}
		for path := range pair[1] {
			if strings.Contains(path, "new") {
				new++
			} else if !pair[0][path] {
				t.Errorf("%s became a %s image", path, what)
			}
		}
		if new < 5 {
			t.Errorf("%d of 120 new images are %s images", new, what)
		}
	}
	// By position, as runs without a record are divided, they do move: that is what a cut is for.
	if moved := paths(own(t, dir, datasets.Test, datasets.ByPosition())); maps.Equal(moved, after.test) {
		t.Error("positions and hashes divide alike")
	}
}

// The hash of an image is part of the format of a run's folder: these were computed once.
func TestCutIsStable(t *testing.T) {
	dir := t.TempDir()
	photos(t, dir, []string{"a", "b"}, 5)
	s, err := datasets.Spec{Name: "folder", Dir: dir, SplitSeed: 7}.Fixed()
	if want := (datasets.Cut{"a": 6918012296777175629, "b": 3845750284698779718}); err != nil || !maps.Equal(s.Cut, want) {
		t.Errorf("%v, %v", s.Cut, err)
	}
	photos(t, filepath.Join(dir, "parts", "train"), []string{"a", "b"}, 2)
	photos(t, filepath.Join(dir, "parts", "test"), []string{"a", "b"}, 2)
	if s, err := (datasets.Spec{Name: "folder", Dir: filepath.Join(dir, "parts")}).Fixed(); err != nil || s.Cut != nil {
		t.Errorf("a folder with parts is cut at %v, %v", s.Cut, err)
	}
	if s, err := (datasets.Spec{Name: "digits"}).Fixed(); err != nil || s.Cut != nil {
		t.Errorf("digits are cut at %v, %v", s.Cut, err)
	}
}

func TestContent(t *testing.T) {
	dir := t.TempDir()
	photos(t, filepath.Join(dir, "train"), []string{"a", "b"}, 3)
	photos(t, filepath.Join(dir, "test"), []string{"a", "b"}, 2)
	content := func(split string) datasets.Content {
		c, err := datasets.ContentOf(own(t, dir, split, nil))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := content(datasets.Train)
	if before.Images != 6 || !slices.Equal(before.Counts, []int{3, 3}) || len(before.Files) != 6 || before.Files["a/image-00.png"] == 0 {
		t.Errorf("%+v", before)
	}
	write(t, filepath.Join(dir, "test", "a", "new.png"), plain(shade(0, 9), 9, 9))
	if content(datasets.Train).Digest != before.Digest {
		t.Error("a test image changes the training images' digest")
	}
	write(t, filepath.Join(dir, "train", "a", "image-00.png"), []byte("another size"))
	if content(datasets.Train).Digest == before.Digest {
		t.Error("a file of another size does not change the digest")
	}
	digits, _ := datasets.Open("digits", "", datasets.Test)
	large, _ := datasets.Spec{Name: "digits", Size: 32, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}.Open(datasets.Test)
	a, err := datasets.ContentOf(digits)
	b, err2 := datasets.ContentOf(large)
	if err != nil || err2 != nil || a.Images != 1000 || a.Counts[3] != 100 || a.Digest != b.Digest || a.Files != nil {
		t.Errorf("digits are %+v, at another size %+v; %v, %v", a, b, err, err2)
	}
	few, _ := datasets.Subset(digits, []int{1, 2})
	if c, err := datasets.ContentOf(few); err != nil || c.Digest == a.Digest || c.Counts[0] != 2 {
		t.Errorf("two digits are %+v, %v", c, err)
	}
}

// Links to class folders, to folders in them and to files are followed, each real folder once.
func TestLinksAreFollowed(t *testing.T) {
	real, dir := t.TempDir(), t.TempDir()
	photos(t, real, []string{"x", "y", "more"}, 3)
	link(t, filepath.Join(real, "x"), filepath.Join(dir, "a"))
	photos(t, dir, []string{"b"}, 3)
	link(t, filepath.Join(real, "y"), filepath.Join(dir, "b", "below"))
	link(t, filepath.Join(real, "y"), filepath.Join(dir, "b", "again"))
	link(t, filepath.Join(real, "more", "image-00.png"), filepath.Join(dir, "b", "file.png"))
	link(t, dir, filepath.Join(dir, "b", "loop"))                      // to the data folder
	link(t, filepath.Join(dir, "b"), filepath.Join(real, "y", "up"))   // to what holds it
	link(t, filepath.Join(dir, "a"), filepath.Join(dir, "b", "other")) // to another class
	train, test := own(t, dir, datasets.Train, nil), own(t, dir, datasets.Test, nil)
	n, m := counts(t, train), counts(t, test)
	if n[0]+m[0] != 3 || n[1]+m[1] != 7 {
		t.Errorf("%v and %v images, not 3 and 7 together", n, m)
	}
	for i := range train.Len() {
		colourAt(t, train, i)
	}
	link(t, filepath.Join(dir, "b"), filepath.Join(dir, "c"))
	refusesFolder(t, dir, filepath.Join(dir, "c"), "same folder")
	both := t.TempDir()
	photos(t, filepath.Join(both, "train"), []string{"a", "b"}, 3)
	link(t, "train", filepath.Join(both, "test"))
	refusesFolder(t, both, "same folder", filepath.Join(both, "test"))
}

// What is no regular file is named and counted as damaged, and nothing waits for a pipe.
func TestIrregularEntries(t *testing.T) {
	dir := t.TempDir()
	photos(t, filepath.Join(dir, "train"), []string{"a", "b"}, 3)
	photos(t, filepath.Join(dir, "test"), []string{"a", "b"}, 3)
	link(t, "nowhere.png", filepath.Join(dir, "train", "a", "dangling.png"))
	if err := syscall.Mkfifo(filepath.Join(dir, "train", "b", "pipe.png"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := own(t, dir, datasets.Train, nil)
	c, err := datasets.ContentOf(d)
	if err != nil || c.Images != 8 || c.Files["a/dangling.png"] != -1 || c.Files["b/pipe.png"] != -1 {
		t.Errorf("%+v, %v", c, err)
	}
	tally, err := datasets.Count(context.Background(), d, nil)
	if err != nil || tally.Images != 6 || len(tally.Damaged) != 2 ||
		!strings.Contains(tally.Damaged[0], "dangling.png: it is a link to nowhere.png, which does not exist") || !strings.Contains(tally.Damaged[1], "pipe.png: it is not a regular file") {
		t.Errorf("%+v, %v", tally, err)
	}
	var skipped []string
	l := &datasets.Loader{Dataset: d, Batch: 8, Damaged: func(e *datasets.DamagedError) { skipped = append(skipped, e.File) }, Workers: 1}
	for b, err := range l.Epoch(context.Background(), 0, 0) {
		if err != nil || b.N != 6 {
			t.Errorf("%d images, %v", b.N, err)
		}
	}
	if len(skipped) != 2 {
		t.Errorf("skipped %v", skipped)
	}
	l.Damaged = nil
	var failure error
	for _, err := range l.Epoch(context.Background(), 0, 0) {
		failure = err
	}
	if fault := new(datasets.DamagedError); !errors.As(failure, &fault) || strings.Contains(failure.Error(), "remove") {
		t.Errorf("the epoch ends with %v", failure)
	}
}

// Parts are known in any case, and by what is in them.
func TestPartsByNameAndContent(t *testing.T) {
	two := []string{"a", "b"}
	for _, names := range [][2]string{{"Train", "Test"}, {"TRAIN", "VALID"}, {"train", "Validation"}} {
		dir := t.TempDir()
		photos(t, filepath.Join(dir, names[0]), two, 3)
		photos(t, filepath.Join(dir, names[1]), two, 2)
		if n := own(t, dir, datasets.Test, nil).Len(); n != 4 {
			t.Errorf("%v: %d test images, not 4", names, n)
		}
		if datasets.Some("cifar100", dir) || datasets.Some("cifar10", dir) {
			t.Errorf("%v are taken for CIFAR", names)
		}
	}
	// TinyImageNet: each class has its images in a folder, and those of test have no labels.
	tiny := t.TempDir()
	for _, class := range two {
		photos(t, filepath.Join(tiny, "train", class), []string{"images"}, 3)
		photos(t, filepath.Join(tiny, "val", class), []string{"images"}, 2)
	}
	photos(t, filepath.Join(tiny, "test"), []string{"images"}, 9)
	if n := own(t, tiny, datasets.Test, nil).Len(); n != 4 {
		t.Errorf("%d test images of TinyImageNet, not 4", n)
	}
	if err := os.RemoveAll(filepath.Join(tiny, "val")); err != nil {
		t.Fatal(err)
	}
	refusesFolder(t, tiny, filepath.Join(tiny, "test")+" has images", "no labels")

	// A class may be called train where it has images alone.
	vehicles := t.TempDir()
	photos(t, vehicles, []string{"bus", "car", "train"}, 5)
	if d := own(t, vehicles, datasets.Train, nil); len(d.Info().Classes) != 3 {
		t.Errorf("classes %v", d.Info().Classes)
	}
	ambiguous, half := t.TempDir(), t.TempDir()
	for _, name := range []string{"train", "Train", "test"} {
		photos(t, filepath.Join(ambiguous, name), two, 2)
	}
	refusesFolder(t, ambiguous, "both Train and train")
	photos(t, filepath.Join(half, "Val"), two, 2)
	photos(t, filepath.Join(half, "Test"), two, 2)
	refusesFolder(t, half, "Test and Val", "no folder train")
}

// A folder of one's own with train and test, be they files, is no damaged CIFAR.
func TestOwnFolderIsNoCIFAR(t *testing.T) {
	dir := t.TempDir()
	photos(t, dir, []string{"a", "b"}, 5)
	write(t, filepath.Join(dir, "train"), []byte("a/image-00.png\n"))
	write(t, filepath.Join(dir, "test"), []byte("a/image-01.png\n"))
	if datasets.Some("cifar100", dir) {
		t.Error("lists of names are taken for CIFAR-100")
	}
	if n := own(t, dir, datasets.Train, nil).Len(); n != 8 {
		t.Errorf("%d training images", n)
	}
	if err := datasets.Missing("cifar100", dir); err == nil || strings.Contains(err.Error(), "remove") {
		t.Errorf("CIFAR-100 is missing with %v", err)
	}
}

// One class, or classes a level deeper, are refused with the place of the classes.
func TestFolderTooHigh(t *testing.T) {
	classes := []string{"a", "b", "c"}
	nested, several, single, tooHigh := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	photos(t, filepath.Join(nested, "photos"), classes, 2)
	refusesFolder(t, filepath.Join(nested, "absent"), "no such file", "--data-dir or $HDAS_DATA")
	refusesFolder(t, nested, "1 folder (photos)", "a, b, c", "name "+filepath.Join(nested, "photos"))
	photos(t, filepath.Join(several, "2019"), classes, 2)
	photos(t, filepath.Join(several, "2020"), classes, 2)
	refusesFolder(t, several, "2 folders (2019, 2020)", "a, b, c")
	photos(t, single, []string{"a"}, 5)
	refusesFolder(t, single, "one class, a")
	for _, part := range []string{"train", "test"} {
		photos(t, filepath.Join(tooHigh, part, "photos"), classes, 2)
	}
	refusesFolder(t, tooHigh, "a, b, c", "move the content of "+filepath.Join(tooHigh, "test", "photos"))
	split := t.TempDir()
	for _, part := range []string{"train", "test"} {
		photos(t, filepath.Join(split, "set", part), classes, 2)
	}
	refusesFolder(t, split, "test, train", "name "+filepath.Join(split, "set"))
	// Classes may have folders of their own names in them.
	kinds := t.TempDir()
	photos(t, filepath.Join(kinds, "cat"), []string{"persian", "siamese"}, 2)
	photos(t, filepath.Join(kinds, "dog"), []string{"beagle", "pug"}, 2)
	if d := own(t, kinds, datasets.Train, nil); !slices.Equal(d.Info().Classes, []string{"cat", "dog"}) {
		t.Errorf("classes %v", d.Info().Classes)
	}
}

func TestUsable(t *testing.T) {
	dir := t.TempDir()
	photos(t, dir, classesOf("a b"), 1)
	if err := datasets.Usable(own(t, dir, datasets.Train, nil), datasets.Train); err != nil {
		t.Error(err)
	}
	if err := datasets.Usable(own(t, dir, datasets.Test, nil), datasets.Test); err == nil || !strings.Contains(err.Error(), "at least two images") {
		t.Errorf("no test image: %v", err)
	}
	for _, part := range []string{"train", "test"} {
		photos(t, filepath.Join(dir, "one", part), classesOf("a"), 2)
	}
	if err := datasets.Usable(own(t, filepath.Join(dir, "one"), datasets.Test, nil), datasets.Test); err == nil || !strings.Contains(err.Error(), "one class (a)") {
		t.Errorf("one class: %v", err)
	}
}

func classesOf(names string) []string { return strings.Fields(names) }

// Means and deviations of pixels in 0..255 are refused with the cause.
func TestMeanOf255(t *testing.T) {
	for key, s := range map[string]datasets.Spec{
		"mean": {Name: "digits", Mean: []float64{125.3, 123, 113.9}, Std: []float64{0.2, 0.2, 0.2}},
		"std":  {Name: "digits", Mean: []float64{0.4, 0.4, 0.4}, Std: []float64{63, 62.1, 66.7}},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "divide by 255") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := (datasets.Spec{Name: "digits", Mean: []float64{0, 1, 0}, Std: []float64{1, 1.0 / 255, 1}}).Validate(); err != nil {
		t.Error(err)
	}
}

// A number of images of each class is taken: the same for a seed, those of a smaller number among those of a larger one,
// for files and for images in memory; test images stay.
func TestPerClass(t *testing.T) {
	dir := t.TempDir()
	photos(t, dir, []string{"a", "b", "c"}, 10)
	for _, s := range []datasets.Spec{{Name: "digits", Size: 8}, {Name: "folder", Dir: dir, Size: 8}} {
		whole, test := opened(t, s, datasets.Train), opened(t, s, datasets.Test)
		last := map[string]bool{}
		for _, n := range []int{1, 3, 7, 1e9} {
			s.PerClass = n
			d := opened(t, s, datasets.Train)
			found := map[string]bool{}
			each := map[int]int{}
			for i := range d.Len() {
				pixels := make([]byte, d.Info().Size())
				label, err := d.At(i, pixels)
				if err != nil {
					t.Fatal(err)
				}
				each[label]++
				found[fmt.Sprint(label, pixels)] = true
			}
			for label := range d.Info().Classes {
				if want := min(n, whole.Len()/len(d.Info().Classes)); each[label] != want {
					t.Errorf("%s: %d images of class %d, not %d", s.Name, each[label], label, want)
				}
			}
			for image := range last {
				if !found[image] {
					t.Errorf("%s: an image of fewer is not among %d of each class", s.Name, n)
				}
			}
			last = found
			if got := opened(t, s, datasets.Test).Len(); got != test.Len() {
				t.Errorf("%s: %d test images, not %d", s.Name, got, test.Len())
			}
			if n == 3 {
				s.SplitSeed = 1
				if a, b := contentOf(t, d), contentOf(t, opened(t, s, datasets.Train)); a == b {
					t.Errorf("%s: another seed chooses the same images", s.Name)
				}
				s.SplitSeed = 0
			}
		}
	}
}

func opened(t *testing.T, s datasets.Spec, split string) datasets.Dataset {
	t.Helper()
	d, err := s.Open(split)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func contentOf(t *testing.T, d datasets.Dataset) string {
	t.Helper()
	c, err := datasets.ContentOf(d)
	if err != nil {
		t.Fatal(err)
	}
	return c.Digest
}
