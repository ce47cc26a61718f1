// Package pickle reads Python pickles of plain values from untrusted sources. It runs no code that a
// pickle names: the Reader lists the allowed names and provides Go values for them.
package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/pickle"
)

// Reader defines what a kind of pickle may contain.
type Reader struct {
	What string // the kind of pickle, for error texts: "a batch of CIFAR-10"
	Most int    // largest number of opcodes in a pickle
	// Name returns the Go value for a name "module.name" in the pickle. If ok is false, the name is not
	// allowed.
	Name func(name string) (v any, ok bool)
	// Persistent returns the value for a persistent id. If it is nil, ids are not allowed.
	Persistent func(id any) (any, error)
	// Objects allows persistent ids, big integers, floats and instances of the values that Name returns.
	Objects bool
}

// Load reads the pickle at the beginning of data. It returns its value and the bytes after it.
func (r Reader) Load(data []byte) (v any, rest []byte, err error) {
	program, long, size, err := r.reduce(data)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if p := recover(); p != nil { // the unpickler panics for some malformed pickles
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

// ErrUnsupported is the cause of errors for pickles with content that the Reader does not allow. Other errors
// mean that the pickle is damaged.
var ErrUnsupported = errors.New("unsupported")

// unsupported is an error with the cause ErrUnsupported.
type unsupported string

func (e unsupported) Error() string        { return string(e) }
func (e unsupported) Is(target error) bool { return target == ErrUnsupported }

func (r Reader) refuse(name string) error {
	return unsupported(fmt.Sprintf("it contains the name %.64q, which is not allowed in %s", name, r.What))
}

// Func is a Go function that a pickle may call.
type Func func(args ...any) (any, error)

// Call is called by the unpickler.
func (f Func) Call(args ...any) (any, error) { return f(args...) }

// GoString returns the text for the unpickler's errors.
func (f Func) GoString() string { return "a function" }

// Blob is a text or a byte string of more than Short bytes. It shares the memory of the data that was read.
type Blob struct {
	Data []byte
	Text bool // a text in UTF-8, not a byte string
}

// GoString returns the length, to keep the content out of error texts.
func (b *Blob) GoString() string { return fmt.Sprintf("%d bytes", len(b.Data)) }

// Text returns v as a string, and whether v is a text.
func Text(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case *Blob:
		return string(t.Data), t.Text
	}
	return "", false
}
