package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Changes returns the settings, as key=value, that make c like another search in all that c has a use for,
// except their kind and their lengths.
func (c Search) Changes(other Search) (list []string) {
	other.Search.Kind, other.Search.Lengths = c.Search.Kind, c.Search.Lengths
	is, be := c.saved(), other.saved()
	for _, key := range slices.Sorted(maps.Keys(be)) {
		now, there := is[key]
		if text := inline(be[key]); !there || text != inline(now) {
			list = append(list, key+"="+text)
		}
	}
	return list
}

// saved returns the values that YAML saves, by key.
func (c Search) saved() map[string]any {
	text, err := c.YAML()
	if err != nil {
		return nil
	}
	list, _ := parse(text)
	return list
}

// inline returns a value as YAML on one line.
func inline(v any) string {
	if s, ok := v.(string); ok && s != "" {
		if back, err := decodeYAML([]byte(s)); err == nil && back == v {
			return s
		}
	}
	text, err := json.Marshal(v) // which is YAML
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
