package weights_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hdas/internal/testseed"
	"hdas/weights"
)

// slack is the memory that reading a file may take besides twice its size: what a pickle with the number
// of opcodes that is always allowed can make.
const slack = 40 << 20

// parse reads hostile data and measures all memory that was allocated meanwhile, an upper bound of the
// memory in use.
func parse(t *testing.T, what string, data []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := weights.Parse(data, "")
	if err == nil {
		own, faults := f.Own()
		for _, e := range own {
			e.Bytes()
		}
		err = weights.Faults(faults)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(2*len(data)+slack) {
		t.Errorf("%s: %d bytes for a file of %d", what, used, len(data))
	}
	if err != nil && len(err.Error()) > 1000 {
		t.Errorf("%s: an error of %d bytes", what, len(err.Error()))
	}
	return err
}

func seeds(t testing.TB) map[string][]byte {
	paths, _ := filepath.Glob("testdata/*.pt*")
	if len(paths) != 6 {
		t.Fatalf("%d files in testdata; its script writes 6", len(paths))
	}
	files := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = data
	}
	return files
}

// Ten thousand damaged files: each is read or refused, without a panic, a hang or much memory.
func TestMutatedCheckpoints(t *testing.T) {
	read, refused := 0, 0
	for path, data := range seeds(t) {
		r := testseed.Rand(t, uint64(len(path)))
		for i := range 10_000 / 6 / 2 {
			// Damage the file itself or, in an archive, only its pickle, with valid checksums.
			for _, inside := range []bool{false, true} {
				var damaged []byte
				if inside && bytes.HasPrefix(data, []byte("PK")) {
					damaged = rewrite(t, data, func(name string, content []byte) []byte {
						if strings.HasSuffix(name, "data.pkl") {
							return mutate(r, content)
						}
						return content
					})
				} else {
					damaged = mutate(r, data)
				}
				if parse(t, fmt.Sprintf("%s, mutation %d", path, i), damaged) == nil {
					read++
				} else {
					refused++
				}
			}
		}
	}
	if read < 100 || refused < 1000 {
		t.Errorf("%d read, %d refused: the damage is of one kind", read, refused)
	}
}

// mutate damages a copy of data in one to four places.
func mutate(r *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + r.IntN(4) {
		if len(data) < 2 {
			break
		}
		at := r.IntN(len(data))
		n := 1 + r.IntN(min(16, len(data)-at))
		switch r.IntN(7) {
		case 0:
			data[at] ^= 1 << r.IntN(8)
		case 1:
			data[at] = []byte{0, 1, 0x7f, 0x80, 0xff, '.', '(', 'h', 'Q', 'R', 't'}[r.IntN(11)]
		case 2: // a large number
			for i := range min(n, 8) {
				data[at+i] = 0xff
			}
		case 3:
			data = append(data[:at], data[at+n:]...)
		case 4:
			data = append(data[:at+n], data[at:]...)
		case 5:
			copy(data[r.IntN(len(data)):], data[at:at+n])
		case 6:
			if r.IntN(4) == 0 {
				data = data[:at]
			}
		}
	}
	return data
}

// rewrite returns a copy of an archive with valid checksums. change returns the new content of each member;
// nil leaves the member out.
func rewrite(t *testing.T, archive []byte, change func(name string, content []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range members(t, archive) {
		if content = change(name, content); content == nil {
			continue
		}
		m, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		m.Write(content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// members yields the names and contents of an archive's members in order.
func members(t *testing.T, archive []byte) iter.Seq2[string, []byte] {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, []byte) bool) {
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(f.Name, content) {
				return
			}
		}
	}
}

// pack returns an archive of these members.
func pack(t *testing.T, method uint16, members ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(12, func(w io.Writer) (io.WriteCloser, error) { return closer{w}, nil })
	for i := 0; i < len(members); i += 2 {
		m, err := w.CreateHeader(&zip.FileHeader{Name: members[i], Method: method})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(m, members[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// closer is a compressor that copies its input.
type closer struct{ io.Writer }

func (closer) Close() error { return nil }

// sized returns the pickle of one tensor in a storage of count float32 elements; the arguments are opcodes.
func sized(count, offset, shape, strides string) string {
	return "\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" +
		count + "tQ" + offset + "(" + shape + "t(" + strides + "t\x89NtRs."
}

// Files that would do harm if their numbers, references and sizes were trusted.
func TestHostileCheckpoints(t *testing.T) {
	four := string(make([]byte, 16))
	const most, minus = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "J\xff\xff\xff\xff"
	one := func(program string) []byte { return pack(t, zip.Store, "a/data.pkl", program, "a/data/0", four) }
	tensor := func(count, offset, shape, strides string) []byte { return one(sized(count, offset, shape, strides)) }
	if f, err := weights.Parse(tensor("K\x04", "K\x00", "K\x02K\x02", "K\x02K\x01"), ""); err != nil || len(f.Entries) != 1 {
		t.Fatalf("the tensor that the others are made of: %v", err)
	}
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"a member of another method": {pack(t, 12, "a/data.pkl", "N."), "compressed by method 12"},
		"a bomb of a gigabyte":       {pack(t, zip.Deflate, "a/data.pkl", strings.Repeat("N", 1<<24)+"."), "compressed"},
		"no program":                 {pack(t, zip.Store, "a/x", "N."), "without the member"},
		"two members of one name":    {pack(t, zip.Store, "a/data.pkl", "N.", "a/data.pkl", "N."), "two members"},
		"TorchScript":                {pack(t, zip.Store, "a/data.pkl", "N.", "a/constants.pkl", "N."), "TorchScript"},
		"big-endian":                 {pack(t, zip.Store, "a/data.pkl", "N.", "a/byteorder", "big"), "byte order"},
		"many members":               {pack(t, zip.Store, many(20_000)...), "members"},
		"os.system":                  {one("cos\nsystem\n(U\x02lstR."), `"os.system"`},
		"eval":                       {one("c__builtin__\neval\n(U\x02lstR."), `"__builtin__.eval"`},
		"a shape of 2^63":            {tensor("K\x04", "K\x00", most, "K\x01"), "not made of"},
		"a negative shape":           {tensor("K\x04", "K\x00", minus, "K\x01"), "not made of"},
		"a negative offset":          {tensor("K\x04", minus, "K\x01", "K\x01"), "not made of"},
		"a negative stride":          {tensor("K\x04", "K\x03", "K\x02", minus), "not made of"},
		"an offset too large":        {tensor("K\x04", "K\x04", "K\x01", "K\x01"), "leads out"},
		"a stride too large":         {tensor("K\x04", "K\x00", "K\x02", "K\x04"), "leads out"},
		"strides of 2^31":            {tensor("K\x04", "K\x00", "K\x02K\x02", "\x8a\x05\x00\x00\x00\x80\x00\x8a\x05\x00\x00\x00\x80\x00"), "out of its storage"},
		"a product of 2^64":          {tensor("K\x04", "K\x00", strings.Repeat("\x8a\x05\x00\x00\x00\x40\x00", 3), "K\x00K\x00K\x00"), "too many elements"},
		"an expanded element":        {tensor("K\x04", "K\x00", "J\x00\x00\x00\x10", "K\x00"), "more elements than its storage"},
		"seventeen dimensions":       {tensor("K\x04", "K\x00", strings.Repeat("K\x01", 17), strings.Repeat("K\x01", 17)), "not made of"},
		"strides for nothing":        {tensor("K\x04", "K\x00", "K\x01", ""), "not made of"},
		"a storage larger than all":  {tensor("J\x00\x00\x00\x10", "K\x00", "K\x01", "K\x01"), "16 bytes, not 268435456"},
		"a storage of 2^63":          {tensor(most, "K\x00", "K\x01", "K\x01"), "no known type"},
		"one storage, two sizes": {one("(" + strings.TrimSuffix(sized("K\x04", "K\x00", "K\x01", "K\x01"), ".")[2:] +
			strings.TrimSuffix(sized("K\x03", "K\x00", "K\x01", "K\x01"), ".")[2:] + "t."), "two types or sizes"},
		"a storage that is not there": {pack(t, zip.Store, "a/data.pkl", sized("K\x04", "K\x00", "K\x01", "K\x01")), "without the member"},
		"many views of one storage":   {pack(t, zip.Store, "a/data.pkl", views(3000), "a/data/0", string(make([]byte, 16_000))), "overlap"},
		"dicts nested values":         {one("}q\x00" + strings.Repeat("X\x01\x00\x00\x00ah\x00s", 3) + "."), "no dict of tensors"},
		"dicts of dicts of dicts":     {one(mesh(60)), "no dict of tensors"},
		"lists in lists":              {one(strings.Repeat("]", 120_000) + "."), "no dict of tensors"},
		"marks":                       {one(strings.Repeat("(", 120_000) + "."), "nested values"},
		"ordered dicts":               {one("ccollections\nOrderedDict\nq\x00" + strings.Repeat("h\x00)R", 40_000) + "."), "no dict of tensors"},
		"instances":                   {one("cargparse\nNamespace\nq\x00" + strings.Repeat("h\x00)\x81", 40_000) + "."), "no dict of tensors"},
		"memos":                       {one(strings.Repeat("]\x94", 60_000) + "."), "no dict of tensors"},
		"a header of 2^63 bytes":      {binary.LittleEndian.AppendUint64(nil, 1<<63), "neither"},
		"a header of numbers":         {header(`{"x":{"dtype":"F32","data_offsets":[0,0],"shape":[` + strings.Repeat("0,", 100_000) + `0]}}`), ""},
		"a header too large":          {header(`{"x":{"dtype":"F32","data_offsets":[0,0],"shape":[` + strings.Repeat("0,", 900_000) + `0]}}`), "header"},
		"a shape of 2^62":             {header(`{"x":{"dtype":"F32","data_offsets":[0,0],"shape":[0,4611686018427387904]}}`), "dimension"},
	} {
		t.Run(what, func(t *testing.T) {
			err := parse(t, what, c.data)
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v does not say %q", err, c.want)
			}
		})
	}
}

func many(n int) []string {
	var members []string
	for i := range n {
		members = append(members, fmt.Sprint(i), "")
	}
	return members
}

// views returns the given number of tensors, which share one storage of 4,000 elements and have different
// sizes.
func views(n int) string {
	var out strings.Builder
	out.WriteString("}(")
	for i := range n {
		size := string(binary.LittleEndian.AppendUint16([]byte("M"), uint16(4000-i)))
		one := sized("M\xa0\x0f", "K\x00", strings.Repeat("K\x01", i%14)+size, strings.Repeat("K\x01", i%14)+"K\x01")
		fmt.Fprintf(&out, "X\x05\x00\x00\x00%05d", i)
		out.WriteString(one[strings.Index(one, "ctorch._utils") : len(one)-2])
	}
	return out.String() + "u."
}

// mesh returns a chain of dicts. All keys of a dict lead to the next dict.
func mesh(n int) string {
	var out strings.Builder
	out.WriteString("}q\x00")
	for range n {
		out.WriteString("}(")
		for k := range n {
			fmt.Fprintf(&out, "X\x02\x00\x00\x00%02dh\x00", k)
		}
		out.WriteString("uq\x00")
	}
	return out.String() + "."
}

func header(text string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
}

func FuzzParse(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { parse(t, "fuzzed", data) })
}
