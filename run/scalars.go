package run

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"

	"hdas/torch"
)

// Scalar is a named scalar tensor that a step computes, such as a loss or a gradient norm.
type Scalar struct {
	Name  string
	Tag   string // of its mean over the steps of an epoch, in the events for TensorBoard; empty: it is not there
	Value torch.Tensor
}

// Mean is a mean of numbers that are added one by one.
type Mean struct {
	Sum float64 `json:"sum"`
	N   int     `json:"n"`
}

func (m Mean) plus(v float64) Mean { return Mean{m.Sum + v, m.N + 1} }

// Finite returns an error that lists all scalars if one of them is NaN or infinite. It copies all of
// them from the device at once.
func Finite(scalars []Scalar) error {
	var u pending
	u.add(scalars)
	defer u.free()
	_, err := u.read()
	return err
}

// pending holds the scalars of several steps on the device until they are copied to the host at once.
type pending struct {
	names  [][]Scalar      // of each step, without their values
	values []torch.Tensor  // of each step that has any: Float64 (number of scalars)
	means  map[string]Mean // by tag, of the steps that were read since reset
}

// reset begins an epoch with the means of its steps so far, nil if there are none.
func (u *pending) reset(means map[string]Mean) {
	u.means = map[string]Mean{}
	maps.Copy(u.means, means)
}

// add copies the scalars of a step.
func (u *pending) add(scalars []Scalar) {
	names := make([]Scalar, len(scalars))
	torch.Within(func(*torch.Scope) {
		values := make([]torch.Tensor, len(scalars))
		for i, s := range scalars {
			names[i], values[i] = Scalar{Name: s.Name, Tag: s.Tag}, s.Value.Detach().To(torch.Float64).Reshape(1)
		}
		if len(values) > 0 {
			u.values = append(u.values, torch.Cat(values, 0).Keep())
		}
	})
	u.names = append(u.names, names)
}

// read checks all scalars and frees them. If one is NaN or infinite, it returns the number of the first
// such step, counted from 0, and an error that lists the scalars of that step.
func (u *pending) read() (step int, err error) {
	defer u.free()
	var all []float64
	if len(u.values) > 0 {
		all = torch.Cat(u.values, 0).Float64s()
	}
	for step, names := range u.names {
		var text []string
		finite := true
		for i, v := range all[:len(names)] {
			finite = finite && !math.IsNaN(v) && !math.IsInf(v, 0)
			text = append(text, fmt.Sprintf("%s %v", names[i].Name, v))
			if tag := names[i].Tag; tag != "" && u.means != nil {
				u.means[tag] = u.means[tag].plus(v)
			}
		}
		if !finite {
			return step, errors.New(strings.Join(text, ", "))
		}
		all = all[len(names):]
	}
	return 0, nil
}

func (u *pending) free() {
	for _, v := range u.values {
		v.Free()
	}
	u.names, u.values = nil, nil
}
