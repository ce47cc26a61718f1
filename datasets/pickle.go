package datasets

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nlpodyssey/gopickle/types"

	"hdas/internal/pickle"
)

// batch reads the pickles of CIFAR, which hold plain values and arrays of bytes. They may name only the
// parts of a numpy array, which this file implements.
var batch = pickle.Reader{
	What: "a batch of CIFAR",
	Most: 1 << 17, // a published batch of 10,000 images has 30,000 opcodes; written by Python 3 with protocol 2, up to 90,000
	Name: arrayPart,
}

func unpickle(data []byte) (any, error) {
	r := batch
	r.Most += len(data) / 256 // CIFAR-100 has 50,000 images in one pickle
	v, _, err := r.Load(data)
	return v, err
}

// arrayPart returns the implementation of a name that a pickle may contain: the names with which numpy 1
// and numpy 2 write an array.
func arrayPart(name string) (part any, ok bool) {
	switch name {
	case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
		return pickle.Func(func(...any) (any, error) { return &array{}, nil }), true
	case "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer":
		return pickle.Func(fromBuffer), true
	case "numpy.dtype":
		return pickle.Func(newDType), true
	case "numpy.ndarray":
		return ndarray{}, true // an argument of _reconstruct, never called
	case "_codecs.encode":
		return pickle.Func(latin1), true
	}
	return nil, false
}

type ndarray struct{}

// array is a numpy array of uint8, in row-major order.
type array struct {
	shape []int
	data  *pickle.Blob
}

// PySetState is called by the unpickler with numpy's (version, shape, dtype, is column-major, bytes).
func (a *array) PySetState(state any) error {
	s, ok := state.(*types.Tuple)
	if !ok || s.Len() != 5 {
		return errors.New("an array's state is not a tuple of five")
	}
	if columns, ok := s.Get(3).(bool); !ok || columns {
		return errors.New("an array is not in row-major order")
	}
	return a.set(s.Get(1), s.Get(2), s.Get(4))
}

// fromBuffer implements numpy's _frombuffer(bytes, dtype, shape, order) of protocol 5.
func fromBuffer(args ...any) (any, error) {
	if len(args) != 4 || args[3] != "C" {
		return nil, errors.New("an array is not in row-major order")
	}
	a := &array{}
	return a, a.set(args[2], args[1], args[0])
}

func (a *array) set(shape, kind, data any) error {
	dims, ok := shape.(*types.Tuple)
	if !ok || dims.Len() > 4 {
		return errors.New("an array has no shape")
	}
	a.shape = nil
	for _, dim := range *dims {
		n, ok := dim.(int)
		if !ok || n < 0 || n > 1<<20 {
			return errors.New("an array has a dimension that is not in 0..2^20")
		}
		a.shape = append(a.shape, n)
	}
	if _, ok := kind.(*dtype); !ok {
		return errors.New("an array is not of uint8")
	}
	if a.data, ok = data.(*pickle.Blob); !ok {
		return fmt.Errorf("an array has fewer than %d bytes", pickle.Short)
	}
	return nil
}

// dtype is numpy's uint8, the only type that is accepted.
type dtype struct{}

// PySetState is called by the unpickler with the byte order, which does not matter for bytes.
func (*dtype) PySetState(any) error { return nil }

func newDType(args ...any) (any, error) {
	if len(args) == 0 || args[0] != "u1" {
		return nil, errors.New("an array is not of uint8")
	}
	return &dtype{}, nil
}

// latin1 implements _codecs.encode. Python 3 writes bytes for Python 2 as a text of the characters
// 0..255. latin1 returns that text unchanged: short ones are keys, and appendTo converts the pixels.
func latin1(args ...any) (any, error) {
	if len(args) != 2 || args[1] != "latin1" {
		return nil, errors.New("bytes are not encoded as latin1")
	}
	switch text := args[0].(type) {
	case string:
		return text, nil
	case *pickle.Blob:
		if text.Text {
			return text, nil
		}
	}
	return nil, errors.New("bytes are not written as a text")
}

// appendTo appends the array's n bytes to dst.
func (a *array) appendTo(dst []byte, n int) ([]byte, error) {
	if !a.data.Text {
		if len(a.data.Data) != n {
			return nil, fmt.Errorf("an array of %d bytes, not %d", len(a.data.Data), n)
		}
		return append(dst, a.data.Data...), nil
	}
	if found := utf8.RuneCount(a.data.Data); found != n {
		return nil, fmt.Errorf("an array of %d bytes, not %d", found, n)
	}
	for text := a.data.Data; len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		if r > 0xff {
			return nil, fmt.Errorf("an array with the character %#x, which is not a byte", r)
		}
		dst = append(dst, byte(r))
		text = text[size:]
	}
	return dst, nil
}

// entry returns the value of a key in a dict, or nil if there is none. As in Python, the last value of a
// repeated key counts.
func entry(d *types.Dict, key string) (value any) {
	for _, e := range *d {
		if e.Key == key {
			value = e.Value
		}
	}
	return value
}
