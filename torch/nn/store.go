// Package nn has parameters by name in a fixed order, PyTorch's default initialisers, and the
// layers that networks are made of.
package nn

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"hdas/torch"
)

// Param is a named tensor of a Store: a weight, or a buffer such as a running mean.
type Param struct {
	Name      string
	Tensor    torch.Tensor
	Trainable bool
}

// Store owns parameters in the order they were made. Order is part of its contract: optimizers,
// checkpoints and finite differences walk it. It is used inside torch.Do.
type Store struct {
	options torch.Options
	params  []Param
	index   map[string]int
	owned   []interface{ Free() }
}

// NewStore makes an empty store whose parameters will be of that type, on that device.
func NewStore(o torch.Options) *Store {
	return &Store{options: o, index: map[string]int{}}
}

// Options are the type and the device of every parameter.
func (s *Store) Options() torch.Options { return s.options }

// Root is the place of parameters without a prefix.
func (s *Store) Root() *Path { return &Path{store: s} }

// All yields every parameter in order.
func (s *Store) All() iter.Seq[Param] { return slices.Values(s.params) }

// Weights are the trainable parameters, in order.
func (s *Store) Weights() []Param {
	var w []Param
	for _, p := range s.params {
		if p.Trainable {
			w = append(w, p)
		}
	}
	return w
}

// Tensors are the parameters without their names.
func Tensors(params []Param) []torch.Tensor {
	ts := make([]torch.Tensor, len(params))
	for i, p := range params {
		ts[i] = p.Tensor
	}
	return ts
}

// Get is the parameter of that name.
func (s *Store) Get(name string) (Param, bool) {
	i, ok := s.index[name]
	if !ok {
		return Param{}, false
	}
	return s.params[i], true
}

// Count is the number of elements of all weights whose name f accepts; a nil f accepts all.
func (s *Store) Count(f func(name string) bool) int64 {
	var n int64
	for _, p := range s.params {
		if p.Trainable && (f == nil || f(p.Name)) {
			n += p.Tensor.Numel()
		}
	}
	return n
}

// Load copies values into the parameters of the same names, whatever their type and device.
// Missing, surplus and mis-shaped ones are all named in one error, and then nothing is changed.
func (s *Store) Load(values map[string]torch.Tensor) error { return Load(s.params, values) }

// Load is Store.Load for any list of parameters.
func Load(params []Param, values map[string]torch.Tensor) error {
	var faults []error
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		v, ok := values[p.Name]
		if !ok {
			faults = append(faults, fmt.Errorf("%s %v is missing", p.Name, p.Tensor.Shape()))
		} else if !slices.Equal(v.Shape(), p.Tensor.Shape()) {
			faults = append(faults, fmt.Errorf("%s has shape %v, not %v", p.Name, v.Shape(), p.Tensor.Shape()))
		}
	}
	for name := range values {
		if !known[name] {
			faults = append(faults, fmt.Errorf("%s is not a parameter here", name))
		}
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return errors.Join(faults...)
	}
	torch.NoGrad(func() {
		for _, p := range params {
			p.Tensor.Copy_(values[p.Name])
		}
	})
	return nil
}

// Own makes Free free f as well: a program that is bound to the parameters.
func (s *Store) Own(f interface{ Free() }) { s.owned = append(s.owned, f) }

// Free frees every parameter and what the store owns; it is empty afterwards.
func (s *Store) Free() {
	for _, f := range s.owned {
		f.Free()
	}
	for _, p := range s.params {
		p.Tensor.Free()
	}
	s.owned, s.params, s.index = nil, nil, map[string]int{}
}

// Path is a place in a store's names. Names join with dots, as in PyTorch.
type Path struct {
	store  *Store
	prefix string
}

// In is the place below p with that name.
func (p *Path) In(format string, args ...any) *Path {
	return &Path{p.store, p.name(fmt.Sprintf(format, args...))}
}

func (p *Path) name(last string) string {
	if p.prefix == "" {
		return last
	}
	return p.prefix + "." + last
}

// Weight makes a trainable parameter, drawn by init. A name used twice panics: it would share
// weights unasked.
func (p *Path) Weight(name string, init Init, shape ...int64) torch.Tensor {
	return p.add(name, init, true, shape)
}

// Buffer makes a parameter that is saved but not trained.
func (p *Path) Buffer(name string, init Init, shape ...int64) torch.Tensor {
	return p.add(name, init, false, shape)
}

func (p *Path) add(name string, init Init, trainable bool, shape []int64) torch.Tensor {
	s, full := p.store, p.name(name)
	if _, twice := s.index[full]; twice {
		panic(fmt.Sprintf("nn: parameter %q made twice", full))
	}
	made := Param{Name: full, Trainable: trainable}
	// Drawn on the CPU, so that a seed means the same weights on every device.
	torch.Within(func(*torch.Scope) {
		torch.NoGrad(func() {
			t := torch.Zeros(torch.Options{DType: s.options.DType}, shape...)
			init(t)
			made.Tensor = t.ToDevice(s.options.Device).Keep()
		})
	})
	made.Tensor.SetRequiresGrad(trainable)
	s.index[full] = len(s.params)
	s.params = append(s.params, made)
	return made.Tensor
}

// Init fills a new parameter of zeros.
type Init func(t torch.Tensor)

// Constant fills with v.
func Constant(v float64) Init { return func(t torch.Tensor) { t.AddScalar_(v) } }

// Normal fills with draws from N(0, std^2).
func Normal(std float64) Init {
	return func(t torch.Tensor) {
		t.Copy_(torch.Randn(torch.Options{DType: t.DType()}, t.Shape()...).MulScalar(std))
	}
}

// FanIn fills with draws from U(-b, b), b = 1/sqrt(fanIn): PyTorch's default for convolutions and
// linear layers, where it is written kaiming_uniform(a=sqrt(5)).
func FanIn(fanIn int64) Init {
	b := 1 / math.Sqrt(float64(fanIn))
	return func(t torch.Tensor) { t.Uniform_(-b, b) }
}
