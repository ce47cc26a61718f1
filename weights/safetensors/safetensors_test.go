package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hdas/torch/dtype"
	"hdas/weights/safetensors"
)

var allShapes = [][]int64{{}, {1}, {0}, {3, 0, 2}, {7}, {2, 3, 5, 1}, {300, 1001}}

// tensor returns a tensor with that name and these elements.
func tensor(name string, d dtype.DType, data []byte, shape ...int64) safetensors.Tensor {
	return safetensors.Tensor{Name: name, DType: d, Shape: shape, Bytes: func() []byte { return data }}
}

func write(t testing.TB, f safetensors.File) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := safetensors.Write(&out, f); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// equal compares the tensors of two files, sorted by name.
func equal(t testing.TB, got, want []safetensors.Tensor) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, not %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(g.Bytes(), w.Bytes()) {
			t.Errorf("%q of %v %v, not %q of %v %v; or other elements", g.Name, g.DType, g.Shape, w.Name, w.DType, w.Shape)
		}
	}
}

func TestTensorsComeBackBitForBit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var tensors []safetensors.Tensor
	for d := dtype.DType(0); d.Known(); d++ {
		for i, shape := range allShapes {
			x := tensor(fmt.Sprintf("%v <%d>/\"ö\"", d, i), d, nil, shape...)
			data := make([]byte, x.Size())
			for j := range data {
				data[j] = byte(r.Uint32())
			}
			x.Bytes = func() []byte { return data }
			tensors = append(tensors, x)
		}
	}
	slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	texts := map[string]string{"": "", "a": "line\nline <&> \u2028 é \x00", "empty": ""}
	for _, f := range []safetensors.File{{}, {Tensors: tensors}, {Texts: texts}, {Tensors: tensors, Texts: texts}} {
		got, err := safetensors.Parse(write(t, f))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got.Tensors, f.Tensors)
		if !maps.Equal(got.Texts, f.Texts) {
			t.Errorf("texts %q, not %q", got.Texts, f.Texts)
		}
	}
}

// The example of the format in the tests of huggingface/safetensors, tensor.rs: test_serialization
// and test_forced_alignement.
func TestFilesAreWrittenAsTheFormatSays(t *testing.T) {
	data, err := binary.Append(nil, binary.LittleEndian, []float32{0, 1, 2, 3, 4, 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, header string
		shape        []int64
	}{
		{"attn.0", `{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}`, []int64{1, 2, 3}},
		{"attn0", `{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       `, []int64{1, 1, 2, 3}},
	} {
		want := append(binary.LittleEndian.AppendUint64(nil, uint64(len(c.header))), c.header...)
		want = append(want, data...)
		if got := write(t, safetensors.File{Tensors: []safetensors.Tensor{tensor(c.name, dtype.Float32, data, c.shape...)}}); !bytes.Equal(got, want) {
			t.Errorf("wrote %q, not %q", got, want)
		}
	}
}

func TestEqualContentGivesEqualFiles(t *testing.T) {
	f := safetensors.File{Texts: map[string]string{"a": "1", "b": "2", "c": "3"}}
	for i := range 30 {
		d := dtype.DType(i % 7)
		f.Tensors = append(f.Tensors, tensor(fmt.Sprint("p", i), d, make([]byte, d.Size()*int64(i%3)), int64(i%3)))
	}
	first := write(t, f)
	for range 10 {
		rand.Shuffle(len(f.Tensors), func(a, b int) { f.Tensors[a], f.Tensors[b] = f.Tensors[b], f.Tensors[a] })
		if !bytes.Equal(write(t, f), first) {
			t.Fatal("the order of the tensors changes the file")
		}
	}
	// The elements of each tensor lie aligned.
	for i := range f.Tensors {
		d := f.Tensors[i].DType
		f.Tensors[i] = tensor(f.Tensors[i].Name, d, bytes.Repeat([]byte{byte(i + 1)}, int(d.Size())))
	}
	file := write(t, f)
	for i, x := range f.Tensors {
		if at := bytes.LastIndex(file, x.Bytes()); at%int(x.DType.Size()) != 0 {
			t.Errorf("tensor %d of %v begins at %d", i, x.DType, at)
		}
	}
}

func TestFilesThatCannotBeWritten(t *testing.T) {
	var many []safetensors.Tensor
	for i := range 60_000 {
		many = append(many, tensor(fmt.Sprintf("%050d", i), dtype.Float32, nil, 0))
	}
	texts := map[string]string{}
	for i := range 4097 {
		texts[fmt.Sprint(i)] = ""
	}
	one := func(names ...string) (tensors []safetensors.Tensor) {
		for _, n := range names {
			tensors = append(tensors, tensor(n, dtype.Uint8, []byte{1}))
		}
		return tensors
	}
	for name, c := range map[string]struct {
		f    safetensors.File
		says string
	}{
		"twice":      {safetensors.File{Tensors: one("a", "b", "a")}, `"a"`},
		"reserved":   {safetensors.File{Tensors: one("__metadata__")}, "__metadata__"},
		"name":       {safetensors.File{Tensors: one("\xff")}, `"\xff"`},
		"text":       {safetensors.File{Tensors: one("a"), Texts: map[string]string{"k": "\xff"}}, `"k"`},
		"texts":      {safetensors.File{Texts: texts}, "4097 metadata entries"},
		"elements":   {safetensors.File{Tensors: []safetensors.Tensor{tensor("a", dtype.Float32, make([]byte, 5), 1)}}, "5 bytes"},
		"dimensions": {safetensors.File{Tensors: []safetensors.Tensor{tensor("a", dtype.Uint8, nil, make([]int64, 17)...)}}, "dimensions"},
		"negative":   {safetensors.File{Tensors: []safetensors.Tensor{tensor("a", dtype.Uint8, nil, -1)}}, "dimension"},
		"header":     {safetensors.File{Tensors: many}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := safetensors.Write(&bytes.Buffer{}, c.f); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	broken := fmt.Errorf("no space left")
	for n := range 3 {
		if err := safetensors.Write(&failing{n, broken}, safetensors.File{Tensors: one("a", "b")}); err != broken {
			t.Errorf("write %d fails: %v", n, err)
		}
	}
}

// failing fails at write n.
type failing struct {
	n   int
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n == 0 {
		return 0, f.err
	}
	f.n--
	return len(p), nil
}

// raw returns a file with that header and the given number of bytes of elements.
func raw(header string, elements int) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), make([]byte, elements)...)
}

// fill returns a header of four million bytes that repeats an entry, with a number in place of %d.
func fill(before, entry, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; b.Len() < 4<<20-100; i++ {
		fmt.Fprintf(&b, entry, i)
	}
	return b.String() + after
}

var last = `"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`

func TestFilesThatLie(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":            {nil, "no header"},
		"short":            {[]byte{1, 2, 3}, "no header"},
		"header too long":  {[]byte{255, 255, 255, 255, 255, 255, 255, 127, '{'}, "header"},
		"header of 2^64":   {[]byte{255, 255, 255, 255, 255, 255, 255, 255, '{'}, "header"},
		"header past end":  {[]byte{200, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, "header"},
		"header too large": {raw(fill("{", "        ", "}"+strings.Repeat(" ", 3<<20)), 0), "header"},
		"no object":        {raw(`[]`, 0), "object"},
		"no JSON":          {raw(`{"a":`, 0), "header"},
		"two objects":      {raw(`{}{}`, 0), "follows"},
		"text":             {[]byte("no safetensors file at all, but a text"), "header"},
		"other type":       {raw(`{"a":{"dtype":"U32","shape":[1],"data_offsets":[0,4]}}`, 4), "U32"},
		"unknown type":     {raw(`{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}}`, 1), "F8"},
		"no type":          {raw(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), "type"},
		"no shape":         {raw(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "shape"},
		"no offsets":       {raw(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "data_offsets"},
		"one offset":       {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1), "data_offsets"},
		"three offsets":    {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1), "data_offsets"},
		"null shape":       {raw(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, 1), "header"},
		"surplus key":      {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"b":1}}`, 1), "header"},
		"other case":       {raw(`{"a":{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "keys"},
		"key twice":        {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"shape":[1]}}`, 1), "keys"},
		"both cases":       {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"Shape":[1]}}`, 1), "keys"},
		"escaped key":      {raw(`{"a":{"dtype":"U8","shap\u0065":[1],"data_offsets":[0,1]}}`, 1), "keys"},
		"fractions":        {raw(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), "header"},
		"negative":         {raw(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}`, 0), "header"},
		"two negatives":    {raw(`{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1), "header"},
		"twice":            {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `"a"`},
		"gap":              {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4), `"a"`},
		"overlap":          {raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), `"b"`},
		"surplus":          {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 4), "1 of 4 bytes"},
		"missing":          {raw(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 4), `"a"`},
		"shape":            {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), `"a"`},
		"backwards":        {raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}`, 4), `"a"`},
		"vast":             {raw(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "dimension"},
		"vast product":     {raw(`{"a":{"dtype":"F32","shape":[2147483648,2147483648,4],"data_offsets":[0,0]}}`, 0), `"a"`},
		"vast times none":  {raw(`{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}`, 0), "header"},
		"dimensions":       {raw(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 16)+`1],"data_offsets":[0,4]}}`, 4), "17 numbers"},
		"no metadata":      {raw(`{"__metadata__":{"a":1}}`, 0), `"a"`},
		"metadata twice":   {raw(`{"__metadata__":{},"__metadata__":{}}`, 0), "__metadata__"},
		"metadata null":    {raw(`{"__metadata__":null}`, 0), "object"},
		"many texts":       {raw(fill(`{"__metadata__":{`, `"%d":"",`, `"x":""},`+last), 1), "more than 4096 entries"},
		"null":             {raw(`{"a":null}`, 0), "header"},
		"deep":             {raw(`{"a":{"dtype":`+strings.Repeat("[", 20000), 0), "header"},
		"a shape of zeros": {raw(`{"a":{"dtype":"F32","data_offsets":[0,0],"shape":[`+strings.Repeat("0,", 900_000)+`0]}}`, 0), "900001 numbers"},
		"many tensors":     {raw(fill("{", `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, last), 1), ""},
		"many dimensions":  {raw(fill("{", `"%d":{"dtype":"U8","shape":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"data_offsets":[0,0]},`, last), 1), ""},
		"many places":      {raw(fill("{", `"data_offsets"`, last), 1), "header"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := safetensors.Parse(c.data)
			runtime.ReadMemStats(&after)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(10*len(c.data)+1<<19) {
				t.Errorf("%d bytes allocated for a file of %d", n, len(c.data))
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	x := tensor("x", dtype.Int16, []byte{1, 2, 3, 4}, 2)
	data := write(t, safetensors.File{Tensors: []safetensors.Tensor{x}, Texts: map[string]string{"a": "b"}})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, f.Tensors, []safetensors.Tensor{x})
	if texts, err := safetensors.ReadTexts(path); err != nil || len(texts) != 1 || texts["a"] != "b" {
		t.Errorf("texts %v, %v", texts, err)
	}
	if err := os.WriteFile(path, data[:len(data)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Dir(path), path + "x"} {
		if _, err := safetensors.Read(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
		if _, err := safetensors.ReadTexts(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("texts of %s: %v", p, err)
		}
	}
}

// A large file without content is refused without its size in memory.
func TestLargeAndEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.safetensors")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<31); err != nil {
		t.Skip(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := safetensors.Read(path)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<24 {
		t.Errorf("%v, %d bytes", err, after.TotalAlloc-before.TotalAlloc)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"a":"b"}}`, 8))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[0,3],"data_offsets":[1,1]}}`, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := safetensors.Parse(data); err == nil {
			// A file that can be read can be written, and reading that gives the same.
			again, err := safetensors.Parse(write(t, file))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, again.Tensors, file.Tensors)
		}
	})
}
