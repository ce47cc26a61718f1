package run_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

func TestCheckpointComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.safetensors")
	want := run.Meta{
		Version: 99, Kind: "training", Config: "seed: 1\nname: \"ö <&>\"\n", Genotype: "version: 1\n",
		Network: json.RawMessage(`{"classes":["a","b"]}`), Epoch: 3, Batch: 17, Done: true, Seed: math.MaxUint64,
		Generators: map[string][]byte{"cpu": {0, 255, 1}, "cuda:0": {}}, Best: 0.1 + 0.2, BestEpoch: 2, Progress: json.RawMessage(`{"x":[1,2]}`),
	}
	do(t, func() error {
		c := run.Checkpoint{Meta: want, State: map[string][]nn.Param{
			"weights": {{Name: "a", Tensor: torch.Full(torchtest.Options(torch.Float32), 1, 2)}, {Name: "b/c", Tensor: torch.Full(torchtest.Options(torch.Float64), 2)}},
			"sgd":     {{Name: "a", Tensor: torchtest.Int64s([]int64{math.MaxInt64}, 1)}},
			"metrics": nil,
		}}
		if err := run.Write(path, c); err != nil {
			return err
		}
		got, err := run.Read(path)
		if err != nil {
			return err
		}
		want.Version = got.Meta.Version // the writer's, whatever it was told
		if got.Meta.Version == 99 || !reflect.DeepEqual(got.Meta, want) {
			t.Errorf("got  %+v\nwant %+v", got.Meta, want)
		}
		if len(got.State) != 2 || len(got.State["weights"]) != 2 || len(got.State["sgd"]) != 1 || got.Warning != nil {
			t.Errorf("state %v, warning %v", got.State, got.Warning)
		}
		if v := got.State["weights"]["b/c"]; v.Item() != 2 || v.DType() != torch.Float64 || len(v.Shape()) != 0 {
			t.Errorf("b/c is %v", v)
		}
		if v := got.State["sgd"]["a"]; v.Int64s()[0] != math.MaxInt64 {
			t.Errorf("sgd's a is %v", v.Int64s())
		}
		return nil
	})
}

func TestCheckpointsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.safetensors")
	for says, change := range map[string]func(*run.Checkpoint){
		"kind":      func(c *run.Checkpoint) { c.Meta.Kind = "" },
		"negative":  func(c *run.Checkpoint) { c.Meta.Batch = -1 },
		"genotype":  func(c *run.Checkpoint) { c.Meta.Genotype = "\xff" },
		"NaN":       func(c *run.Checkpoint) { c.Meta.Best = math.NaN() },
		"JSON":      func(c *run.Checkpoint) { c.Meta.Network = json.RawMessage("{") },
		`"a/b"`:     func(c *run.Checkpoint) { c.State["a/b"] = nil },
		`""`:        func(c *run.Checkpoint) { c.State[""] = nil },
		"undefined": func(c *run.Checkpoint) { c.State["sgd"] = []nn.Param{{Name: "x"}} },
		`"sgd/x"`: func(c *run.Checkpoint) {
			x := nn.Param{Name: "x", Tensor: torch.Ones(torchtest.Options(torch.Float32))}
			c.State["sgd"] = []nn.Param{x, x}
		},
	} {
		refuse(t, []string{path, says}, func() error {
			c := sample(1)
			change(&c)
			return run.Write(path, c)
		})
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// written is the file of sample(1).
func written(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c")
	do(t, func() error { return run.Write(path, sample(1)) })
	data, err := os.ReadFile(path)
	check(t, err)
	return data
}

func TestEqualCheckpointsGiveEqualFiles(t *testing.T) {
	first := written(t)
	for range 20 {
		if !bytes.Equal(written(t), first) {
			t.Fatal("two files of one content differ")
		}
	}
}

func TestEveryDamagedByteIsFound(t *testing.T) {
	whole := written(t)
	path := filepath.Join(t.TempDir(), "c")
	read := func(data []byte) (err error) {
		check(t, os.WriteFile(path, data, 0o600))
		do(t, func() error { _, err = run.Read(path); return nil })
		return err
	}
	check(t, read(whole))
	for n := range whole {
		if err := read(whole[:n]); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for i := range whole {
		for _, bits := range []byte{1, 1 << (i % 8), 0x20, 0xff} {
			data := bytes.Clone(whole)
			data[i] ^= bits
			if err := read(data); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d of %d, %#x for %#x: %v", i, len(whole), data[i], whole[i], err)
			}
		}
	}
	if err := read(append(bytes.Clone(whole), 0)); err == nil {
		t.Fatal("a surplus byte passes")
	}
}

func TestCheckpointsOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	texts := func(texts map[string]string) func() error {
		do(t, func() error { return run.WriteTensors(path, nil, texts) })
		return func() error { _, err := run.Read(path); return err }
	}
	refuse(t, []string{path, "no checkpoint"}, texts(nil))
	refuse(t, []string{path, "unknown version", "it has 77", "reads 2"}, texts(map[string]string{"hdas": `{"version":77,"more":1}`}))
	refuse(t, []string{path, "damaged", "no version"}, texts(map[string]string{"hdas": `{}`}))
	refuse(t, []string{path, "damaged", "surplus"}, texts(map[string]string{"hdas": `{"version":2,"kind":"search","surplus":1}`}))
	refuse(t, []string{path, "damaged", "kind"}, texts(map[string]string{"hdas": `{"version":2}`}))
	refuse(t, []string{path, "damaged", "checksum"}, texts(map[string]string{"hdas": `{"version":2,"kind":"search"}`}))
}

// A checkpoint is a plain safetensors file to others.
func TestCheckpointIsPlain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	check(t, os.WriteFile(path, written(t), 0o600))
	do(t, func() error {
		tensors, texts, err := run.ReadTensors(path)
		if err != nil {
			return err
		}
		if v := tensors["weights/stem.0.weight"]; len(tensors) != 2 || !slices.Equal(v.Float64s(), []float64{1, 1, 1, 1}) || len(texts) != 2 {
			t.Errorf("tensors %v, texts %q", tensors, texts)
		}
		return nil
	})
}

func FuzzReadCheckpoint(f *testing.F) {
	f.Add(written(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "c")
		check(t, os.WriteFile(path, data, 0o600))
		do(t, func() error { run.Read(path); return nil })
	})
}
