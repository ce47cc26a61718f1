package pickle

import (
	"strings"
	"testing"
)

var anything = Reader{What: "a test", Most: 1000, Name: func(name string) (any, bool) { return Func(nil), name == "collections.OrderedDict" }}

// Long values are read where they lie: the unpickler never sees them.
func TestReduceTakesLongValuesOut(t *testing.T) {
	text := strings.Repeat("x", Short+1)
	data := []byte("}X\x41\x00\x00\x00" + text + "C\x41" + text + "s.behind")
	program, long, size, err := anything.reduce(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(long) != 2 || !long[0].Text || long[1].Text || &long[0].Data[0] != &data[6] || len(program) != 5 {
		t.Errorf("%d values taken out, %q left", len(long), program)
	}
	if string(data[size:]) != "behind" {
		t.Errorf("%q follows", data[size:])
	}
}

func TestLoadAsksForEveryName(t *testing.T) {
	for _, program := range []string{"ccollections\nOrderedDict\n.", "\x8c\x0bcollections\x8c\x0bOrderedDict\x93."} {
		if v, _, err := anything.Load([]byte(program)); err != nil {
			t.Error(err)
		} else if _, own := v.(Func); !own {
			t.Errorf("%q gives a %T of the unpickler's own", program, v)
		}
	}
	for program, want := range map[string]string{
		"c__builtin__\nobject\n.":                       `"__builtin__.object"`,
		"c~collections\nOrderedDict\n)R.":               `"~collections.OrderedDict"`, // the disguise cannot be put on
		"ccollections\nOrderedDict\nQ.":                 "opcode 0x51",
		strings.Repeat("(", mostMarks+1) + ".":          "nested values",
		strings.Repeat("N", anything.Most+1) + ".":      "more than 1000 opcodes",
		"\x8c\x08copy_reg\x8c\x0e_reconstructor\x93)R.": `"copy_reg._reconstructor"`,
	} {
		if _, _, err := anything.Load([]byte(program)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %s", program, err, want)
		}
	}
}
