package weights

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"hdas/internal/pickle"
)

// mostSize is the largest size of a dimension, and the largest number of elements of a storage. The
// product of two such numbers fits into an int64.
const mostSize = 1 << 31

// storage is a block of elements, which tensors refer to.
type storage struct {
	elements
	count int64  // number of elements
	data  []byte // nil until it is read
}

// window is the part of a storage that begins at an element.
type window struct {
	*storage
	offset int64
}

// tensor is a tensor as described in the pickle. It is checked after all storages are read.
type tensor struct {
	window
	shape, strides []int64
	lack           string // what the tensor is if it is of an unsupported kind, else empty
}

// name returns the implementation of a name that a checkpoint's pickle may contain: the parts of tensors,
// and values that programs save besides tensors. Nothing else is allowed, and no foreign code is run.
func name(full string) (v any, ok bool) {
	for _, module := range []string{"torch.", "torch.cuda."} {
		if class, ok := strings.CutPrefix(full, module); ok {
			if e, ok := storageClass(class); ok {
				return e, true
			}
		}
	}
	switch full {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return pickle.Func(rebuildTensor), true
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		return pickle.Func(rebuildParameter), true
	case "collections.OrderedDict":
		return pickle.Func(orderedDict), true
	case "argparse.Namespace", "collections.defaultdict", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
		"numpy.dtype", "_codecs.encode", "torch.device", "torch.Size", "pathlib.PosixPath":
		return &inert{}, true
	}
	return moreNames(full)
}

// inert replaces values that contain no tensors, and the functions and classes that make them. name is set
// for element types.
type inert struct{ name string }

// The unpickler calls these methods; they do nothing.
func (i *inert) Call(...any) (any, error)  { return i, nil }
func (i *inert) PyNew(...any) (any, error) { return i, nil }
func (i *inert) PySetState(any) error      { return nil }
func (i *inert) Set(_, _ any)              {}

// dict is Python's OrderedDict, without its attributes.
type dict struct{ types.Dict }

// PyDictSet is called by the unpickler for each attribute, which it ignores.
func (d *dict) PyDictSet(_, _ any) error { return nil }

// These methods keep the values out of the unpickler's error texts.
func (i *inert) GoString() string  { return "a value" }
func (d *dict) GoString() string   { return "a dict" }
func (t *tensor) GoString() string { return "a tensor" }
func (w window) GoString() string  { return "a storage" }

// orderedDict implements OrderedDict() and OrderedDict(list of pairs).
func orderedDict(args ...any) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*types.List)
	if !ok {
		return nil, errors.New("a dict is not made of pairs")
	}
	for _, p := range *pairs {
		pair, ok := p.(interface {
			Len() int
			Get(i int) any
		})
		if !ok || pair.Len() != 2 {
			return nil, errors.New("a dict is not made of pairs")
		}
		d.Set(pair.Get(0), pair.Get(1))
	}
	return d, nil
}

// rebuildTensor implements PyTorch's _rebuild_tensor(storage, offset, size, stride, ...).
func rebuildTensor(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, errors.New("a tensor of fewer than four parts")
	}
	w, ok := args[0].(window)
	offset, whole := integer(args[1])
	shape, sized := integers(args[2])
	strides, spaced := integers(args[3])
	if !ok || !whole || !sized || !spaced || len(shape) != len(strides) {
		return nil, errors.New("a tensor is not made of a storage, an offset, a size and strides")
	}
	w.offset += offset
	return &tensor{window: w, shape: shape, strides: strides}, nil
}

// rebuildParameter implements PyTorch's _rebuild_parameter(tensor, ...).
func rebuildParameter(args ...any) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*tensor); ok {
			return t, nil
		}
	}
	return nil, errors.New("a parameter is not made of a tensor")
}

// array returns the tensor as an Array. It returns an error if an element is outside the tensor's storage,
// or if the tensor has more elements than the storage: a small file could otherwise require any amount of
// memory.
func (t *tensor) array() (Array, error) {
	switch {
	case t.lack != "":
		return Array{}, unsupported("it is %s", t.lack)
	case t.storage == nil || t.data == nil:
		return Array{}, errors.New("its storage is missing")
	case t.foreign != "":
		return Array{}, unsupported("it has elements of %s", t.foreign)
	}
	count, last := int64(1), t.offset
	for i, n := range t.shape {
		if count *= n; count > mostSize {
			return Array{}, fmt.Errorf("its shape %v has too many elements", t.shape)
		}
		if n > 1 {
			last += (n - 1) * t.strides[i]
		}
		if last > mostSize {
			return Array{}, fmt.Errorf("its strides %v lead out of its storage of %d elements", t.strides, t.count)
		}
	}
	switch {
	case count == 0:
		return Array{DType: t.dtype, Shape: t.shape}, nil
	case last >= t.count:
		return Array{}, fmt.Errorf("its shape %v at %d leads out of its storage of %d elements", t.shape, t.offset, t.count)
	case count > t.count:
		return Array{}, fmt.Errorf("its shape %v has more elements than its storage, which has %d", t.shape, t.count)
	}
	a := Array{DType: t.dtype, Shape: t.shape, data: t.data[t.offset*t.dtype.Size():]}
	dense := int64(1)
	for d := len(t.shape) - 1; d >= 0; d-- {
		if t.shape[d] != 1 && t.strides[d] != dense {
			a.strides = t.strides
		}
		dense *= t.shape[d]
	}
	return a, nil
}

// integer returns v as an integer, and whether it is one in 0..mostSize.
func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), n >= 0 && n <= mostSize
	case *big.Int:
		return n.Int64(), n.IsInt64() && n.Sign() >= 0 && n.Int64() <= mostSize
	}
	return 0, false
}

func integers(v any) ([]int64, bool) {
	list, ok := v.(*types.Tuple)
	if !ok || list.Len() > 16 {
		return nil, false
	}
	out := make([]int64, list.Len())
	for i, n := range *list {
		if out[i], ok = integer(n); !ok {
			return nil, false
		}
	}
	return out, true
}

// storages holds the storages that a pickle refers to, by key.
type storages map[string]*storage

// refer returns the storage for PyTorch's persistent id ("storage", class, key, location, count). In the
// format before 1.6, a view of another storage follows: None, or (key, offset, count).
func (s storages) refer(id any) (any, error) {
	t, ok := id.(*types.Tuple)
	if !ok || t.Len() < 5 || t.Len() > 6 || t.Get(0) != "storage" {
		return nil, errors.New("a persistent id does not refer to a storage of tensors")
	}
	of, typed := t.Get(1).(elements)
	key, named := pickle.Text(t.Get(2))
	count, counted := integer(t.Get(4))
	if !typed || !named || !counted {
		return nil, errors.New("a storage has no known type, name and size")
	}
	var w window
	if t.Len() == 6 && t.Get(5) != nil {
		view, ok := t.Get(5).(*types.Tuple)
		if !ok || view.Len() != 3 {
			return nil, errors.New("a view of a storage is not a tuple of three")
		}
		if w.offset, ok = integer(view.Get(1)); !ok {
			return nil, errors.New("a view of a storage has no offset")
		}
	}
	known := s[key]
	if known == nil {
		known = &storage{elements: of, count: count}
		s[key] = known
	}
	if known.elements != of || known.count != count {
		return nil, fmt.Errorf("storage %.50q has two types or sizes", key)
	}
	w.storage = known
	return w, nil
}

// reader returns a reader for the pickles in a file with size bytes.
func (s storages) reader(size int) pickle.Reader {
	return pickle.Reader{
		What: "a checkpoint; save the state_dict alone: torch.save(model.state_dict(), FILE)",
		Most: 1<<17 + size/64, // a tensor takes 40 opcodes, and at least 1,400 bytes of the file in the narrowest network
		Name: name, Persistent: s.refer, Objects: true,
	}
}
