package datasets

import (
	"errors"
	"fmt"
	"io"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// readCIFARPickle reads a batch of the Python version: a dict with "data", an array (n,3072) of
// uint8, and "labels", a list of n numbers. Nothing in a pickle is run: it may name an array's
// parts, all else is refused.
func readCIFARPickle(r io.Reader, size int64, d *images) (err error) {
	defer func() {
		if p := recover(); p != nil { // the reader's way with some malformed files
			err = fmt.Errorf("is no pickle of CIFAR-10: %v", p)
		}
	}()
	u := pickle.NewUnpickler(io.LimitReader(r, size))
	u.FindClass = arrayParts
	v, err := u.Load()
	if err != nil {
		return fmt.Errorf("is no pickle of CIFAR-10: %w", err)
	}
	dict, ok := v.(*types.Dict)
	if !ok {
		return fmt.Errorf("holds %T, not a dict", v)
	}
	pixels, ok := entry(dict, "data").(*array)
	if !ok || len(pixels.shape) != 2 || pixels.shape[1] != cifarSize || pixels.shape[0]*cifarSize != len(pixels.data) {
		return fmt.Errorf(`has no array "data" of n x %d bytes`, cifarSize)
	}
	labels, ok := entry(dict, "labels").(*types.List)
	if !ok || labels.Len() != pixels.shape[0] {
		return fmt.Errorf(`has no list "labels" of %d numbers`, pixels.shape[0])
	}
	for i := range labels.Len() {
		n, ok := labels.Get(i).(int)
		if !ok || n < 0 || n > 255 {
			return fmt.Errorf("has the label %v", labels.Get(i))
		}
		d.labels = append(d.labels, byte(n))
	}
	d.pixels = append(d.pixels, pixels.data...)
	return nil
}

// entry is a value of a dict whose keys Python 2 wrote as str and Python 3 may write as bytes.
func entry(d *types.Dict, key string) any {
	if v, ok := d.Get(key); ok {
		return v
	}
	for _, e := range *d {
		if b, ok := e.Key.([]byte); ok && string(b) == key {
			return e.Value
		}
	}
	return nil
}

// arrayParts are the only names that a pickle may call.
func arrayParts(module, name string) (any, error) {
	switch module + "." + name {
	case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
		return callable(func(...any) (any, error) { return &array{}, nil }), nil
	case "numpy.ndarray":
		return callable(func(...any) (any, error) { return &array{}, nil }), nil
	case "numpy.dtype":
		return callable(newDType), nil
	case "_codecs.encode":
		return callable(latin1), nil
	}
	return nil, fmt.Errorf("it calls %s.%s, which CIFAR-10 does not need", module, name)
}

type callable func(args ...any) (any, error)

func (c callable) Call(args ...any) (any, error) { return c(args...) }

// array is a numpy array of uint8.
type array struct {
	shape []int
	data  []byte
}

// PySetState takes numpy's (version, shape, dtype, is Fortran order, bytes).
func (a *array) PySetState(state any) error {
	s, ok := state.(*types.Tuple)
	if !ok || s.Len() != 5 {
		return errors.New("an array's state is no tuple of five")
	}
	shape, ok := s.Get(1).(*types.Tuple)
	if !ok {
		return errors.New("an array has no shape")
	}
	a.shape = nil
	for i := range shape.Len() {
		n, ok := shape.Get(i).(int)
		if !ok || n < 0 || n > 1<<20 {
			return fmt.Errorf("an array has the dimension %v", shape.Get(i))
		}
		a.shape = append(a.shape, n)
	}
	if _, ok := s.Get(2).(*dtype); !ok {
		return errors.New("an array is not of uint8")
	}
	if fortran, ok := s.Get(3).(bool); !ok || fortran {
		return errors.New("an array is not in row-major order")
	}
	switch data := s.Get(4).(type) {
	case string:
		a.data = []byte(data)
	case []byte:
		a.data = data
	default:
		return fmt.Errorf("an array's bytes are %T", data)
	}
	return nil
}

// dtype is numpy's uint8, the only one.
type dtype struct{}

// PySetState is about byte order, which a byte has none of.
func (*dtype) PySetState(any) error { return nil }

func newDType(args ...any) (any, error) {
	if len(args) == 0 || args[0] != "u1" {
		return nil, fmt.Errorf("an array is of %v, not of uint8", args)
	}
	return &dtype{}, nil
}

// latin1 is how Python 3 writes bytes in the pickles that Python 2 can read.
func latin1(args ...any) (any, error) {
	if len(args) != 2 || args[1] != "latin1" {
		return nil, errors.New("bytes are not written as latin1")
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, errors.New("bytes are not written as a text")
	}
	out := make([]byte, 0, len(s))
	for _, c := range s {
		if c > 0xff {
			return nil, errors.New("bytes hold a character beyond latin1")
		}
		out = append(out, byte(c))
	}
	return out, nil
}
