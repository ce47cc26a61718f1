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

func TestFinite(t *testing.T) {
	type Inline struct {
		Deep struct {
			X float64 `yaml:"x"`
		} `yaml:"deep"`
	}
	var s struct {
		Inline `yaml:",inline"`
		List   []float64 `yaml:"list,omitempty"`
		Count  int       `yaml:"count"`
		Known  float64   `yaml:"known"`
	}
	s.Deep.X, s.List, s.Known = math.Inf(-1), []float64{1, math.NaN(), math.NaN()}, math.NaN()
	var f setting.Faults
	f.Check(false, "known", s.Known, "is negative")
	f.Finite(s)
	if got := strings.ReplaceAll(f.Err().Error(), "\n", "; "); got != "known NaN is negative; deep.x -Inf is not a finite number; list NaN is not a finite number" {
		t.Error(got)
	}
}
