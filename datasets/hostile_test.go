package datasets

import (
	"bytes"
	"maps"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// spoiled returns a file with some bytes changed, truncated at a random position.
func spoiled(t *rapid.T, file []byte) []byte {
	bad := bytes.Clone(file)
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return bad[:rapid.IntRange(0, len(bad)).Draw(t, "length")]
}

// MATLAB files, compressed or not, are read or refused, whatever their content.
func TestSynsets(t *testing.T) {
	want := map[int]string{1: "n02119789", 2: "n01440764", 3: "n03000684"}
	for _, name := range []string{"synsets", "synsets-plain"} {
		file, err := os.ReadFile("testdata/" + name + ".mat")
		if err != nil {
			t.Fatal(err)
		}
		got, err := readSynsets(file)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		rapid.Check(t, func(t *rapid.T) { readSynsets(spoiled(t, file)) })
		for _, cut := range []int{0, 100, 128, 140, len(file) - 30} {
			if _, err := readSynsets(file[:cut]); err == nil {
				t.Errorf("%s: %d bytes of %d are read", name, cut, len(file))
			}
		}
	}
}

// A saved index is used completely or not at all.
func TestHostileIndex(t *testing.T) {
	x := &tarIndex{classes: []string{"a", "b"}}
	for i := range 20 {
		x.add("image", i%2)
		x.offsets, x.sizes = append(x.offsets, int64(512*i)), append(x.sizes, 100)
	}
	saved, err := x.encode(20_000, 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeIndex(saved, 20_000, 7); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct{ size, time int64 }{"longer": {20_001, 7}, "younger": {20_000, 8}} {
		if _, err := decodeIndex(saved, c.size, c.time); err == nil {
			t.Errorf("the index of a %s archive is used", what)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bad := spoiled(t, saved)
		if _, err := decodeIndex(bad, 20_000, 7); err == nil && !bytes.Equal(bad, saved) {
			t.Fatal("a changed index is used")
		}
	})
	// A valid index, but of another archive.
	for what, change := range map[string]func(x *tarIndex){
		"label":  func(x *tarIndex) { x.labels[3] = 2 },
		"offset": func(x *tarIndex) { x.offsets[3] = 19_901 },
		"length": func(x *tarIndex) { x.sizes = x.sizes[1:] },
		"names":  func(x *tarIndex) { x.ends[5] = 1 },
	} {
		y := &tarIndex{list{bytes.Clone(x.names), append([]uint32(nil), x.ends...), append([]uint16(nil), x.labels...)}, x.classes, append([]int64(nil), x.offsets...), append([]uint32(nil), x.sizes...), nil}
		change(y)
		saved, err := y.encode(20_000, 7)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeIndex(saved, 20_000, 7); err == nil {
			t.Errorf("an index with a wrong %s is used", what)
		}
	}
}
