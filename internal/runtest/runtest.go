// Package runtest holds helpers for tests of searches and trainings in run folders.
package runtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
	"hdas/weights/safetensors"
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
		if p.Step > 0 {
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

// Same fails the test if a named file is not byte for byte the same in both folders. It names the tensors that differ.
func Same(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !bytes.Equal(Content(t, a, name), Content(t, b, name)) {
			t.Errorf("%s differs between %s and %s%s (on %v)", name, a, b, differing(filepath.Join(a, name), filepath.Join(b, name)), torchtest.Device())
		}
	}
}

// differing returns the names of the first tensors of two safetensors files that differ, and how many do.
func differing(a, b string) string {
	x, xerr := safetensors.Read(a)
	y, yerr := safetensors.Read(b)
	if xerr != nil || yerr != nil || len(x.Tensors) != len(y.Tensors) {
		return ""
	}
	var names []string
	for i, v := range x.Tensors {
		if w := y.Tensors[i]; v.Name != w.Name || !bytes.Equal(v.Bytes(), w.Bytes()) {
			names = append(names, v.Name)
		}
	}
	return fmt.Sprintf(": %d of %d tensors: %s", len(names), len(x.Tensors), strings.Join(names[:min(4, len(names))], ", "))
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

// State returns all numbers of the checkpoint in a folder, by section and name.
func State(t *testing.T, folder string) map[string][]float64 {
	t.Helper()
	numbers := map[string][]float64{}
	torchtest.Do(t, func(*torch.Scope) {
		path, err := run.Find(folder)
		if err != nil {
			t.Fatal(err)
		}
		c, err := run.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for section, tensors := range c.State {
			for name, v := range tensors {
				numbers[section+" "+name] = v.Float64s()
			}
		}
	})
	return numbers
}

// Far returns the largest difference between two states, and where it is.
func Far(t *testing.T, a, b map[string][]float64) (most float64, where string) {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d and %d tensors", len(a), len(b))
	}
	for name, x := range a {
		y := b[name]
		if len(x) != len(y) {
			t.Fatalf("%s has %d and %d elements", name, len(x), len(y))
		}
		for i := range x {
			if d := math.Abs(x[i] - y[i]); !(d <= most) {
				most, where = d, name
			}
		}
	}
	return most, where
}
