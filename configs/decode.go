package configs

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"hdas/setting"
)

// decode puts the values into c, a pointer to a configuration.
func (g values) decode(c any) error {
	v := viper.New()
	for key, value := range g {
		v.Set(key, value.is)
	}
	hook := viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(mapstructure.DecodeHookFuncType(typed), mapstructure.TextUnmarshallerHookFunc()))
	return faultsOf(v.UnmarshalExact(c, hook, func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput = false }))
}

// faultsOf returns the errors of mapstructure as faults.
func faultsOf(err error) error {
	var f setting.Faults
	var visit func(err error)
	visit = func(err error) {
		switch e := err.(type) {
		case nil:
		case *mapstructure.DecodeError:
			key, _, _ := strings.Cut(e.Name(), "[") // the key of the list, without the element's index
			fault := setting.Fault{Key: key, Err: e.Unwrap()}
			if cause, ok := fault.Err.(*setting.Fault); ok {
				fault = *cause
				fault.Key = key
			}
			f = append(f, &fault)
		case interface{ Unwrap() []error }:
			for _, each := range e.Unwrap() {
				visit(each)
			}
		case interface{ Unwrap() error }:
			visit(e.Unwrap())
		default:
			f = append(f, &setting.Fault{Key: "configuration", Err: err})
		}
	}
	visit(err)
	return f.Err()
}

// What is wrong with a value of another type than its setting.
const (
	notBool   = "is neither true nor false"
	notString = "is not a string"
	notNumber = "is not a number"
	notInt    = "is not an integer"
	notUint   = "is not an integer of at least 0"
	notByte   = "is not an integer in 0..255"
	notList   = "is not a list"
)

var types = []string{notBool, notString, notNumber, notInt, notUint, notByte, notList}

// typed returns a fault if the type of a value is not that of its setting. An integer may be written as
// a decimal, such as 1e3.
func typed(_, to reflect.Type, value any) (any, error) {
	f, isFloat := value.(float64)
	n, isInt := value.(int)
	_, isLarge := value.(uint64) // larger than the largest int
	isWhole := isInt || isFloat && f == float64(int64(f))
	ok, why := true, ""
	switch to.Kind() {
	case reflect.Bool:
		_, ok = value.(bool)
		why = notBool
	case reflect.String:
		_, ok = value.(string)
		why = notString
	case reflect.Float64:
		ok, why = isFloat || isInt || isLarge, notNumber
	case reflect.Int, reflect.Int64:
		ok, why = isWhole, notInt
	case reflect.Uint64:
		ok, why = isLarge || isWhole && n >= 0 && !(f < 0), notUint
	case reflect.Uint8:
		ok, why = isWhole && n >= 0 && n <= 255 && f >= 0 && f <= 255, notByte
	case reflect.Slice:
		_, ok = value.([]any)
		why = notList
	}
	if !ok {
		return nil, &setting.Fault{Value: value, Why: why}
	}
	return value, nil
}

// meant returns the faults in err, each of a value of the wrong type together with what is allowed.
func meant[C validator](fresh func() C, err error) error {
	var f setting.Faults
	for _, fault := range setting.All(err) {
		if allowed := allowed(fresh, fault.Key); allowed != "" && slices.Contains(types, fault.Why) {
			more := *fault
			more.Why += "; " + allowed
			fault = &more
		}
		f = append(f, fault)
	}
	return f.Err()
}

// allowed returns what Validate says of values of a key that no setting allows: "it must be at least 1". For
// a list it is an example. It returns an empty text if all values of the key's type are allowed.
func allowed[C validator](fresh func() C, key string) string {
	if defaults, err := flatYAML(fresh()); err == nil {
		if list, ok := defaults[key].([]any); ok && len(list) > 0 {
			return fmt.Sprintf("write it as [%s]", strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]"))
		}
	}
	for _, impossible := range []any{math.MinInt32, -math.MaxFloat64, "?"} {
		c := fresh()
		wrong := values{key: {is: impossible}}.decode(&c)
		if wrong == nil {
			wrong = c.Validate()
		}
		for _, fault := range setting.All(wrong) {
			if fault.Key != key || fault.Value != nil && fmt.Sprint(fault.Value) != fmt.Sprint(impossible) {
				continue
			}
			if why, ok := strings.CutPrefix(fault.Why, "is unknown; "); ok {
				why, _, _ = strings.Cut(why, "; did you mean")
				return why
			}
			if why, ok := strings.CutPrefix(fault.Why, "is not "); ok && !slices.Contains(types, fault.Why) {
				return "it must be " + why
			}
		}
	}
	return ""
}
