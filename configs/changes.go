package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Changes returns the settings, as key=value, that make c like another search in all that c has a use for,
// except their kind and their lengths.
func (c Search) Changes(other Search) (list []string) {
	other.Search.Kind, other.Search.Lengths = c.Search.Kind, c.Search.Lengths
	for _, d := range Diff(c, other) {
		if d.B != nil {
			list = append(list, d.Key+"="+inline(d.B))
		}
	}
	return list
}

// Difference is a setting in which two configurations differ. A value is nil if that configuration does not use it.
type Difference struct {
	Key string `json:"key"`
	A   any    `json:"a"`
	B   any    `json:"b"`
}

// Diff returns the settings in use in which two configurations differ, sorted by their keys.
func Diff(a, b Configuration) (list []Difference) {
	is, be := saved(a), saved(b)
	both := maps.Clone(is)
	maps.Copy(both, be)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if inline(is[key]) != inline(be[key]) {
			list = append(list, Difference{key, is[key], be[key]})
		}
	}
	return list
}

// Texts returns both values as YAML on one line, "-" for one that is not used.
func (d Difference) Texts() (a, b string) {
	text := func(v any) string {
		if v == nil {
			return "-"
		}
		return inline(v)
	}
	return text(d.A), text(d.B)
}

// saved returns the values that YAML saves, by key.
func saved(c Configuration) map[string]any {
	text, err := c.YAML()
	if err != nil {
		return nil
	}
	list, _ := parse(text)
	return list
}

// inline returns a value as YAML on one line.
func inline(v any) string {
	text := fmt.Sprint(v)
	if list, ok := v.([]any); ok {
		var words []string
		for _, e := range list {
			words = append(words, inline(e))
		}
		text = "[" + strings.Join(words, ",") + "]"
	}
	if back, err := decodeYAML([]byte(text)); text != "" && err == nil && reflect.DeepEqual(back, v) {
		return text
	}
	quoted, err := json.Marshal(v) // which is YAML
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(quoted)
}
