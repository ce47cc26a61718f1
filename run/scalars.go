package run

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"hdas/torch"
)

// Figure is a scalar that a step came to.
type Figure struct {
	Name  string
	Value torch.Tensor
}

// Finite is an error that says all figures where one of them is no number. It reads them back
// together.
func Finite(figures []Figure) error {
	var u unread
	u.add(figures)
	defer u.free()
	_, err := u.read()
	return err
}

// unread are the figures of steps, kept where they were computed until they are read back together.
type unread struct {
	names  [][]string     // step by step
	values []torch.Tensor // Float64 (figures of that step)
}

// add keeps a step's.
func (u *unread) add(figures []Figure) {
	names := make([]string, len(figures))
	torch.Within(func(*torch.Scope) {
		values := make([]torch.Tensor, len(figures))
		for i, f := range figures {
			names[i], values[i] = f.Name, f.Value.Detach().To(torch.Float64).Reshape(1)
		}
		if len(values) > 0 {
			u.values = append(u.values, torch.Cat(values, 0).Keep())
		}
	})
	u.names = append(u.names, names)
}

// read forgets them all, and is an error that says the figures of the first step, counted from 0,
// where one was no number.
func (u *unread) read() (step int, err error) {
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
			text = append(text, fmt.Sprintf("%s %v", names[i], v))
		}
		if !finite {
			return step, errors.New(strings.Join(text, ", "))
		}
		all = all[len(names):]
	}
	return 0, nil
}

func (u *unread) free() {
	for _, v := range u.values {
		v.Free()
	}
	*u = unread{}
}
