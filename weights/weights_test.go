package weights_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/torch/dtype"
	"hdas/weights"
)

// ramp returns 0, 0.5, 1, ..., or n of these numbers in another order.
func ramp(elements ...int) []float64 {
	out := make([]float64, len(elements))
	for i, e := range elements {
		out[i] = float64(e) / 2
	}
	return out
}

var whole = []float64{0, 0, 1, 1, 2} // the ramp as integers

// expected lists what testdata/checkpoints.py writes, in the same order.
var expected = []struct {
	name   string
	dtype  dtype.DType
	shape  []int64
	values []float64
}{
	{"row", dtype.Float32, []int64{2, 3}, ramp(0, 1, 2, 3, 4, 5)},
	{"transposed", dtype.Float32, []int64{3, 2}, ramp(0, 3, 1, 4, 2, 5)},
	{"tail", dtype.Float32, []int64{4}, ramp(20, 21, 22, 23)},
	{"middle", dtype.Float32, []int64{3, 2}, ramp(3, 4, 7, 8, 11, 12)},
	{"head", dtype.Float32, []int64{2}, ramp(0, 1)},
	{"channels_last", dtype.Float32, []int64{1, 4, 2, 2}, ramp(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)},
	{"empty", dtype.Float32, []int64{0, 3}, nil},
	{"scalar", dtype.Int64, nil, []float64{7}},
	{"float64", dtype.Float64, []int64{5}, ramp(0, 1, 2, 3, 4)},
	{"float16", dtype.Float16, []int64{5}, ramp(0, 1, 2, 3, 4)},
	{"bfloat16", dtype.BFloat16, []int64{5}, ramp(0, 1, 2, 3, 4)},
	{"int64", dtype.Int64, []int64{5}, whole},
	{"int32", dtype.Int32, []int64{5}, whole},
	{"int16", dtype.Int16, []int64{5}, whole},
	{"int8", dtype.Int8, []int64{5}, whole},
	{"uint8", dtype.Uint8, []int64{5}, whole},
	{"bool", dtype.Bool, []int64{3}, []float64{1, 0, 1}},
	{"parameter", dtype.Float32, []int64{3}, ramp(0, 1, 2)},
	{"a.name.that.is.longer.than.sixty.four.bytes.which.the.reader.treats.apart", dtype.Float32, []int64{2}, ramp(0, 1)},
}

// values returns an array's elements.
func values(a weights.Array) []float64 {
	var out []float64
	for b := a.Bytes(); len(b) > 0; b = b[a.DType.Size():] {
		switch a.DType {
		case dtype.Float32:
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		case dtype.Float64:
			out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		case dtype.BFloat16:
			out = append(out, float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b))<<16)))
		case dtype.Float16: // normal numbers and zero are enough here
			h := uint32(binary.LittleEndian.Uint16(b))
			if h != 0 {
				h = (h>>10+112)<<23 | h&0x3ff<<13
			}
			out = append(out, float64(math.Float32frombits(h)))
		default:
			var n uint64
			for i := range a.DType.Size() {
				n |= uint64(b[i]) << (8 * i)
			}
			out = append(out, float64(n))
		}
	}
	return out
}

func check(t *testing.T, f weights.File) {
	t.Helper()
	if len(f.Entries) != len(expected) {
		t.Fatalf("%d tensors, not %d", len(f.Entries), len(expected))
	}
	for i, want := range expected {
		got := f.Entries[i]
		if got.Name != want.name || got.DType != want.dtype || !slices.Equal(got.Shape, want.shape) || !slices.Equal(values(got.Array), want.values) {
			t.Errorf("%s %s %v %v, not %+v", got.Name, got.DType, got.Shape, values(got.Array), want)
		}
	}
}

func TestReadsBothFormsOfPyTorch(t *testing.T) {
	for file, key := range map[string]string{
		"bare-zip.pt": "", "bare-legacy.pt": "", "protocol4-zip.pt": "",
		"nested-zip.pth.tar": "state_dict", "nested-legacy.pth.tar": "state_dict",
	} {
		t.Run(file, func(t *testing.T) {
			f, err := weights.Read(filepath.Join("testdata", file), "")
			if err != nil {
				t.Fatal(err)
			}
			if f.Key != key {
				t.Errorf("read under the key %q, not %q", f.Key, key)
			}
			check(t, f)
		})
	}
}

func TestKeys(t *testing.T) {
	f, err := weights.Read("testdata/nested-zip.pth.tar", "ema")
	if err != nil || len(f.Entries) != 3 || !slices.Equal(values(f.Entries[0].Array), ramp(2, 3, 4, 5, 6, 7)) {
		t.Errorf("%v, %v", f, err)
	}
	if _, err := weights.Read("testdata/nested-zip.pth.tar", "nothing"); err == nil || !strings.Contains(err.Error(), "state_dict (19 tensors), ema (3 tensors)") {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	legacy, err := os.ReadFile("testdata/bare-legacy.pt")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":           {nil, "neither"},
		"text":              {[]byte("this is no checkpoint, whatever its name says"), "neither"},
		"a tar archive":     {append(bytes.Repeat([]byte{0}, 257), "ustar\x0000"...), "tar archive"},
		"a cut legacy file": {legacy[:len(legacy)-1], "cut"},
		"a pickle alone":    {[]byte("\x80\x02}q\x00."), "neither"},
	} {
		if _, err := weights.Parse(c.data, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", what, err, c.want)
		}
	}
	if _, err := weights.Read("testdata/module-zip.pt", ""); err == nil || !strings.Contains(err.Error(), `"torch.nn.modules.linear.Linear"`) || !strings.Contains(err.Error(), "state_dict") {
		t.Errorf("a whole module: %v", err)
	}
	if _, err := weights.Read("testdata", ""); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

// A written file has the same content as PyTorch's own file of the same tensors, and its elements are
// aligned.
func TestWriteTorch(t *testing.T) {
	f, err := weights.Read("testdata/bare-zip.pt", "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := weights.WriteTorch(&out, "written", f.Entries); err != nil {
		t.Fatal(err)
	}
	again, err := weights.Parse(out.Bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	check(t, again)
	for i, e := range again.Entries {
		at := bytes.Index(out.Bytes(), []byte(fmt.Sprintf("written/data/%d", i)))
		if b := e.Bytes(); len(b) > 0 {
			if from := bytes.Index(out.Bytes()[at:], b) + at; from%64 != 0 && !bytes.Equal(out.Bytes()[(at+63+4+15)/64*64:][:len(b)], b) {
				t.Errorf("storage %d begins at %d", i, from)
			}
		}
	}
	if err := weights.WriteTorch(&out, "x", []weights.Entry{{Name: "x", Array: weights.NewArray(99, nil, nil)}}); err == nil {
		t.Error("a type that is not known was written")
	}
}

// Files of PyTorch before 0.4: tensors from a GPU, made by a function with fewer arguments, in a storage
// that is a view of another.
func TestReadsTheOldestForm(t *testing.T) {
	program := "\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor\n((X\x07\x00\x00\x00storagectorch.cuda\nFloatStorage\nX\x04\x00\x00\x00rootX\x06\x00\x00\x00cuda:0K\x05" +
		"(X\x04\x00\x00\x00viewK\x02K\x03ttQK\x01(K\x02t(K\x01ttRs."
	data := []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s." + program + "]X\x04\x00\x00\x00roota.")
	data = binary.LittleEndian.AppendUint64(data, 5)
	data, err := binary.Append(data, binary.LittleEndian, []float32{0, 0.5, 1, 1.5, 2})
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(data, "")
	if err != nil || len(f.Entries) != 1 || !slices.Equal(values(f.Entries[0].Array), ramp(3, 4)) {
		t.Errorf("%v, %v", f, err)
	}
	big := bytes.Replace(data, []byte("endian\x88"), []byte("endian\x89"), 1)
	if _, err := weights.Parse(big, ""); err == nil || !strings.Contains(err.Error(), "big-endian") {
		t.Errorf("from a big-endian machine: %v", err)
	}
}
