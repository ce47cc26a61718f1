package parity

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/run"
	"hdas/torch"
)

// The sides of a comparison, as their files are named.
const (
	ours   = "hdas"
	theirs = "pytorch"
)

// measured is what a side's steps took, by the name of the steps.
type measured struct {
	Version string               `json:"version"` // of PyTorch or libtorch
	Seconds map[string][]float64 `json:"seconds"` // of each step
	Peak    map[string]int64     `json:"peak"`    // bytes of resident memory at most, the libraries' left out
}

// Group is what two sides made of one thing, such as all gradients of weights.
type Group struct {
	Name       string  `json:"name"`
	Tensors    int     `json:"tensors"`
	Difference number  `json:"difference"` // of the worst tensor: the largest difference over the largest value; infinite: null
	Worst      string  `json:"worst"`      // its name
	Bar        float64 `json:"bar"`        // largest difference allowed; 0: none
	Failed     bool    `json:"failed"`
}

// Pace is what steps take on both sides.
type Pace struct {
	Name    string  `json:"name"`
	Ours    float64 `json:"seconds_hdas"` // of the median step
	Theirs  float64 `json:"seconds_pytorch"`
	OurPeak int64   `json:"peak_bytes_hdas"` // resident memory at most, that of the loaded libraries left out
	Peak    int64   `json:"peak_bytes_pytorch"`
}

// Result is a case's comparison.
type Result struct {
	Case   string  `json:"case"`
	With   string  `json:"with"` // PyTorch and its version, and which program there
	Groups []Group `json:"groups"`
	Paces  []Pace  `json:"paces"`
}

// Failed reports whether any group is above its bar.
func (r Result) Failed() bool {
	return slices.ContainsFunc(r.Groups, func(g Group) bool { return g.Failed })
}

// values are a side's tensors by group and name.
type values map[string]map[string][]float64

func (o outcome) write(folder, side string) error {
	text, err := json.Marshal(o.measured)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(folder, side+".json"), text, 0o600),
		run.WriteTensors(filepath.Join(folder, side+".safetensors"), o.tensors, nil))
}

// read reads what a side left in a folder.
func read(folder, side string) (v values, m measured, err error) {
	text, err := os.ReadFile(filepath.Join(folder, side+".json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return nil, m, fmt.Errorf("%s's side left no figures: %w", side, err)
	}
	v, err = tensors(filepath.Join(folder, side+".safetensors"))
	return v, m, err
}

// tensors reads a side's.
func tensors(file string) (v values, err error) {
	v = values{}
	err = torch.Do(func(*torch.Scope) error {
		tensors, _, err := run.ReadTensors(file)
		if err != nil {
			return err
		}
		for full, t := range tensors {
			group, name, _ := strings.Cut(full, "/")
			if v[group] == nil {
				v[group] = map[string][]float64{}
			}
			v[group][name] = t.Float64s()
		}
		return nil
	})
	return v, err
}

// groups compares what both sides made.
func groups(a, b values, bars Bars) []Group {
	var out []Group
	for _, name := range slices.SortedFunc(maps.Keys(union(a, b)), byOrder) {
		g := Group{Name: name, Bar: bars.of(name), Difference: -1}
		least := 0.0
		for _, v := range b[name] {
			least = max(least, leastShare*largest(v))
		}
		for _, tensor := range slices.Sorted(maps.Keys(union(a[name], b[name]))) {
			g.Tensors++
			if d := difference(a[name][tensor], b[name][tensor], least); d > float64(g.Difference) {
				g.Difference, g.Worst = number(d), tensor
			}
		}
		g.Failed = g.Bar > 0 && float64(g.Difference) > g.Bar
		out = append(out, g)
	}
	return out
}

func union[T any](a, b map[string]T) map[string]T {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]T{}
	}
	maps.Copy(all, b)
	return all
}

// leastShare of a group's largest value is the least that a tensor's own is taken for. Some
// gradients are zero but for rounding, such as that of a shift before pooling and a batch norm.
const leastShare = 1e-6

// difference is the largest difference over the largest value of want, taken for `least` where it
// is less; infinite where a value is not finite, or their numbers differ.
func difference(got, want []float64, least float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff := 0.0
	for i, w := range want {
		d := math.Abs(got[i] - w)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.Inf(1)
		}
		diff = max(diff, d)
	}
	if diff == 0 {
		return 0
	}
	return diff / max(largest(want), least)
}

func largest(v []float64) float64 {
	most := 0.0
	for _, x := range v {
		most = max(most, math.Abs(x))
	}
	return most
}

// number is written as JSON's null where it is not finite.
type number float64

// MarshalJSON writes the number.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsInf(v, 0) || math.IsNaN(v) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
