package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/run"
)

// more adds images to the first class of ownImages, before those that are there.
func more(t *testing.T, dir string, n int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "blue", "0.png"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		put(t, filepath.Join(dir, "blue", fmt.Sprintf("-%d.png", i)), data)
	}
}

// Changed data is told, and refused unless --accept-data accepts it; another class is refused always.
func TestAcceptData(t *testing.T) {
	dir, out := ownImages(t, 20), filepath.Join(t.TempDir(), "run")
	must(t, "train", "--genotype", "DARTS_V1", "--config", "tiny-train", "--data-dir", dir, "--out", out, "--set", "data.name=folder", "--set", "data.size=16",
		"--set", "network.layers=3", "--set", "network.channels=2", "--set", "train.epochs=1", "--set", "train.batch=10")
	expect := func(want int, words string, args ...string) {
		t.Helper()
		code, _, errs := call(t, args...)
		if code != want || !strings.Contains(errs, words) {
			t.Errorf("hdas %q: exit %d, %q does not say %q", args, code, errs, words)
		}
	}
	more(t, dir, 20)
	expect(0, "hdas: the data of "+out+" has changed since it was begun: test images: ", "eval", out)
	expect(exitFailed, "--accept-data", "train", "--resume", "--out", out)
	expect(0, "hdas: the data of "+out, "train", "--resume", "--out", out, "--accept-data")
	expect(0, "", "train", "--resume", "--out", out)
	for i := range 20 {
		if err := os.Rename(filepath.Join(dir, "red", fmt.Sprintf("%d.png", i)), filepath.Join(dir, "red", fmt.Sprintf("again-%d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	expect(exitFailed, "under other names", "eval", out)
	expect(0, "removed", "eval", out, "--accept-data")
	if err := os.Rename(filepath.Join(dir, "red"), filepath.Join(dir, "rose")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"eval", out, "--accept-data"}, {"train", "--resume", "--out", out, "--accept-data"}} {
		expect(exitFailed, "rose", args...)
	}
}

// Seeds go on with changed data only where that is accepted, in their processes too.
func TestSeedsAcceptData(t *testing.T) {
	t.Setenv(asProgram, "yes")
	dir, out := ownImages(t, briefImages), filepath.Join(t.TempDir(), "seeds")
	must(t, append(brief(dir, out), "--seeds", "2", "--set", "search.epochs=1")...)
	more(t, dir, 20)
	if code, _, errs := call(t, "search", "stage", "--resume", "--out", out); code != exitFailed || !strings.Contains(errs, "--accept-data") {
		t.Errorf("exit %d, %s", code, errs)
	}
	// Seed 0 has ended, but not written all of its result.
	if err := errors.Join(os.RemoveAll(filepath.Join(out, "seed-1")), os.Remove(filepath.Join(out, "seed-0", run.DrawingFile))); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "search", "stage", "--resume", "--out", out, "--accept-data"); code != 0 || !strings.Contains(errs, "the data of "+filepath.Join(out, "seed-0")) {
		t.Errorf("exit %d, %s", code, errs)
	}
}
