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

// The names of the two sides of a comparison, this program and PyTorch, in their files.
const (
	hdasSide    = "hdas"
	pytorchSide = "pytorch"
)

// measured holds the time and memory of a side's steps, by the name of the steps.
type measured struct {
	Version string               `json:"version"` // of PyTorch or libtorch
	Seconds map[string][]float64 `json:"seconds"` // of each step
	Peak    map[string]int64     `json:"peak"`    // peak in bytes of resident memory, without the loaded libraries; on CUDA of the device
	Notes   []string             `json:"notes"`   // where PyTorch's side departs from its program
}

// Group is the comparison of several tensors of one kind, such as the gradients of all weights.
type Group struct {
	Name       string  `json:"name"`
	Tensors    int     `json:"tensors"`
	Difference number  `json:"difference"` // of the worst tensor: largest difference divided by largest value; null: infinite
	Worst      string  `json:"worst"`      // name of the worst tensor
	Tolerance  float64 `json:"bar"`        // largest difference allowed; 0: none
	Failed     bool    `json:"failed"`
}

// Pace is the time and memory of steps on both sides.
type Pace struct {
	Name        string  `json:"name"`
	HDAS        float64 `json:"seconds_hdas"` // median over the steps
	PyTorch     float64 `json:"seconds_pytorch"`
	HDASPeak    int64   `json:"peak_bytes_hdas"` // peak of resident memory, without the loaded libraries; on CUDA of the device
	PyTorchPeak int64   `json:"peak_bytes_pytorch"`
}

// Result is the comparison of one case.
type Result struct {
	Case   string  `json:"case"`
	With   string  `json:"with"` // the program on PyTorch's side, and PyTorch's version
	Groups []Group `json:"groups"`
	Paces  []Pace  `json:"paces"`
	// Notes says where PyTorch's side departs from its program, and why.
	Notes []string `json:"notes,omitempty"`
}

// Failed reports whether any group exceeds its tolerance.
func (r Result) Failed() bool {
	return slices.ContainsFunc(r.Groups, func(g Group) bool { return g.Failed })
}

// values holds the tensors of a side by group and name.
type values map[string]map[string][]float64

func (o outcome) write(folder, side string) error {
	text, err := json.Marshal(o.measured)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(folder, side+".json"), text, 0o600),
		run.WriteTensors(filepath.Join(folder, side+".safetensors"), o.tensors, nil))
}

// read returns the tensors and measurements that a side wrote to a folder.
func read(folder, side string) (v values, m measured, err error) {
	text, err := os.ReadFile(filepath.Join(folder, side+".json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return nil, m, fmt.Errorf("the side %s wrote no measurements: %w", side, err)
	}
	v, err = tensors(filepath.Join(folder, side+".safetensors"))
	return v, m, err
}

// tensors reads the tensors that a side wrote to a file.
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

// groups compares the tensors of both sides; b is the reference.
func groups(a, b values, tolerances Tolerances) []Group {
	var out []Group
	for _, name := range slices.SortedFunc(maps.Keys(union(a, b)), byOrder) {
		g := Group{Name: name, Tolerance: tolerances.of(name), Difference: -1}
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
		g.Failed = g.Tolerance > 0 && float64(g.Difference) > g.Tolerance
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

// leastShare is the smallest divisor of a difference, relative to the largest value of the group. Some
// gradients are zero except for rounding, such as that of a batch norm's shift before a pooling and
// another batch norm.
const leastShare = 1e-6

// difference returns the largest difference divided by the largest value of want, or by least if that is
// larger. It is infinite if a value is not finite or the lengths differ.
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

// number is a float64 that is encoded as null in JSON if it is not finite.
type number float64

// MarshalJSON encodes the number.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsInf(v, 0) || math.IsNaN(v) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
