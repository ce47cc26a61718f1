package genotype

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestRandomGenotypesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := random(source{t})
		if err := g.Validate(Ops{}); err != nil {
			t.Fatal(err)
		}
		text := encoded(t, g)
		got, err := Decode(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(got, g) {
			t.Fatalf("%+v came back as %+v from\n%s", g, got, text)
		}
		if again := encoded(t, got); !bytes.Equal(again, text) {
			t.Fatalf("a second time Encode wrote\n%s\nafter\n%s", again, text)
		}
	})
}

func TestEncodeRefusesWhatIsNotUTF8(t *testing.T) {
	if err := (Genotype{Version: 1, Name: "a\xff"}).Encode(&bytes.Buffer{}); err == nil {
		t.Error("no error")
	}
}

func TestDecodeNamesEveryFault(t *testing.T) {
	for name, c := range faulty {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(c.text))
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.TrimPrefix(err.Error(), "genotype: ")
			if want := strings.Join(c.faults, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	g := Genotype{Version: 2, Cells: map[string]DAG{
		"normal": {Nodes: []Node{{[]Edge{{0, "sep_conv_3x3"}, {0, "sep_conv_9x9"}}}, {}}, Out: []int{2, 3}},
		"a b":    {},
	}, Stages: []Stage{
		{Cell: "normal", DAG: DAG{Nodes: []Node{{[]Edge{{0, "sep_conv_3x3"}, {-1, "none"}}}}, Out: []int{1, 2}}},
		{Cell: "other", DAG: DAG{Nodes: []Node{{}}, Out: []int{2, 2}}, Reduce: "normal"},
	}}
	want := []string{
		`version is 2; this program reads version 1`,
		`name is missing`,
		`cells["a b"].out is missing; it lists the states that make the output`,
		`cells.normal.nodes[0].in[1] has the operation "sep_conv_9x9", which is unknown here`,
		`cells.normal.out[1] is state 3, which has no edge; leave it out`,
		`stages[0].nodes[0].in[0] has the operation "sep_conv_3x3", which is unknown here`,
		`stages[0].nodes[0].in[1] reads state -1; it may read 0 to 1`,
		`stages[0].reduce is missing; a reduction cell follows every stage but the last`,
		`stages[1].nodes[0] has no edge; a cell of a stage reads at least one state`,
		`stages[1].out[1] is state 2 a second time`,
		`stages[1].cell is "other"; the cells are a b, normal`,
		`stages[1].reduce is "normal", but no reduction cell follows the last stage; leave it out`,
	}
	if got, want := fmt.Sprint(g.Validate(paper())), "genotype : "+strings.Join(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Inputs that make, or could make, a YAML reader panic, hang or use too much memory.
func TestDecodeWithstandsHostileFiles(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c]\n", c, c, c-1)
	}
	many := func(s string) string { return strings.Repeat(s, MostFile/len(s)) }
	for name, text := range map[string]string{
		"alias bomb":          bomb,
		"alias to itself":     "version: &a {x: *a}\n",
		"alias as a key":      "&name name: x\n*name : y\n",
		"merge key":           "<<: {version: 1}\n",
		"deep lists":          many("["),
		"deep mappings":       many("{a: "),
		"deep blocks":         many("- "),
		"deep keys":           many("? "),
		"many faults":         "stages:\n" + strings.Repeat("- 1\n", 200_000),
		"many keys":           "cells: {" + many("a: 1, ")[:MostFile-20] + "b: 1}",
		"a number too large":  "version: 1" + many("0")[:1000],
		"a large state":       "version: 1\nname: x\nstages: [{cell: c, nodes: [[a: 9223372036854775807]], out: [9223372036854775807]}]",
		"too large":           many("#") + "# #",
		"binary":              "\x00\x01\xff\xfe",
		"UTF-16":              "\xff\xfev\x00",
		"not UTF-8":           "name: \"\xff\"",
		"tagged":              "version: !!binary MQ==\n",
		"unfinished":          "name: \"",
		"comments everywhere": "# a\n? # b\n: # c\n- # d\n",
		"nothing":             "",
		"a comment":           "# x",
		"an empty document":   "---\n...\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(text))
			if err == nil {
				t.Fatal("no error")
			}
			if n := len(err.Error()); n > 64<<10 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

func TestDecodeHandsOnErrorsOfTheReader(t *testing.T) {
	failure := errors.New("disk on fire")
	if _, err := Decode(iotest.ErrReader(failure)); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

// Changed bytes give an error or a valid genotype.
func TestDecodeOfChangedBytes(t *testing.T) {
	pieces := []string{"[", "}", ":", "-", "&a ", "*a ", "\n", "  ", "# ", "? ", "99"}
	rapid.Check(t, func(t *rapid.T) {
		r := source{t}
		text := encoded(t, random(r))
		for range 1 + r.IntN(4) {
			at := r.IntN(len(text))
			switch r.IntN(3) {
			case 0:
				text[at] = byte(r.IntN(256))
			case 1:
				text = slices.Delete(text, at, at+1)
			case 2:
				text = slices.Insert(text, at, []byte(pick(r, pieces))...)
			}
		}
		whole(t, text)
	})
}

func FuzzDecode(f *testing.F) {
	for _, name := range Names() {
		f.Add(encoded(f, load(f, name)))
	}
	for _, c := range faulty {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { whole(t, text) })
}

// whole checks that a genotype that Decode accepts can be used.
func whole(t tester, text []byte) {
	t.Helper()
	g, err := Decode(bytes.NewReader(text))
	if err != nil {
		return
	}
	if err := g.Validate(Ops{}); err != nil {
		t.Fatalf("Decode took what Validate does not: %v\n%s", err, text)
	}
	for _, s := range g.Stages {
		s.Topology()
	}
	again := encoded(t, g)
	h, err := Decode(bytes.NewReader(again))
	if err != nil {
		t.Fatalf("%v\n%s", err, again)
	}
	if !reflect.DeepEqual(g.Stages, h.Stages) || len(g.Cells) != len(h.Cells) || g.Name != h.Name || g.Source != h.Source || g.Reported != h.Reported {
		t.Fatalf("%+v came back as %+v", g, h)
	}
}
