package weights

import (
	"errors"
	"regexp"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"hdas/internal/pickle"
	"hdas/torch/dtype"
)

// elements is the type of a storage's elements: a dtype.DType, or the name and size of an unsupported type.
type elements struct {
	dtype   dtype.DType
	foreign string // PyTorch's name of the storage class if the type is unsupported, else empty
	size    int64  // bytes of an element of an unsupported type
}

func (e elements) String() string {
	if e.foreign != "" {
		return e.foreign
	}
	return e.dtype.String()
}

// bytes returns the size of the storage in bytes.
func (s *storage) bytes() int64 {
	if s.foreign != "" {
		return s.count * s.size
	}
	return s.count * s.dtype.Size()
}

// foreignStorages holds the element sizes of PyTorch's storage classes with unsupported types. Tensors of these
// types may be in a file together with a network.
var foreignStorages = map[string]int64{
	"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
	"UntypedStorage": 1, "storage.UntypedStorage": 1,
}

// storageClass returns the element type of a storage class; its name is given without the module.
func storageClass(class string) (e elements, ok bool) {
	if e.dtype, ok = dtype.FromStorage(class); ok {
		return e, true
	}
	size, ok := foreignStorages[class]
	return elements{foreign: "torch." + class, size: size}, ok
}

// values matches the names of element types and of quantisation schemes.
var values = regexp.MustCompile(`^torch\.((bfloat|float|complex|int|uint|qint|quint|bits)[0-9][0-9a-z_]*|bool|per_(tensor|channel)_[a-z_]+)$`)

// moreNames returns the implementation of the other names that torch.load(weights_only=True) of PyTorch 2
// allows. No foreign code is run.
func moreNames(full string) (v any, ok bool) {
	switch full {
	case "torch._utils._rebuild_device_tensor_from_cpu_tensor", "torch.nn.parameter.Parameter":
		return parameter{}, true
	case "torch._utils._rebuild_tensor_v3":
		return pickle.Func(rebuildTyped), true
	case "torch._tensor._rebuild_from_type_v2":
		return pickle.Func(rebuildFromType), true
	case "torch._utils._rebuild_sparse_tensor":
		return lacking("a sparse tensor"), true
	case "torch._utils._rebuild_qtensor":
		return lacking("a quantised tensor"), true
	case "torch._utils._rebuild_meta_tensor_no_storage":
		return lacking("a meta tensor, without elements"), true
	case "torch._utils._rebuild_wrapper_subclass", "torch._utils._rebuild_device_tensor_from_numpy":
		return lacking("a tensor of a class that PyTorch alone can read"), true
	case "collections.Counter", "torch.serialization._get_layout",
		"builtins.set", "builtins.frozenset", "builtins.bytearray", "builtins.complex",
		"__builtin__.set", "__builtin__.frozenset", "__builtin__.bytearray", "__builtin__.complex":
		return &inert{}, true
	}
	if class, legacy := strings.CutSuffix(full, "Tensor"); legacy && legacyTensor.MatchString(class) {
		return parameter{}, true
	}
	if values.MatchString(full) {
		return &inert{full}, true
	}
	return nil, false
}

// legacyTensor matches the names of tensor classes, such as torch.cuda.FloatTensor, without "Tensor".
var legacyTensor = regexp.MustCompile(`^torch\.(cuda\.)?([A-Z][A-Za-z0-9]*)?$`)

// parameter implements tensor classes. An instance is the tensor that is its argument, or an empty tensor that
// BUILD fills.
type parameter struct{}

// Call is called by the unpickler.
func (parameter) Call(args ...any) (any, error) { return parameter{}.PyNew(args...) }

// PyNew is called by the unpickler.
func (parameter) PyNew(args ...any) (any, error) {
	if len(args) == 0 {
		return &tensor{}, nil
	}
	return rebuildParameter(args...)
}

// PySetState sets the tensor to the state (storage, offset, size, stride, ...) or (tensor, ...).
func (t *tensor) PySetState(state any) error {
	s, ok := state.(*types.Tuple)
	if !ok || s.Len() == 0 {
		return errors.New("the state of a tensor is no tuple")
	}
	if other, ok := s.Get(0).(*tensor); ok {
		*t = *other
		return nil
	}
	made, err := rebuildTensor(*s...)
	if err == nil {
		*t = *made.(*tensor)
	}
	return err
}

// rebuildTyped implements _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, ...),
// which PyTorch uses for element types without a storage class. None of them is supported.
func rebuildTyped(args ...any) (any, error) {
	kind := "a tensor of a type that is not known here"
	if len(args) > 6 {
		if t, ok := args[6].(*inert); ok && t.name != "" {
			kind = "a tensor of " + t.name
		}
	}
	return &tensor{lack: kind}, nil
}

// rebuildFromType implements _rebuild_from_type_v2(function, class, arguments, state) for tensors with
// attributes. The attributes are ignored.
func rebuildFromType(args ...any) (any, error) {
	if len(args) < 3 {
		return nil, errors.New("a tensor of fewer than three parts")
	}
	made, ok := args[0].(types.Callable)
	with, is := args[2].(*types.Tuple)
	if !ok || !is {
		return nil, errors.New("a tensor is not made of a function and its arguments")
	}
	return made.Call(*with...)
}

// lacking returns a function that makes tensors of an unsupported kind.
func lacking(kind string) pickle.Func {
	return func(...any) (any, error) { return &tensor{lack: kind}, nil }
}
