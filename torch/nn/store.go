// Package nn provides stores of named parameters in a fixed order, PyTorch's default initialisers, and
// the layers that networks are made of.
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

// Param is a named tensor: a trainable parameter, or a buffer such as a running mean.
type Param struct {
	Name      string // PyTorch's state_dict name
	Tensor    torch.Tensor
	Trainable bool // false for a buffer
}

// Store owns parameters and keeps them in the order in which they were made. Optimizers, checkpoints
// and finite differences rely on this order. Use a store only inside torch.Do.
type Store struct {
	options torch.Options
	params  []Param
	index   map[string]int
	owned   []interface{ Free() }
}

// NewStore returns an empty store whose parameters will have the type and the device of o. The caller
// must call Free.
func NewStore(o torch.Options) *Store {
	return &Store{options: o, index: map[string]int{}}
}

// Options returns the type and the device of all parameters.
func (s *Store) Options() torch.Options { return s.options }

// Root returns the path for parameters whose names have no prefix.
func (s *Store) Root() *Path { return &Path{store: s} }

// All yields all parameters and buffers in order. The store keeps owning the tensors.
func (s *Store) All() iter.Seq[Param] { return slices.Values(s.params) }

// Weights returns the trainable parameters, in order. The store keeps owning the tensors.
func (s *Store) Weights() []Param {
	var w []Param
	for _, p := range s.params {
		if p.Trainable {
			w = append(w, p)
		}
	}
	return w
}

// Tensors returns the tensors of params, in order.
func Tensors(params []Param) []torch.Tensor {
	ts := make([]torch.Tensor, len(params))
	for i, p := range params {
		ts[i] = p.Tensor
	}
	return ts
}

// Get returns the parameter with the given name, and whether there is one.
func (s *Store) Get(name string) (Param, bool) {
	i, ok := s.index[name]
	if !ok {
		return Param{}, false
	}
	return s.params[i], true
}

// Count returns the number of elements of all trainable parameters for whose name f returns true; a
// nil f selects all.
func (s *Store) Count(f func(name string) bool) int64 {
	var n int64
	for _, p := range s.params {
		if p.Trainable && (f == nil || f(p.Name)) {
			n += p.Tensor.Numel()
		}
	}
	return n
}

// Load copies values, of any type and device, into the parameters with the same names. If a parameter
// has no value, a value has no parameter, or shapes differ, it changes nothing and returns an error
// that lists all of these.
func (s *Store) Load(values map[string]torch.Tensor) error { return Load(s.params, values) }

// Load copies values into params by name, like Store.Load.
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
	from := make([]torch.Tensor, len(params))
	for i, p := range params {
		from[i] = values[p.Name]
	}
	torch.CopyAll(Tensors(params), from)
	return nil
}

// Flatten moves all trainable parameters to one storage and all buffers to another, so that functions on lists
// of them compute few large tensors. In each storage those of first come first, in that order, then the others
// in the order of the store. It panics if a tensor of first is not the store's.
func (s *Store) Flatten(first []torch.Tensor) {
	place := map[torch.Tensor]int{}
	for i, t := range first {
		place[t] = i - len(first)
	}
	order := slices.Clone(s.params)
	slices.SortStableFunc(order, func(a, b Param) int { return place[a.Tensor] - place[b.Tensor] })
	var weights, buffers []torch.Tensor
	for _, p := range order {
		delete(place, p.Tensor)
		if p.Trainable {
			weights = append(weights, p.Tensor)
		} else {
			buffers = append(buffers, p.Tensor)
		}
	}
	if len(place) > 0 {
		panic(fmt.Sprintf("nn: %d tensors that are not the store's", len(place)))
	}
	torch.Flatten(weights)
	torch.Flatten(buffers)
}

// Own makes the store the owner of f, such as a torch.Program that uses its parameters: Free frees it.
func (s *Store) Own(f interface{ Free() }) { s.owned = append(s.owned, f) }

// Free frees all parameters and everything given to Own. The store is empty afterwards.
func (s *Store) Free() {
	for _, f := range s.owned {
		f.Free()
	}
	for _, p := range s.params {
		p.Tensor.Free()
	}
	s.owned, s.params, s.index = nil, nil, map[string]int{}
}

// Path is a prefix of parameter names in a store. Parts of a name are joined by dots, as in PyTorch.
type Path struct {
	store  *Store
	prefix string
}

// In returns the path below p whose last part is the formatted name.
func (p *Path) In(format string, args ...any) *Path {
	return &Path{p.store, p.name(fmt.Sprintf(format, args...))}
}

func (p *Path) name(last string) string {
	if p.prefix == "" {
		return last
	}
	return p.prefix + "." + last
}

// Weight adds a trainable parameter to the store and returns its tensor, which the store owns. init
// sets its initial values. It panics if the store has a parameter of that name.
func (p *Path) Weight(name string, init Init, shape ...int64) torch.Tensor {
	return p.add(name, init, true, shape)
}

// Buffer is like Weight for a tensor that is saved with the parameters but not trained.
func (p *Path) Buffer(name string, init Init, shape ...int64) torch.Tensor {
	return p.add(name, init, false, shape)
}

func (p *Path) add(name string, init Init, trainable bool, shape []int64) torch.Tensor {
	s, full := p.store, p.name(name)
	if _, twice := s.index[full]; twice {
		panic(fmt.Sprintf("nn: parameter %q made twice", full))
	}
	made := Param{Name: full, Trainable: trainable}
	// Initial values are drawn on the CPU, so that a seed gives the same values on every device.
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

// Init sets the initial values of a new parameter in place. t holds zeros before.
type Init func(t torch.Tensor)

// Constant returns an Init that sets every element to v.
func Constant(v float64) Init { return func(t torch.Tensor) { t.AddScalar_(v) } }

// Normal returns an Init that draws from the normal distribution N(0, std^2).
func Normal(std float64) Init {
	return func(t torch.Tensor) {
		t.Copy_(torch.Randn(torch.Options{DType: t.DType()}, t.Shape()...).MulScalar(std))
	}
}

// FanIn returns an Init that draws from the uniform distribution U(-b, b) with b = 1/sqrt(fanIn). This
// is PyTorch's default for convolutions and linear layers, kaiming_uniform_(a=sqrt(5)).
func FanIn(fanIn int64) Init {
	b := 1 / math.Sqrt(float64(fanIn))
	return func(t torch.Tensor) { t.Uniform_(-b, b) }
}
