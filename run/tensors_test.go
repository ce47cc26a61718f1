package run_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"hdas/internal/testseed"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

var (
	allTypes  = []torch.DType{torch.Bool, torch.Uint8, torch.Int64, torch.Float16, torch.BFloat16, torch.Float32, torch.Float64}
	allShapes = [][]int64{{}, {1}, {0}, {3, 0, 2}, {7}, {2, 3, 5, 1}, {300, 1001}}
)

func TestTensorsComeBackBitForBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	r := testseed.Rand(t, 1)
	for _, none := range []bool{false, true} {
		do(t, func() error {
			var params []nn.Param
			for _, dtype := range allTypes {
				for i, shape := range allShapes {
					n := dtype.Size()
					for _, d := range shape {
						n *= d
					}
					data := make([]byte, n) // any bits, NaNs of all kinds among them
					for j := range data {
						data[j] = byte(r.Uint32())
						if dtype == torch.Bool {
							data[j] &= 1
						}
					}
					params = append(params, nn.Param{Name: fmt.Sprintf("%v <%d>/\"ö\"", dtype, i), Tensor: torch.FromBytes(data, dtype, shape...)})
				}
			}
			texts := map[string]string{"": "", "a": "line\nline <&> \u2028 é \x00", "empty": ""}
			if none {
				params, texts = nil, nil
			}
			if err := run.WriteTensors(path, params, texts); err != nil {
				return err
			}
			got, gotTexts, err := run.ReadTensors(path)
			if err != nil {
				return err
			}
			if len(got) != len(params) || !maps.Equal(gotTexts, texts) {
				t.Fatalf("%d tensors of %d, texts %q, not %q", len(got), len(params), gotTexts, texts)
			}
			for _, p := range params {
				g := got[p.Name]
				if !g.Defined() || g.DType() != p.Tensor.DType() || !slices.Equal(g.Shape(), p.Tensor.Shape()) || !bytes.Equal(g.Bytes(), p.Tensor.Bytes()) {
					t.Errorf("%s came back as %v, not %v", p.Name, g, p.Tensor)
				}
			}
			return nil
		})
	}
}

// The example of the format in the tests of huggingface/safetensors, tensor.rs: test_serialization
// and test_forced_alignement; its texts are those of the format's description.
func TestTensorsAreWrittenAsTheFormatSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	for _, c := range []struct{ name, header string }{
		{"attn.0", `{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}`},
		{"attn0", `{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       `},
	} {
		want := binary.LittleEndian.AppendUint64(nil, uint64(len(c.header)))
		want = append(want, c.header...)
		want, err := binary.Append(want, binary.LittleEndian, []float32{0, 1, 2, 3, 4, 5})
		check(t, err)
		do(t, func() error {
			x := torch.FromFloat32([]float32{0, 1, 2, 3, 4, 5}, 1, 2, 3)
			if c.name == "attn0" {
				x = x.Reshape(1, 1, 2, 3)
			}
			return run.WriteTensors(path, []nn.Param{{Name: c.name, Tensor: x}}, nil)
		})
		got, err := os.ReadFile(path)
		check(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("wrote %q, not %q", got, want)
		}
	}
}

func TestEqualTensorsGiveEqualFiles(t *testing.T) {
	dir := t.TempDir()
	var first []byte
	r := testseed.Rand(t, uint64(time.Now().UnixNano()))
	for i := range 10 {
		path := filepath.Join(dir, fmt.Sprint(i))
		do(t, func() error {
			var params []nn.Param
			for j := range 30 {
				params = append(params, nn.Param{Name: fmt.Sprint("p", j), Tensor: torch.Ones(torch.Options{DType: allTypes[3+j%4]}, int64(j%3))})
			}
			r.Shuffle(len(params), func(a, b int) { params[a], params[b] = params[b], params[a] })
			return run.WriteTensors(path, params, map[string]string{"a": "1", "b": "2", "c": "3"})
		})
		data, err := os.ReadFile(path)
		check(t, err)
		if first == nil {
			first = data
		} else if !bytes.Equal(data, first) {
			t.Fatal("the order of the parameters changes the file")
		}
	}
}

func TestViewsAndWeightsAreWrittenByTheirElements(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	do(t, func() error {
		x := torch.FromFloat32([]float32{0, 1, 2, 3, 4, 5}, 2, 3)
		w := torch.FromFloat32([]float32{7}, 1).SetRequiresGrad(true)
		err := run.WriteTensors(path, []nn.Param{{Name: "part", Tensor: x.Narrow(1, 1, 2)}, {Name: "w", Tensor: w.MulScalar(2)}}, nil)
		if err != nil {
			return err
		}
		got, _, err := run.ReadTensors(path)
		if err != nil {
			return err
		}
		if v := got["part"].Float64s(); !slices.Equal(v, []float64{1, 2, 4, 5}) {
			t.Errorf("part of a tensor is %v", v)
		}
		if got["w"].RequiresGrad() || got["w"].Item() != 14 {
			t.Errorf("weight is %v", got["w"])
		}
		return nil
	})
}

func TestTensorsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t.safetensors")
	check(t, os.WriteFile(path, []byte("as it was"), 0o600))
	for name, c := range map[string]struct {
		names []string
		texts map[string]string
		says  string
	}{
		"twice":    {[]string{"a", "b", "a"}, nil, `"a"`},
		"reserved": {[]string{"__metadata__"}, nil, "__metadata__"},
		"name":     {[]string{"\xff"}, nil, `"\xff"`},
		"text":     {[]string{"a"}, map[string]string{"k": "\xff"}, `"k"`},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, []string{path, c.says}, func() error {
				var params []nn.Param
				for _, n := range c.names {
					params = append(params, nn.Param{Name: n, Tensor: torch.Ones(torch.Options{})})
				}
				return run.WriteTensors(path, params, c.texts)
			})
		})
	}
	refuse(t, []string{path, `"u"`, "undefined"}, func() error { return run.WriteTensors(path, []nn.Param{{Name: "u"}}, nil) })
	refuse(t, []string{"no/such"}, func() error { return run.WriteTensors(filepath.Join(dir, "no/such/t"), nil, nil) })

	// A tensor that was freed meanwhile is a fault of the program and panics; it leaves no file.
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic for a freed tensor")
			}
		}()
		torch.Do(func(*torch.Scope) {
			x := torch.Ones(torch.Options{}).Keep()
			x.Free()
			run.WriteTensors(path, []nn.Param{{Name: "x", Tensor: x}}, nil)
		})
	}()

	files, err := os.ReadDir(dir)
	check(t, err)
	data, err := os.ReadFile(path)
	check(t, err)
	if len(files) != 1 || string(data) != "as it was" {
		t.Errorf("files %v, content %.20q", files, data)
	}
}

// raw is a safetensors file of that header and so many bytes.
func raw(header string, bytes int) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), make([]byte, bytes)...)
}

func TestFilesThatLie(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	for name, data := range map[string][]byte{
		"empty":           {},
		"short":           {1, 2, 3},
		"header too long": {255, 255, 255, 255, 255, 255, 255, 127, '{'},
		"header past end": {200, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
		"no object":       raw(`[]`, 0),
		"text":            []byte("no safetensors file at all, but a text"),
		"other type":      raw(`{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"unknown type":    raw(`{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}}`, 1),
		"gap":             raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4),
		"surplus":         raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 4),
		"missing":         raw(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 4),
		"shape":           raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
		"backwards":       raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}`, 4),
		"vast":            raw(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0),
		"vast times none": raw(`{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}`, 0),
		"no metadata":     raw(`{"__metadata__":{"a":1}}`, 0),
		"null":            raw(`{"a":null}`, 0),
		"deep":            raw(`{"a":{"dtype":`+string(bytes.Repeat([]byte("["), 20000)), 0),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(path, data, 0o600))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			refuse(t, []string{path}, func() error { _, _, err := run.ReadTensors(path); return err })
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<21 {
				t.Errorf("%d bytes allocated for a file of %d", n, len(data))
			}
		})
	}
	refuse(t, []string{path + "x"}, func() error { _, _, err := run.ReadTensors(path + "x"); return err })
}

func FuzzReadTensors(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"a":"b"}}`, 8))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[0,3],"data_offsets":[1,1]}}`, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "t")
		check(t, os.WriteFile(path, data, 0o600))
		do(t, func() error {
			if tensors, texts, err := run.ReadTensors(path); err == nil {
				// What can be read can be written.
				var params []nn.Param
				for name, x := range tensors {
					params = append(params, nn.Param{Name: name, Tensor: x})
				}
				return run.WriteTensors(path, params, texts)
			}
			return nil
		})
	})
}
