// Package setting describes what is wrong with the settings of a configuration, key by key. A type
// with settings has a Validate method that collects Faults; a program finds them with errors.As or
// All and can show each beside its setting.
package setting

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Fault is a setting whose value cannot be used.
type Fault struct {
	Key   string // as it is written in a configuration: search.weights.lr
	Value any    // the value that was given; nil where there is none
	Why   string // what is wrong with it, or what is allowed: "is not at least 1"
	Err   error  // the cause; nil where there is none
}

// Error returns one sentence that begins with the key and the value.
func (f *Fault) Error() string {
	text := f.Key
	switch {
	case reflect.ValueOf(f.Value).Kind() == reflect.String:
		text += fmt.Sprintf(" %q %s", f.Value, f.Why)
	case f.Value != nil:
		text += fmt.Sprintf(" %v %s", f.Value, f.Why)
	case f.Why != "":
		text += ": " + f.Why
	}
	text = strings.TrimSpace(text)
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Faults collects the faults of a section.
type Faults []*Fault

// Check adds a fault unless ok. why and args are those of fmt.Sprintf.
func (f *Faults) Check(ok bool, key string, value any, why string, args ...any) {
	if !ok {
		*f = append(*f, &Fault{Key: key, Value: value, Why: fmt.Sprintf(why, args...)})
	}
}

// Finite adds a fault for every number of section, a struct with yaml tags, that is NaN or infinite.
// A key that has a fault already gets no second one.
func (f *Faults) Finite(section any) {
	f.finite("", reflect.ValueOf(section))
}

func (f *Faults) finite(key string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.finite(join(key, keyOf(v.Type().Field(i))), v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			f.finite(key, v.Index(i))
		}
	case reflect.Float64:
		x := v.Float()
		known := slices.ContainsFunc(*f, func(g *Fault) bool { return g.Key == key })
		f.Check(known || !math.IsNaN(x) && !math.IsInf(x, 0), key, x, "is not a finite number")
	}
}

// keyOf returns the key of a field, which is empty for a section that is written inline.
func keyOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return name
}

func join(section, key string) string {
	return strings.Trim(section+"."+key, ".")
}

// Err returns the faults as one error, joined by errors.Join; nil if there are none.
func (f Faults) Err() error {
	var list []error
	for _, fault := range f {
		list = append(list, fault)
	}
	return errors.Join(list...)
}

// Word adds a fault unless value is one of the known words.
func Word[T ~string](f *Faults, key string, value T, known []T) {
	f.Check(slices.Contains(known, value), key, value, "is unknown; known are %s", List(known))
}

// Parse sets *word to text, which has to be one of the known words. It is the body of a type's
// UnmarshalText.
func Parse[T ~string](word *T, text []byte, known []T) error {
	var f Faults
	if Word(&f, "", T(text), known); len(f) > 0 {
		return f[0]
	}
	*word = T(text)
	return nil
}

// List returns the words with commas between them.
func List[T ~string](words []T) string {
	var list []string
	for _, w := range words {
		list = append(list, string(w))
	}
	return strings.Join(list, ", ")
}

// In returns err, an error of a section, with the section before the key of each fault. What is not
// a fault becomes the cause of one whose key is the section. In of nil is nil.
func In(section string, err error) error {
	var f Faults
	for _, e := range flat(err) {
		moved := Fault{Key: section, Err: e}
		if fault, ok := e.(*Fault); ok {
			moved = *fault
			moved.Key = join(section, fault.Key)
		}
		f = append(f, &moved)
	}
	return f.Err()
}

// All returns the faults of err: those that are joined in it, and in what it wraps.
func All(err error) []*Fault {
	var list []*Fault
	for _, e := range flat(err) {
		if fault, ok := e.(*Fault); ok {
			list = append(list, fault)
		} else {
			list = append(list, All(errors.Unwrap(e))...)
		}
	}
	return list
}

// flat returns the errors that errors.Join has joined in err, and in those.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, flat(e)...)
	}
	return list
}
