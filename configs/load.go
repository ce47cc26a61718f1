package configs

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"hdas/setting"
)

// Overrides holds changes to the defaults of a configuration. Set wins over the environment, and the
// environment over File.
type Overrides struct {
	File string   // name of a built-in configuration or of a YAML file; "": none
	Set  []string // key=value, the value as YAML
	// Alone makes the environment be ignored, because File is the saved configuration of a run.
	Alone bool
}

// LoadSearch returns the validated configuration of a search of that kind.
func LoadSearch(k Kind, o Overrides) (Search, error) {
	c := DefaultSearch(k)
	given, err := load(&c, o)
	if err != nil {
		return c, err
	}
	var f setting.Faults
	idle := c.idle()
	for _, key := range given {
		why, unused := idle[key]
		f.Check(!unused, key, nil, "%s", why)
	}
	if len(f) > 0 {
		return c, f.Err()
	}
	c.settle()
	if f.Check(c.Search.Kind == k, "search.kind", c.Search.Kind, "is not the requested kind of search, %s", k); len(f) > 0 {
		return c, f.Err()
	}
	return c, c.Validate()
}

// idle returns the keys that this search does not use, each with the reason.
func (c Search) idle() map[string]string {
	keys := map[string]string{"network.auxiliary": "a supernet has no auxiliary head"}
	for _, key := range []string{"network.wiring", "network.stage_output"} {
		keys[key] = "the searches relax the summed wiring (H-DAS eq. 1); set that of the network found in its training"
	}
	for _, key := range []string{"data.mixup", "data.cutmix"} {
		keys[key] = "a search learns from whole images; it can be used in a training only"
	}
	if c.Search.Kind != CellSearch {
		keys["network.layers"] = "the stages have their own number of cells: search.lengths"
	}
	for key, why := range c.Search.Idle() {
		keys["search."+key] = why
	}
	return keys
}

// LoadTrain returns the validated configuration of a training.
func LoadTrain(o Overrides) (Train, error) {
	c := DefaultTrain()
	if _, err := load(&c, o); err != nil {
		return c, err
	}
	c.settle()
	return c, c.Validate()
}

// load applies the overrides to c, a pointer to a configuration, and returns the sorted keys that they
// set.
func load(c any, o Overrides) (given []string, err error) {
	known, err := keysOf(c)
	if err != nil {
		return nil, err
	}
	v := viper.New()
	if err := merge(v, known, o); err != nil {
		return nil, err
	}
	given = v.AllKeys()
	slices.Sort(given)
	f := unknownVariables()
	for _, key := range given {
		f.Check(slices.Contains(known, key), key, nil, "unknown key; known are %s", setting.List(near(key, known)))
	}
	if len(f) > 0 {
		return nil, f.Err()
	}
	return given, decode(v, c)
}

// merge puts all overrides into v.
func merge(v *viper.Viper, known []string, o Overrides) error {
	if o.File != "" {
		text, err := read(o.File)
		if err != nil {
			return err
		}
		var file map[string]any
		if err := parse(text, &file); err != nil {
			return fmt.Errorf("%s: %w", o.File, err)
		}
		if err := v.MergeConfigMap(file); err != nil {
			return fmt.Errorf("%s: %w", o.File, err)
		}
	}
	for _, key := range known {
		if text, ok := os.LookupEnv(variable(key)); ok && !o.Alone {
			if err := set(v, key, text); err != nil {
				return err
			}
		}
	}
	for _, s := range o.Set {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("--set %s: not of the form key=value", s)
		}
		if err := set(v, strings.TrimSpace(key), text); err != nil {
			return err
		}
	}
	return nil
}

// set sets a key of v to the YAML value in text. An empty value means the empty string.
func set(v *viper.Viper, key, text string) error {
	var value any
	if err := parse([]byte(text), &value); err != nil {
		return &setting.Fault{Key: key, Value: text, Err: err}
	}
	if value == nil {
		value = ""
	}
	v.Set(key, value)
	return nil
}

// parse decodes YAML into out. It returns an error if the YAML library panics.
func parse(text []byte, out any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML: %v", r)
		}
	}()
	return yaml.Unmarshal(text, out)
}

// decode puts the values of v into c, a pointer to a configuration.
func decode(v *viper.Viper, c any) error {
	hook := viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(mapstructure.DecodeHookFuncType(typed), mapstructure.TextUnmarshallerHookFunc()))
	strict := func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput = false }
	var f setting.Faults
	var visit func(err error)
	visit = func(err error) {
		switch e := err.(type) {
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
	if err := v.UnmarshalExact(c, hook, strict); err != nil {
		visit(err)
	}
	return f.Err()
}

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
		why = "is neither true nor false"
	case reflect.String:
		_, ok = value.(string)
		why = "is not a string"
	case reflect.Float64:
		ok, why = isFloat || isInt || isLarge, "is not a number"
	case reflect.Int, reflect.Int64:
		ok, why = isWhole, "is not an integer"
	case reflect.Uint64:
		ok, why = isLarge || isWhole && n >= 0 && !(f < 0), "is not an integer of at least 0"
	case reflect.Uint8:
		ok, why = isWhole && n >= 0 && n <= 255 && f >= 0 && f <= 255, "is not an integer in 0..255"
	case reflect.Slice:
		_, ok = value.([]any)
		why = "is not a list"
	}
	if !ok {
		return nil, &setting.Fault{Value: value, Why: why}
	}
	return value, nil
}

// keysOf returns the dotted keys of all values of a configuration, sorted.
func keysOf(c any) ([]string, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	err = yaml.Unmarshal(text, &m)
	return keys("", m), err
}

func keys(prefix string, m map[string]any) []string {
	var out []string
	for k, v := range m {
		if section, ok := v.(map[string]any); ok {
			out = append(out, keys(prefix+k+".", section)...)
		} else {
			out = append(out, prefix+k)
		}
	}
	slices.Sort(out)
	return out
}

// near returns the known keys of the same section, or all if it has none.
func near(key string, known []string) []string {
	section := key[:strings.LastIndex(key, ".")+1]
	var out []string
	for _, k := range known {
		if strings.HasPrefix(k, section) && !strings.Contains(k[len(section):], ".") {
			out = append(out, k)
		}
	}
	if len(out) == 0 || section == "" {
		return known
	}
	return out
}
