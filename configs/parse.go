package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/setting"
)

// readFile returns the values in a configuration file by their keys, and whether it is a built-in one. A
// file of another kind is one error, without values. c is the configuration of defaults.
func readFile(c any, known []string, name string) (list map[string]any, builtin bool, err error) {
	text, builtin, err := read(name)
	if err != nil {
		return nil, false, err
	}
	list, err = parse(text)
	if other := rightKind(c, known, list); other != nil {
		list, err = nil, other
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return list, builtin, err
}

// training is the kind of the configurations of trainings (see kindOf).
const training = "training"

// kindOf returns the kind of a configuration: training, or the kind of search as "cell search".
func kindOf(c any) string {
	if s, ok := c.(Search); ok {
		return string(s.Search.Kind) + " search"
	}
	return training
}

// kindsIn returns the kinds of configurations that have the given values; a search whose kind is not given
// is a "search".
func kindsIn(list map[string]any) (kinds []string) {
	for _, key := range slices.Sorted(maps.Keys(list)) {
		kind := ""
		switch section, _, _ := strings.Cut(key, "."); section {
		case "train":
			kind = training
		case "search":
			kind = "search"
			if k, ok := list["search.kind"].(string); ok {
				kind = k + " search"
			}
		}
		if kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// rightKind returns an error if the values of a file are not those of a configuration of the kind of c.
func rightKind(c any, known []string, list map[string]any) error {
	want := kindOf(c)
	for _, is := range kindsIn(list) {
		if is == want || is == "search" && want != training {
			continue
		}
		return fmt.Errorf("this is the configuration of a %s, not of a %s; built-in ones for that are %s", is, want, setting.List(builtinOf(want)))
	}
	keys := slices.Sorted(maps.Keys(list))
	if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool {
		_, similar := setting.Nearest(key, known)
		return similar
	}) {
		return nil
	}
	return fmt.Errorf("this is no configuration: %q is no key of one, nor is any other in the file; %s", keys[0], near("", known))
}

// parse returns the values of a YAML document by their dotted keys, which it turns to lower case. Keys that
// are given twice, in any case, and values that are null are faults; so is a second document.
func parse(text []byte) (map[string]any, error) {
	tree, err := decodeYAML(text)
	if err != nil {
		return nil, fmt.Errorf("%w; a configuration is one document of YAML: keys with values, as in search: {epochs: 50}", err)
	}
	switch tree.(type) {
	case nil: // nothing, or comments only
		return nil, nil
	case map[string]any, map[any]any:
	default:
		return nil, errors.New("this is no configuration: keys with values are needed, as in search: {epochs: 50}")
	}
	list := map[string]any{}
	return list, flatten(list, "", tree).Err()
}

// parseValue returns the values that a text in YAML gives to a key, or to the keys of a section. An empty
// text is the empty string.
func parseValue(key, text string) (map[string]any, error) {
	list := map[string]any{key: ""}
	if strings.TrimSpace(text) == "" {
		return list, nil
	}
	tree, err := decodeYAML([]byte(text))
	if err != nil {
		return nil, &setting.Fault{Key: key, Value: text, Err: err}
	}
	delete(list, key)
	return list, flatten(list, key, tree).Err()
}

var errNull = errors.New("it is null, which is no value; leave it out to use the default")

// decodeYAML returns the only document in a text, nil if there is none.
func decodeYAML(text []byte) (tree any, err error) {
	defer func() {
		if r := recover(); r != nil { // of the YAML library
			err = fmt.Errorf("not YAML: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&tree); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, oneLine(err)
	}
	if tree == nil {
		return nil, errNull
	}
	var second yaml.Node
	if err := d.Decode(&second); err == nil {
		return nil, errors.New("a second YAML document begins after ---; only one is read")
	} else if err != io.EOF {
		return nil, oneLine(err)
	}
	return tree, nil
}

// oneLine returns an error of the YAML library on one line.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// flatten adds the values in a tree of YAML to a list, by their dotted keys. prefix is the key of the tree.
func flatten(list map[string]any, prefix string, tree any) (f setting.Faults) {
	names := map[string]any{}
	switch t := tree.(type) {
	case map[string]any:
		names = t
	case map[any]any: // some of its keys are not texts
		for name, v := range t {
			names[fmt.Sprint(name)] = v
		}
	case nil:
		f = append(f, &setting.Fault{Key: prefix, Err: errNull})
		return f
	default:
		if twice(list, prefix) {
			f.Check(false, prefix, nil, "it is given twice; keys of different case are the same key")
		}
		list[prefix] = tree
		if elements, ok := tree.([]any); ok && slices.Contains(elements, nil) {
			f.Check(false, prefix, tree, "holds null, which is no value")
		}
		return f
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		key := strings.ToLower(name)
		if prefix != "" {
			key = prefix + "." + key
		}
		if other, again := seen[key]; again {
			f.Check(false, key, nil, "it is given twice, as %q and as %q; keys of different case are the same key", other, name)
			continue
		}
		seen[key] = name
		f = append(f, flatten(list, key, names[name])...)
	}
	return f
}

// twice reports whether a list has the value of a key already.
func twice(list map[string]any, key string) bool { _, there := list[key]; return there }
