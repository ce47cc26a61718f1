package weights_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/internal/testseed"
	"hdas/torch/dtype"
	"hdas/weights"
)

// In the files of testdata/others.py, which contain a state dict in various forms, the network's tensors are
// found with their own names, and notices mention what was skipped.
func TestReadsWhatIsSavedAround(t *testing.T) {
	for name, c := range map[string]struct {
		key, notice string
		more        []string // names of further tensors
	}{
		"averaged": {}, "wrapped": {}, "nested": {},
		"counter": {key: "model"}, "dtypes": {key: "model"}, "sets": {key: "model"}, "protocol4": {key: "model"}, "foreign": {key: "model"},
		"tuple": {key: "1"}, "list": {key: "0.net"},
		"mixed":    {more: []string{"stem.1.weight"}},
		"two":      {more: []string{"ema.stem.0.weight", "ema.cells.0.w", "ema.classifier.bias"}},
		"profiled": {notice: "3 counters of a profiler were passed over: total_ops, total_params, cells.0.total_ops"},
		"beside":   {notice: `3 entries beside its tensors are none and were passed over: "epoch", "best", "note"`},
		"shared":   {more: []string{"again", "part"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := weights.Read(filepath.Join("testdata/others", name+".pt"), "")
			if err != nil {
				t.Fatal(err)
			}
			want := append([]string{"stem.0.weight", "cells.0.w", "classifier.bias"}, c.more...)
			var names []string
			for _, e := range f.Entries {
				names = append(names, e.Name)
			}
			if !slices.Equal(names, want) || f.Key != c.key || strings.Join(f.Notices, "\n") != c.notice {
				t.Errorf("tensors %q under %q; notices %q", names, f.Key, f.Notices)
			}
			if got := values(f.Entries[0].Array); !slices.Equal(got, []float64{0, 1, 2, 3, 4, 5}) {
				t.Errorf("elements %v", got)
			}
			if own, faults := f.Own(); len(own) != len(want) || len(faults) != 0 {
				t.Errorf("%d tensors, %v", len(own), faults)
			}
		})
	}
}

// A second name of one of the network's tensors is not a fault; another tensor in the same storage is.
func TestSharedTensorsAreNotSurplus(t *testing.T) {
	f, err := weights.Read("testdata/others/shared.pt", "")
	if err != nil {
		t.Fatal(err)
	}
	own, _ := f.Own()
	want := []weights.Want{{Name: "stem.0.weight", Shape: []int64{2, 3}}, {Name: "cells.0.w", Shape: []int64{2}}, {Name: "classifier.bias", Shape: []int64{3}}}
	if found, faults := weights.Match(own, want); len(found) != 3 || len(faults) != 1 || !strings.Contains(faults[0].Error(), "part [3] is not a parameter") {
		t.Errorf("%v, %v", found, faults)
	}
}

// Compressed archives and archives without checksums are read, as by PyTorch.
func TestArchivesOfOthers(t *testing.T) {
	data, err := os.ReadFile("testdata/bare-zip.pt")
	if err != nil {
		t.Fatal(err)
	}
	var packed, unsummed bytes.Buffer
	p, u := zip.NewWriter(&packed), zip.NewWriter(&unsummed)
	for name, content := range members(t, data) {
		size := uint64(len(content))
		into, err := p.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := u.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: 12345, CompressedSize64: size, UncompressedSize64: size})
		if err != nil {
			t.Fatal(err)
		}
		into.Write(content)
		raw.Write(content)
	}
	if err := errors.Join(p.Close(), u.Close()); err != nil {
		t.Fatal(err)
	}
	for notice, file := range map[string][]byte{"": packed.Bytes(), "the file has no checksums that would show damage": unsummed.Bytes()} {
		f, err := weights.Parse(file, "")
		if err != nil {
			t.Fatal(err)
		}
		check(t, f)
		if got := strings.Join(f.Notices, "\n"); got != notice {
			t.Errorf("notices %q, not %q", got, notice)
		}
		if _, faults := f.Own(); faults != nil {
			t.Error(faults)
		}
	}
}

// Errors distinguish damaged and unsupported files, and name other formats.
func TestCallsFilesWhatTheyAre(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole, legacy := read("bare-zip.pt"), read("bare-legacy.pt")
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(flipped, []byte("channels_last"))] ^= 1
	for what, c := range map[string]struct {
		data []byte
		kind error
		want string
	}{
		"a sparse tensor":      {read("others/unsupported.pt"), weights.ErrUnsupported, `tensor "stem.0.weight": unsupported: it is a sparse tensor`},
		"an object":            {read("others/class.pt"), weights.ErrUnsupported, `"torch.utils.data.sampler.RandomSampler"`},
		"a module":             {read("module-zip.pt"), weights.ErrUnsupported, "state_dict"},
		"a cut archive":        {whole[:len(whole)-100], weights.ErrDamaged, "cut"},
		"a changed archive":    {flipped, weights.ErrDamaged, "checksum"},
		"a cut older file":     {legacy[:len(legacy)-1], weights.ErrDamaged, "cut"},
		"a cut program":        {legacy[:100], weights.ErrDamaged, "its facts"},
		"a cut safetensors":    {header(`{"x":{"dtype":"F32","data_offsets":[0,4],"shape":[1]}}`), weights.ErrDamaged, "neither"},
		"text":                 {[]byte("hello, this is no checkpoint"), weights.ErrUnsupported, "neither"},
		"a Git LFS pointer":    {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 13\n"), weights.ErrUnsupported, "git lfs pull"},
		"an HTML page":         {[]byte("\n<!DOCTYPE html>\n<html><title>Sign in</title>"), weights.ErrUnsupported, "an HTML page"},
		"an HDF5 file":         {[]byte("\x89HDF\r\n\x1a\n0123456789"), weights.ErrUnsupported, "HDF5"},
		"another zip archive":  {pack(t, 0, "readme.txt", "hello"), weights.ErrUnsupported, "no checkpoint of PyTorch"},
		"an opcode of Python":  {pack(t, 0, "a/data.pkl", "\x80\x02I1\n."), weights.ErrUnsupported, "opcode 0x49"},
		"a byte that is no op": {pack(t, 0, "a/data.pkl", "\x80\x02\xff."), weights.ErrDamaged, "opcode 0xff"},
	} {
		_, err := weights.Parse(c.data, "")
		other := weights.ErrDamaged
		if c.kind == other {
			other = weights.ErrUnsupported
		}
		if !errors.Is(err, c.kind) || errors.Is(err, other) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v is not %v, or does not say %q", what, err, c.kind, c.want)
		}
	}
	if _, err := weights.Read("/dev/zero", ""); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("an endless file: %v", err)
	}
}

// A safetensors file is read even if its first bytes are those of another format.
func TestSizesThatLookLikeOtherFiles(t *testing.T) {
	text := `{"x":{"dtype":"F32","data_offsets":[0,4],"shape":[1]}}`
	text += strings.Repeat(" ", 0x8b1f-len(text)) // the header's size is stored as the first bytes of a gzip file
	f, err := weights.Parse(append(header(text), 0, 0, 0, 0), "")
	if err != nil || len(f.Entries) != 1 || f.Entries[0].DType != dtype.Float32 {
		t.Errorf("%v, %v", f, err)
	}
}

// Damaged pickles of these files give errors, without panics or much memory.
func TestMutatedOthers(t *testing.T) {
	for i, data := range others(t) {
		r := testseed.Rand(t, uint64(i))
		for range 200 {
			damaged := rewrite(t, data, func(name string, content []byte) []byte {
				if strings.HasSuffix(name, "data.pkl") {
					return mutate(r, content)
				}
				return content
			})
			parse(t, "a mutation", damaged)
		}
	}
}

func others(t testing.TB) (files [][]byte) {
	paths, _ := filepath.Glob("testdata/others/*.pt")
	if len(paths) < 15 {
		t.Fatalf("%d files", len(paths))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

func FuzzOthers(f *testing.F) {
	for _, data := range others(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { parse(t, "fuzzed", data) })
}
