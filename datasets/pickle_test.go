package datasets

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hdas/internal/pickle"
)

func read(data []byte) (*images, error) {
	d := &images{info: cifar10.info}
	return d, cifar10.readPickle(data, d)
}

// Pickles that would do harm if they were run, or if their lengths and references were trusted.
func TestHostilePickles(t *testing.T) {
	// One value as often as can be; an error that prints them all would have 50 MB.
	bomb := "(C" + string(rune(pickle.Short)) + strings.Repeat("a", pickle.Short) + "q\x01" + strings.Repeat("h\x01", batch.Most-100) + "t"
	for what, c := range map[string]struct{ program, want string }{
		"os.system":              {"cos\nsystem\n(U\x02lstR.", `"os.system"`},
		"os.system, protocol 4":  {"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", `"os.system"`},
		"numpy beyond arrays":    {"cnumpy\nload\n.", `"numpy.load"`},
		"a name known unasked":   {"ccollections\nOrderedDict\n)R.", `"collections.OrderedDict"`},
		"the same, protocol 4":   {"\x8c\x08copy_reg\x8c\x0e_reconstructor\x93.", `"copy_reg._reconstructor"`},
		"an instance":            {"(ios\nsystem\n.", "opcode 0x69"},
		"a persistent value":     {"U\x01xQ.", "opcode 0x51"},
		"an extension":           {"\x82\x01.", "opcode 0x82"},
		"a buffer from outside":  {"\x97.", "opcode 0x97"},
		"a text of 4 GB":         {"X\xff\xff\xff\xffabc.", "a value of 4294967295 bytes"},
		"bytes of 2^64":          {"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.", "a value of 18446744073709551615 bytes"},
		"a frame of 2^62":        {"\x95\x00\x00\x00\x00\x00\x00\x00\x40}.", `no list "labels"`}, // not believed: it only says how much to read at once
		"an end in an opcode":    {"J\x00", "within an opcode"},
		"a name without an end":  {"cnumpy", "has no end"},
		"no end":                 {"N", "without a last opcode"},
		"too many opcodes":       {strings.Repeat("N", 2*batch.Most), "more than 132096 opcodes"},
		"nothing on the stack":   {".", "stack is empty"},
		"half an entry":          {"}(Nu.", "malformed"},
		"a list in itself":       {"]q\x00h\x00a.", "no dict"},
		"labels in themselves":   {"}(U\x06labels]q\x00h\x00aU\x04dataNu.", `no array "data"`},
		"a call of many values":  {bomb + ")R.", "Callable"},
		"a name of many values":  {bomb + "U\x01x\x85\x93.", "requires str"},
		"an array of few bytes":  {"cnumpy\n_reconstruct\n.", `"numpy._reconstruct"`},
		"no dtype of arrays":     {"cnumpy\ndtype\nU\x02f8\x85R.", "not of uint8"},
		"an encoding not latin1": {"c_codecs\nencode\nU\x01xU\x05utf-7\x86R.", "latin1"},
	} {
		t.Run(what, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := read([]byte(c.program))
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v does not have %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
				t.Errorf("%d MB were used", used>>20)
			}
		})
	}
}

// The last value of a repeated key counts, as in Python.
func TestEntryTakesTheLast(t *testing.T) {
	dict, err := unpickleDict([]byte("}(U\x01kK\x01U\x01kK\x02C\x01bK\x03u."))
	if err != nil {
		t.Fatal(err)
	}
	if entry(dict, "k") != 2 || entry(dict, "b") != 3 || entry(dict, "x") != nil {
		t.Errorf("k: %v, b: %v, x: %v", entry(dict, "k"), entry(dict, "b"), entry(dict, "x"))
	}
}

func fixtures(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("testdata/*.pickle")
	if err != nil || len(paths) == 0 {
		t.Fatal("no pickles in testdata; its script writes them")
	}
	all := map[string][]byte{}
	for _, path := range paths {
		if all[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Every truncation and, outside the pixels, every flip of one bit.
func TestDamagedPickles(t *testing.T) {
	for name, data := range fixtures(t) {
		if strings.Contains(name, "meta") {
			continue
		}
		for _, n := range []int{0, 1, 10, 100, len(data) / 2, len(data) - 2, len(data) - 1} {
			if _, err := read(data[:n]); err == nil {
				t.Errorf("%s is read though cut to %d of %d bytes", name, n, len(data))
			}
		}
		for at := range data {
			if at > 300 && at < len(data)-300 {
				continue
			}
			damaged := bytes.Clone(data)
			damaged[at] ^= 1 << (at % 8)
			if d, err := read(damaged); err == nil && len(d.pixels) != len(d.labels)*cifarSize {
				t.Fatalf("%s with byte %d damaged: %d labels, %d bytes", name, at, len(d.labels), len(d.pixels))
			}
		}
	}
}

// To be run with -fuzzminimizetime 10x: the seeds are large, and most of the time goes into making
// them smaller otherwise.
func FuzzPickle(f *testing.F) {
	for _, data := range fixtures(f) {
		f.Add(data)
	}
	f.Add([]byte("cos\nsystem\n(U\x02lstR."))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := read(data)
		if err == nil && len(d.pixels) != len(d.labels)*cifarSize {
			t.Errorf("%d labels, %d bytes", len(d.labels), len(d.pixels))
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		cifar10.pickledNames(data)
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, (1 + cifarSize)))
	f.Add(make([]byte, 2*(1+cifarSize)+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &images{info: cifar10.info}
		err := cifar10.readRecords(data, d)
		if whole := len(data)%(1+cifarSize) == 0; whole != (err == nil) {
			t.Errorf("%d bytes: %v", len(data), err)
		}
		if err == nil && (len(d.labels) != len(data)/(1+cifarSize) || len(d.pixels) != len(d.labels)*cifarSize) {
			t.Errorf("%d bytes: %d labels, %d bytes of pixels", len(data), len(d.labels), len(d.pixels))
		}
	})
}
