// Package setting describes invalid settings of a configuration. A type with settings has a Validate
// method that collects a Fault for each invalid key. A program gets the faults from the error with
// errors.As or All, and can show each next to its setting.
package setting

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Fault is the error for a setting with an invalid value.
type Fault struct {
	Key   string // the full key in a configuration: search.weights.lr
	Value any    // the value that was given; nil if there is none
	Why   string // what is wrong with it, or what is allowed: "is not at least 1"
	Err   error  // the cause; nil if there is none
}

// Error returns a message that begins with the key and the value.
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

// Check adds a fault for the key if ok is false. Its Why is fmt.Sprintf(why, args...).
func (f *Faults) Check(ok bool, key string, value any, why string, args ...any) {
	if !ok {
		*f = append(*f, &Fault{Key: key, Value: value, Why: fmt.Sprintf(why, args...)})
	}
}

// Ranges adds a fault for every number in section, a struct with yaml tags, that is not finite or not in the
// range of its field, unless its key already has a fault. Numbers whose keys are in idle need only be finite. The tag "range" of a field is its
// range, and what to say about it: "1..4096" for integers, "[0,1)" for other numbers, "2..64; a reason". That
// of a list is for each of its numbers. Structs within section that have a Validate method are left to that.
func (f *Faults) Ranges(section any, idle map[string]string) {
	f.ranges("", "", reflect.ValueOf(section), idle)
}

func (f *Faults) ranges(key, allowed string, v reflect.Value, idle map[string]string) {
	if _, unused := idle[key]; unused {
		allowed = ""
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if name := keyOf(field); name != "-" && !validates(field.Type) {
				f.ranges(join(key, name), field.Tag.Get("range"), v.Field(i), idle)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if x, ok := number(v.Index(i)); ok {
				f.within(key, v.Interface(), x, fmt.Sprintf("holds %v, which is", v.Index(i)), allowed)
			}
		}
	default:
		if x, ok := number(v); ok {
			f.within(key, v.Interface(), x, "is", allowed)
		}
	}
}

// within adds a fault if x, the number of a value, is not in the allowed range. is begins its text.
func (f *Faults) within(key string, value any, x float64, is, allowed string) {
	known := slices.ContainsFunc(*f, func(g *Fault) bool { return g.Key == key })
	f.Check(known || !math.IsNaN(x) && !math.IsInf(x, 0), key, value, "%s not a finite number", is)
	known = known || math.IsNaN(x) || math.IsInf(x, 0)
	f.Check(known || allowed == "" || InRange(x, allowed), key, value, "%s not in %s", is, allowed)
}

func validates(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[interface{ Validate() error }]())
}

// number returns the value of a number, and false for other values. Numbers of 64 bits without a sign are
// seeds, all of which are allowed.
func number(v reflect.Value) (float64, bool) {
	switch {
	case v.CanFloat():
		return v.Float(), true
	case v.CanInt():
		return float64(v.Int()), true
	case v.Kind() == reflect.Uint8:
		return float64(v.Uint()), true
	}
	return 0, false
}

// InRange reports whether x is in a range as the tags have it: "1..4096", "[0,1)".
func InRange(x float64, allowed string) bool {
	text, _, _ := strings.Cut(allowed, ";")
	least, most, closed := strings.Cut(text, "..")
	low, high := closed, closed
	if !closed {
		least, most, _ = strings.Cut(text[1:len(text)-1], ",")
		low, high = text[0] == '[', text[len(text)-1] == ']'
	}
	a, err := strconv.ParseFloat(least, 64)
	b, err2 := strconv.ParseFloat(most, 64)
	if err != nil || err2 != nil {
		panic(fmt.Sprintf("setting: %q is no range", allowed)) // a mistake in this program's source
	}
	return (x > a || low && x == a) && (x < b || high && x == b)
}

// keyOf returns the key of a field, "" for an inline section.
func keyOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return name
}

func join(section, key string) string {
	return strings.Trim(section+"."+key, ".")
}

// Err returns the faults joined by errors.Join, nil if there are none.
func (f Faults) Err() error {
	var list []error
	for _, fault := range f {
		list = append(list, fault)
	}
	return errors.Join(list...)
}

// Word adds a fault for the key if value is not one of the known words.
func Word[T ~string](f *Faults, key string, value T, known []T) {
	f.Check(slices.Contains(known, value), key, value, "%s", Unknown(string(value), known))
}

// Parse sets *word to text and returns a Fault if text is not one of the known words. The UnmarshalText
// methods of such types call it.
func Parse[T ~string](word *T, text []byte, known []T) error {
	var f Faults
	if Word(&f, "", T(text), known); len(f) > 0 {
		return f[0]
	}
	*word = T(text)
	return nil
}

// List returns the words, separated by commas.
func List[T ~string](words []T) string {
	var list []string
	for _, w := range words {
		list = append(list, string(w))
	}
	return strings.Join(list, ", ")
}

// In returns the errors in err with the section's name put before the key of each fault. An error that
// is not a Fault becomes the cause of a new Fault whose key is the section. In(section, nil) is nil.
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

// All returns the faults that err wraps or joins, at any depth.
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

// flat returns the errors that are joined in err, at any depth.
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
