// Package runtest holds helpers for tests of searches and trainings in run folders.
package runtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hdas/run"
)

// Run does a search or a training in a run folder until it is complete or ctx is cancelled, as search.Run
// and train.Run do.
type Run[R any] func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (R, error)

// ToEnd starts a run in a new folder and returns its result. If stop is not 0, it stops the run after that
// many steps and resumes it; the run must be longer than that.
func ToEnd[R any](t *testing.T, folder string, stop int, f Run[R]) R {
	t.Helper()
	d, err := run.Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps := 0
	r, err := f(ctx, d, func(p run.Progress) {
		if p.Batch > 0 {
			if steps++; steps == stop {
				cancel()
			}
		}
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if stop > 0 {
		if !errors.Is(err, run.ErrStopped) {
			t.Fatalf("the stopped run ended with %v", err)
		}
		if d, err = run.Open(folder); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r, err = f(context.Background(), d, func(run.Progress) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Same fails the test if a named file is not byte for byte the same in both folders.
func Same(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !bytes.Equal(Content(t, a, name), Content(t, b, name)) {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// Content returns the content of a file in a run folder. name may contain subfolders, separated by slashes.
func Content(t *testing.T, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
