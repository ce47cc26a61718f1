package search

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hdas/datasets"
	"hdas/datasets/datasetstest"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
)

// setup is a search over few small images: two epochs of three steps.
func setup(t *testing.T, k Kind) Setup {
	c, m, _ := little(t, k)
	m.Classes = 3
	c.Epochs, c.Batch = 2, 4
	first, second := datasets.Halves(datasetstest.Synthetic(24, 8), 5)
	loader := func(d datasets.Dataset, seed uint64, learn bool) *datasets.Loader {
		l := &datasets.Loader{Dataset: d, Batch: c.Batch, Seed: seed, Shuffle: learn}
		if learn {
			l.Transform = datasets.Transform{Padding: 1, Flip: true}
		}
		return l
	}
	return Setup{Config: c, Macro: m, Seed: 11, Name: "found", Resolved: []byte("seed: 11\n"),
		Train: loader(first, 1, true), Valid: loader(second, 2, true), Test: loader(second, 0, false)}
}

// A search that is stopped after any step and resumed ends as an unbroken one: checkpoints, records
// and genotypes are the same files, byte for byte.
func TestResumedSearchEqualsUnbroken(t *testing.T) {
	for _, k := range Kinds {
		t.Run(string(k), func(t *testing.T) {
			live := torch.Live()
			unbroken := t.TempDir()
			search(t, setup(t, k), unbroken, 0)
			for _, step := range []int{1, 3, 4} {
				broken := t.TempDir()
				search(t, setup(t, k), broken, step)
				for _, name := range []string{"checkpoint.safetensors", "epochs.jsonl", "genotype.yaml", "genotype-best-supernet.yaml", "genotypes/epoch-001.yaml", "genotypes/epoch-002.yaml"} {
					if a, b := content(t, unbroken, name), content(t, broken, name); !bytes.Equal(a, b) {
						t.Errorf("stopped after step %d: %s differs", step, name)
					}
				}
			}
			if n := torch.Live() - live; n != 0 {
				t.Errorf("%d tensors left alive", n)
			}
		})
	}
}

// search runs to the end, with a stop after that many steps, if any.
func search(t *testing.T, s Setup, folder string, stop int) {
	t.Helper()
	d, err := run.Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps := 0
	r, err := Run(ctx, s, d, func(p run.Progress) {
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
			t.Fatalf("the stopped search ended with %v", err)
		}
		if d, err = run.Open(folder); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r, err = Run(context.Background(), s, d, func(run.Progress) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Genotype.Validate(genotype.Ops{}); err != nil {
		t.Error(err)
	}
	if r.Epoch.Epoch != s.Config.Epochs {
		t.Errorf("the result is epoch %d's", r.Epoch.Epoch)
	}
}

func content(t *testing.T, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
