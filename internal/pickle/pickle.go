// Package pickle reads Python's pickles of plain values, from sources that are not trusted. Nothing
// that a pickle names is run: its reader says what may be named and has its own for that.
package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/pickle"
)

// Reader says what a kind of pickle may hold.
type Reader struct {
	What string // it is, for errors: "a batch of CIFAR-10"
	Most int    // opcodes of one pickle
	// Name is what stands for module.name; not ok refuses it.
	Name func(name string) (v any, ok bool)
	// Persistent is the value that an id stands for; nil: none is allowed. Objects allows ids, big
	// integers, fractions and instances of what Name gives.
	Persistent func(id any) (any, error)
	Objects    bool
}

// Load reads the pickle that data begins with, and returns what follows it.
func (r Reader) Load(data []byte) (v any, rest []byte, err error) {
	program, long, size, err := r.reduce(data)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if p := recover(); p != nil { // the unpickler's way with some malformed programs
			v, rest, err = nil, nil, errors.New("malformed")
		}
	}()
	u := pickle.NewUnpickler(bytes.NewReader(program))
	u.PersistentLoad = r.Persistent
	u.FindClass = func(module, name string) (any, error) {
		full := strings.TrimPrefix(module, disguise) + "." + name
		if v, ok := r.Name(full); ok {
			return v, nil
		}
		return nil, r.refuse(full)
	}
	u.NextBuffer = func() (any, error) {
		next := long[0]
		long = long[1:]
		return next, nil
	}
	if v, err = u.Load(); errors.Is(err, ErrUnsupported) {
		return nil, nil, err
	} else if err != nil {
		return nil, nil, fmt.Errorf("%.200s", err)
	}
	return v, data[size:], nil
}

// ErrUnsupported is the cause where a pickle is whole, as far as it was read, but holds what its
// kind has no place for. Other errors mean that it is damaged.
var ErrUnsupported = errors.New("unsupported")

// unsupported is an error of that text whose cause is ErrUnsupported.
type unsupported string

func (e unsupported) Error() string        { return string(e) }
func (e unsupported) Is(target error) bool { return target == ErrUnsupported }

func (r Reader) refuse(name string) error {
	return unsupported(fmt.Sprintf("it names %.64q, which has no place in %s", name, r.What))
}

// Func is a function that a pickle may call, by name.
type Func func(args ...any) (any, error)

// Call is for the unpickler.
func (f Func) Call(args ...any) (any, error) { return f(args...) }

// GoString is for the unpickler's errors.
func (f Func) GoString() string { return "a function" }

// Blob is a text, or bytes, of more than Short bytes. It aliases the data that was read.
type Blob struct {
	Data []byte
	Text bool // UTF-8, not bytes
}

// GoString keeps the content out of error texts.
func (b *Blob) GoString() string { return fmt.Sprintf("%d bytes", len(b.Data)) }

// Text is v as a text, if it is one.
func Text(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case *Blob:
		return string(t.Data), t.Text
	}
	return "", false
}
