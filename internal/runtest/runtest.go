// Package runtest is what tests of runs share.
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

// Run is a run in a folder, until its end or the context's, as search.Run and train.Run are.
type Run[R any] func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (R, error)

// ToEnd begins a run in a new folder and returns its result. Where stop is not 0, it is stopped
// after that many steps, which has to be possible, and gone on with.
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

// Same fails where the files of those names are not the same in both folders, byte for byte.
func Same(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !bytes.Equal(Content(t, a, name), Content(t, b, name)) {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// Content is that of a file of a run's folder; slashes are of subfolders.
func Content(t *testing.T, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
