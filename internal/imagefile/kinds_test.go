package imagefile

import (
	"bytes"
	"errors"
	"image"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/golden/raw"
)

// turboOnly holds the files that only libjpeg-turbo can decode.
var turboOnly = map[string]bool{"restart-lost.jpg": true, "restart-other.jpg": true, "restart-twice.jpg": true}

// The files of testdata/kinds.py are decoded to the same pixels as by Pillow, except for JPEG, where decoders
// may round differently.
func TestKindsEqualPillow(t *testing.T) {
	golden := raw.Read(t, "testdata/kinds.safetensors")
	if len(golden.Names()) < 75 {
		t.Fatalf("%d goldens", len(golden.Names()))
	}
	for _, name := range golden.Names() {
		want, shape := golden.Bytes(t, name)
		m, err := Decode(read(t, filepath.Join("testdata/kinds", name)))
		if turboOnly[name] && JPEGBy != "libjpeg-turbo" {
			if err == nil || !strings.Contains(err.Error(), "libjpeg-turbo") {
				t.Errorf("%s: %v does not say what would read it", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		worst, _ := apart(t, name, m, want, shape)
		allowed := 0
		switch {
		case strings.Contains(name, "jp"), name == "two.mpo":
			allowed = 3
		case name == "ycbcr.tiff": // Pillow converts YCbCr with less precision here
			allowed = 1
		}
		if worst > allowed {
			t.Errorf("%s differs by up to %d levels", name, worst)
		}
	}
}

// Errors distinguish damaged files, unsupported formats, other files and images above the limit.
func TestCallsFilesWhatTheyAre(t *testing.T) {
	bmp, tif := read(t, "testdata/kinds/24.bmp"), read(t, "testdata/kinds/raw.tiff")
	large := bytes.Clone(bmp)
	copy(large[18:], "\x50\xc3\x00\x00\x50\xc3\x00\x00") // 50,000 x 50,000
	header := bytes.Clone(bmp)
	header[14] = 41
	float := bytes.Clone(tif)
	float[4], float[5], float[6], float[7] = byte(len(tif)), byte(len(tif)>>8), 0, 0
	float = append(float, "\x02\x00\x00\x01\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01\x01\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00"...)
	for what, c := range map[string]struct {
		file string
		kind error // nil for a damaged file
		want string
	}{
		"a Git LFS pointer":     {"version https://git-lfs.github.com/spec/v1\noid", ErrUnsupported, "git lfs pull"},
		"an HTML page":          {"<!DOCTYPE html><html>", ErrUnsupported, "an HTML page"},
		"an AVIF image":         {"\x00\x00\x00\x1cftypavif\x00\x00", ErrUnsupported, "an AVIF image"},
		"a HEIC image":          {"\x00\x00\x00\x1cftypheic\x00\x00", ErrUnsupported, "a HEIC image"},
		"a text":                {"hello", ErrFormat, "not a JPEG, PNG"},
		"a BMP of another head": {string(header), ErrUnsupported, "BMP: unsupported: a header of 41 bytes"},
		"a large BMP":           {string(large), ErrLimit, "HDAS_MAX_PIXELS=2500000000 allows this image"},
		"a TIFF in Zstandard":   {strings.Replace(string(tif), "\x03\x01\x03\x00\x01\x00\x00\x00\x01\x00", "\x03\x01\x03\x00\x01\x00\x00\x00\x50\xc3", 1), ErrUnsupported, "TIFF: unsupported: compression 50000 Zstandard"},
		"a TIFF without strips": {string(float), nil, "damaged TIFF: it has neither strips nor tiles"},
		"a cut GIF":             {"GIF89a\x01\x00\x01\x00\x00\x00\x00,", nil, "damaged GIF: unexpected EOF"},
		"a GIF of nothing":      {"GIF89a\x01\x00\x01\x00\x00\x00\x00;", nil, "damaged GIF: it has no image"},
		"a PPM without an end":  {"P6 2 2 255 abc", nil, "damaged PPM"},
		"a PPM of words":        {"P6 two", nil, "damaged PPM"},
		"a PPM of no white":     {"P5 2 2 0 abcd", nil, "not in 1..65535"},
	} {
		_, err := Decode([]byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300 {
			t.Errorf("%s: %v does not say %q", what, err, c.want)
		}
		if c.kind != nil && (!errors.Is(err, c.kind) || strings.Contains(err.Error(), "damaged")) || c.kind == nil && errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v is of another kind", what, err)
		}
	}
}

func TestLimit(t *testing.T) {
	for value, want := range map[string]int{"": 1 << 27, "1000": 1000, "2147483648": 1 << 31} {
		if n, err := limit(value); n != want || err != nil {
			t.Errorf("%q: %d, %v", value, n, err)
		}
	}
	for _, value := range []string{"0", "-1", "2147483649", "many", "99999999999999999999"} {
		if _, err := limit(value); err == nil || !strings.Contains(err.Error(), LimitVariable) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// A damaged or cut file of any format gives an image or an error, never a panic, and takes memory in proportion
// to the file and its image.
func TestDamagedKinds(t *testing.T) {
	paths, err := filepath.Glob("testdata/kinds/*")
	if err != nil || len(paths) < 75 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		file := read(t, path)
		rapid.Check(t, func(t *rapid.T) {
			bad := bytes.Clone(file)
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				bad[rapid.IntRange(0, min(len(bad)-1, 300)).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			hostile(t, bad[:rapid.IntRange(0, len(bad)).Draw(t, "length")])
		})
	}
}

// most is the largest number of pixels of an image that the test decodes; larger ones take long.
const most = 1 << 20

type failer interface {
	Errorf(format string, args ...any)
}

// hostile decodes a file and checks the allocated memory.
func hostile(t failer, file []byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var d Decoder
	err := d.Open(file)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(8*len(file)+1<<20) {
		t.Errorf("%d bytes for the head of a file of %d", used, len(file))
	}
	if err != nil || d.W*d.H > most {
		return
	}
	m, err := d.Region(image.Rect(0, 0, d.W, d.H))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(32*d.W*d.H+16*len(file)+4<<20) {
		t.Errorf("%s: %d bytes for an image of %dx%d in a file of %d", d.format.name, used, d.W, d.H, len(file))
	}
	if err == nil && (m.W != d.W || m.H != d.H || len(m.Pix) < m.Stride*(m.H-1)+3*m.W) {
		t.Errorf("%s: an image of %dx%d in %d bytes", d.format.name, m.W, m.H, len(m.Pix))
	}
}

func FuzzKinds(f *testing.F) {
	paths, _ := filepath.Glob("testdata/kinds/*")
	for _, path := range paths {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, file []byte) { hostile(t, file) })
}
