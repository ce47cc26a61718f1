package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
)

// Variation is a change of the settings of trainings. Rankings of architectures change with such settings (confopt, AutoML
// 2025), so that a comparison under one recipe alone may not hold.
type Variation struct {
	Name  string             `yaml:"name"`
	Set   map[string]any     `yaml:"set"`
	Times map[string]float64 `yaml:"times"` // factors of settings; numbers of epochs are rounded
}

// Variations reads a list of variations from a file, or the built-in ones if name is empty.
func Variations(name string) (list []Variation, err error) {
	text := configs.RecipeVariations()
	if name != "" {
		if text, err = configs.ReadRecipe(name); err != nil {
			return nil, err
		}
	} else {
		name = "variations"
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err = d.Decode(&list)
	seen := map[string]bool{}
	for i, v := range list {
		if err == nil && (v.Name == "" || seen[v.Name]) {
			err = fmt.Errorf("variation %d: its name %q is empty or another one's", i+1, v.Name)
		}
		seen[v.Name] = true
	}
	if err == nil && len(list) < 2 {
		err = errors.New("at least two variations are compared")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// settings returns the settings that make the variation of a configuration.
func (v Variation) settings(c configs.Train) ([]string, error) {
	text, err := c.YAML()
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	set := settings(v.Set)
	for _, key := range slices.Sorted(maps.Keys(v.Times)) {
		was, ok := number(tree, key)
		if !ok {
			return nil, fmt.Errorf("times: %s is no number that this training uses", key)
		}
		is := was * v.Times[key]
		if was == math.Trunc(was) && strings.HasSuffix(key, "epochs") {
			is = max(1, math.Round(is))
		}
		set = append(set, fmt.Sprintf("%s=%v", key, is))
	}
	return set, nil
}

// number returns the number at a key whose parts are separated by dots.
func number(tree map[string]any, key string) (float64, bool) {
	first, rest, more := strings.Cut(key, ".")
	if more {
		part, ok := tree[first].(map[string]any)
		if !ok {
			return 0, false
		}
		return number(part, rest)
	}
	switch v := tree[key].(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
