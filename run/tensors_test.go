package run_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hdas/internal/testseed"
	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

var (
	allTypes  = []torch.DType{torch.Bool, torch.Uint8, torch.Int8, torch.Int16, torch.Int32, torch.Int64, torch.Float16, torch.BFloat16, torch.Float32, torch.Float64}
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
					params = append(params, nn.Param{Name: fmt.Sprintf("%v <%d>/\"ö\"", dtype, i), Tensor: torch.FromBytes(data, dtype, shape...).ToDevice(torchtest.Device())})
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

func TestViewsAndWeightsAreWrittenByTheirElements(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	do(t, func() error {
		x := torchtest.Float32s([]float32{0, 1, 2, 3, 4, 5}, 2, 3)
		w := torchtest.Float32s([]float32{7}, 1).SetRequiresGrad(true)
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
					params = append(params, nn.Param{Name: n, Tensor: torch.Ones(torchtest.Options(torch.Float32))})
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
		torch.Do(func(*torch.Scope) error {
			x := torch.Ones(torchtest.Options(torch.Float32)).Keep()
			x.Free()
			run.WriteTensors(path, []nn.Param{{Name: "x", Tensor: x}}, nil)
			return nil
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

// What else a file may say that is not so is tested where it is read, in weights/safetensors.
func TestFilesThatLie(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	for name, data := range map[string][]byte{
		"empty":      {},
		"text":       []byte("no safetensors file at all, but a text"),
		"other type": raw(`{"a":{"dtype":"U32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"missing":    raw(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 4),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(path, data, 0o600))
			refuse(t, []string{path}, func() error { _, _, err := run.ReadTensors(path); return err })
		})
	}
	refuse(t, []string{path + "x"}, func() error { _, _, err := run.ReadTensors(path + "x"); return err })
}

func FuzzReadTensors(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"a":"b"}}`, 8))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[0,3],"data_offsets":[1,1]}}`, 1))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[0,2147483648,2147483648,2147483648],"data_offsets":[0,0]}}`, 0))
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
