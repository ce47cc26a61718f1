package setting_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"hdas/setting"
)

type colour string

var colours = []colour{"red", "blue"}

func (c *colour) UnmarshalText(text []byte) error { return setting.Parse(c, text, colours) }

func TestTextOfFault(t *testing.T) {
	for want, f := range map[string]setting.Fault{
		`a.b 3 is not at least 4`:       {Key: "a.b", Value: 3, Why: "is not at least 4"},
		`a "" is missing`:               {Key: "a", Value: "", Why: "is missing"},
		`a "red": file does not exist`:  {Key: "a", Value: colour("red"), Err: fs.ErrNotExist},
		`a [1 2] are two: none`:         {Key: "a", Value: []int{1, 2}, Why: "are two", Err: errors.New("none")},
		`a: unknown key`:                {Key: "a", Why: "unknown key"},
		`a: file does not exist`:        {Key: "a", Err: fs.ErrNotExist},
		`"green" is unknown`:            {Value: "green", Why: "is unknown"},
		`a false needs b`:               {Key: "a", Value: false, Why: "needs b"},
		`a: too many: it is full: stop`: {Key: "a", Why: "too many", Err: fmt.Errorf("it is full: %w", errors.New("stop"))},
	} {
		if got := f.Error(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// Sections put their key before each fault, wherever it is joined, and keep the causes.
func TestSections(t *testing.T) {
	var f setting.Faults
	f.Check(true, "fine", 1, "is not fine")
	if err := setting.In("x", f.Err()); err != nil {
		t.Fatal(err)
	}
	f.Check(false, "size", 3, "is not %d", 4)
	f = append(f, &setting.Fault{Key: "file", Value: "f", Err: fs.ErrNotExist})
	err := setting.In("outer", errors.Join(setting.In("inner", errors.Join(f.Err(), nil, errors.New("no key"))), fs.ErrClosed))
	var keys []string
	for _, fault := range setting.All(fmt.Errorf("wrapped: %w", err)) {
		keys = append(keys, fault.Key)
	}
	if want := []string{"outer.inner.size", "outer.inner.file", "outer.inner", "outer"}; !slices.Equal(keys, want) {
		t.Errorf("%q, not %q", keys, want)
	}
	var first *setting.Fault
	if !errors.As(err, &first) || first.Key != "outer.inner.size" || first.Value != 3 || !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%+v, %v", first, err)
	}
	if f[0].Key != "size" {
		t.Errorf("the fault that was moved has become %q", f[0].Key)
	}
}

func TestWords(t *testing.T) {
	c := colour("blue")
	if err := c.UnmarshalText([]byte("green")); err == nil || err.Error() != `"green" is unknown; known are red, blue` || c != "blue" {
		t.Errorf("%q, %v", c, err)
	}
	if err := c.UnmarshalText([]byte("red")); err != nil || c != "red" {
		t.Errorf("%q, %v", c, err)
	}
	var f setting.Faults
	setting.Word(&f, "sky", "blue", colours)
	setting.Word(&f, "sky", "", colours)
	if err := f.Err(); err == nil || err.Error() != `sky "" is unknown; known are red, blue` {
		t.Errorf("%v", err)
	}
}

type own struct {
	X int `yaml:"x" range:"1..2"`
}

func (own) Validate() error { return nil }

func TestRanges(t *testing.T) {
	type Inline struct {
		Deep struct {
			X float64 `yaml:"x" range:"[0,1)"`
		} `yaml:"deep"`
	}
	var s struct {
		Inline `yaml:",inline"`
		List   []float64 `yaml:"list,omitempty" range:"(0,1]"`
		Counts []int     `yaml:"counts" range:"2..9"`
		Count  int       `yaml:"count" range:"2..64; a batch needs two"`
		Free   float64   `yaml:"free"`
		Known  float64   `yaml:"known" range:"[0,1]"`
		Unused int       `yaml:"unused" range:"1..2"`
		Seed   uint64    `yaml:"seed"`
		Own    own       `yaml:"own"`
		Hidden int       `yaml:"-" range:"1..2"`
	}
	text := func() string {
		var f setting.Faults
		f.Check(s.Known <= 1, "known", s.Known, "is too large")
		f.Ranges(s, map[string]string{"unused": "for a reason"})
		if f.Err() == nil {
			return ""
		}
		return strings.ReplaceAll(f.Err().Error(), "\n", "; ")
	}
	s.Deep.X, s.List, s.Counts, s.Count, s.Known = 0, []float64{1, 0.5}, []int{2, 9}, 64, 1
	if got := text(); got != "" {
		t.Error(got)
	}
	s.Deep.X, s.List, s.Counts, s.Count, s.Known, s.Free = 1, []float64{0, 2}, []int{9, 10}, 1, 2, math.NaN()
	if got, want := text(), "known 2 is too large; deep.x 1 is not in [0,1); list [0 2] holds 0, which is not in (0,1]; counts [9 10] holds 10, which is not in 2..9; count 1 is not in 2..64; a batch needs two; free NaN is not a finite number"; got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
	s.Deep.X, s.List, s.Counts, s.Count, s.Known, s.Free = math.Inf(-1), []float64{1, math.NaN()}, nil, math.MaxInt, 0, 1e300
	if got, want := text(), "deep.x -Inf is not a finite number; list [1 NaN] holds NaN, which is not a finite number; count 9223372036854775807 is not in 2..64; a batch needs two"; got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}
