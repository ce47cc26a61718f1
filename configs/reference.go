package configs

import (
	"reflect"
	"slices"
	"strings"

	"hdas/setting"
)

// Key describes a setting.
type Key struct {
	Name     string    `json:"key"`              // search.weights.lr
	Type     string    `json:"type"`             // integer, number, true or false, text, list of integers ...
	Words    []string  `json:"words,omitempty"`  // the words that a text or the texts of a list may be; empty: any text
	Range    string    `json:"range,omitempty"`  // of a number or the numbers of a list: 1..4096, [0,1); empty: any
	Defaults []Variant `json:"defaults"`         // of the kinds of configurations that use it: one, unless they differ
	Meaning  string    `json:"meaning"`          // one line
	Paper    string    `json:"paper,omitempty"`  // where H-DAS tells of it: section 6.4, eq. 2, Table 3
	Unused   []Variant `json:"unused,omitempty"` // why the default configurations of some kinds do not use it
	Variable string    `json:"variable"`         // the environment variable that sets it
}

// Variant is what the configurations of some kinds have.
type Variant struct {
	Is any    `json:"is"`           // a value, or a reason
	In string `json:"in,omitempty"` // the kinds: "trainings", "searches", "stage, joint search"; empty: all that have the key
}

// Training is the kind of the configurations of trainings, beside the Kinds of searches.
const Training = "train"

// kindDefaults returns the default configuration of each kind: those of the searches, then that of a training.
func kindDefaults() (kinds []string, all []Configuration) {
	for _, k := range Kinds {
		kinds, all = append(kinds, string(k)), append(all, DefaultSearch(k))
	}
	return append(kinds, Training), append(all, DefaultTrain())
}

// Reference returns all settings of all configurations in the order of their fields. Type and range, defaults,
// words and meanings are those that the configurations are read and checked by.
func Reference() (all []Key) {
	described(reflect.TypeFor[Common](), "", &all)
	described(reflect.TypeFor[SearchSection](), "search", &all)
	described(reflect.TypeFor[TrainSection](), "train", &all)
	kinds, configurations := kindDefaults()
	used, rest, why := map[string]variants{}, map[string]variants{}, map[string]variants{}
	for i, c := range configurations {
		values, err := flatYAML(c)
		if err != nil {
			panic(err) // the defaults always encode to YAML
		}
		idle := c.idle()
		for key, v := range values {
			if reason, is := idle[key]; is {
				rest[key], why[key] = rest[key].with(v, kinds[i]), why[key].with(reason, kinds[i])
			} else {
				used[key] = used[key].with(v, kinds[i])
			}
		}
	}
	for i := range all {
		k := &all[i]
		k.Words = words(k.Name, strings.HasPrefix(k.Type, "list"))
		k.Variable = variable(k.Name)
		k.Unused = why[k.Name].list(why[k.Name].count() + used[k.Name].count())
		of := used[k.Name]
		if of.count() == 0 {
			of = rest[k.Name]
		}
		k.Defaults = of.list(of.count())
	}
	return all
}

// described adds the settings of a section, a struct, whose keys begin with prefix.
func described(section reflect.Type, prefix string, all *[]Key) {
	for i := range section.NumField() {
		field := section.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		key := strings.Trim(prefix+"."+name, ".")
		if field.Type.Kind() == reflect.Struct {
			if options == "inline" {
				key = prefix
			}
			described(field.Type, key, all)
			continue
		}
		allowed := field.Tag.Get("range")
		switch field.Type.Kind() {
		case reflect.Uint8:
			allowed = "0..255"
		case reflect.Uint64:
			allowed = "0..18446744073709551615"
		}
		*all = append(*all, Key{Name: key, Type: typeName(field.Type), Range: allowed, Meaning: field.Tag.Get("help"), Paper: field.Tag.Get("paper")})
	}
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	}
	return "integer"
}

// words returns the words that Validate allows for a key, nil if they are not a closed set.
func words(key string, list bool) []string {
	var impossible any = "?"
	if list {
		impossible = []any{"?"}
	}
	_, configurations := kindDefaults()
	for _, c := range configurations {
		for _, fault := range setting.All(c.with(key, impossible)) {
			if _, known, ok := strings.Cut(fault.Why, "known are "); ok && fault.Key == key {
				known, _, _ = strings.Cut(known, ";")
				return strings.Split(known, ", ")
			}
		}
	}
	return nil
}

// variants are different values, and the kinds of configurations that have each.
type variants struct {
	values []any
	kinds  [][]string
}

// with returns the variants with the value of another kind.
func (v variants) with(value any, kind string) variants {
	i := slices.IndexFunc(v.values, func(w any) bool { return reflect.DeepEqual(value, w) })
	if i < 0 {
		i = len(v.values)
		v.values, v.kinds = append(v.values, value), append(v.kinds, nil)
	}
	v.kinds[i] = append(v.kinds[i], kind)
	return v
}

// count returns the number of kinds.
func (v variants) count() int { return len(slices.Concat(v.kinds...)) }

// list returns each value with its kinds, unless they are all, of which there is the given number.
func (v variants) list(all int) (list []Variant) {
	for i, value := range v.values {
		var in []string
		searches := slices.DeleteFunc(slices.Clone(v.kinds[i]), func(kind string) bool { return kind == Training })
		switch {
		case len(v.kinds[i]) == all:
		case len(searches) == len(Kinds):
			in = []string{"searches"}
		case len(searches) > 0:
			in = []string{strings.Join(searches, ", ") + " search"}
		}
		if len(searches) < len(v.kinds[i]) && len(v.kinds[i]) < all {
			in = append(in, "trainings")
		}
		list = append(list, Variant{value, strings.Join(in, ", ")})
	}
	return list
}

// Values returns the type, the words and the range of a setting in one line.
func (k Key) Values() string {
	allowed, why, _ := strings.Cut(k.Range, "; ")
	if why != "" {
		why = " (" + why + ")"
	}
	switch {
	case len(k.Words) > 0 && k.Type == "text":
		return strings.Join(k.Words, ", ")
	case len(k.Words) > 0:
		return "list of " + strings.Join(k.Words, ", ")
	case k.Type == "integer" && allowed != "":
		return allowed + why
	case allowed != "":
		return k.Type + " in " + allowed + why
	}
	return k.Type
}

// Default returns the defaults of a setting in one line.
func (k Key) Default() string {
	var list []string
	for _, d := range k.Defaults {
		text := inline(d.Is)
		if d.In != "" {
			text += " (" + d.In + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// About returns the meaning of a setting in one line, with the place in the paper.
func (k Key) About() string {
	if k.Paper == "" {
		return k.Meaning
	}
	return k.Meaning + " [H-DAS " + k.Paper + "]"
}

// Notes returns when a setting is used or not, in a line each.
func (k Key) Notes() (list []string) {
	for _, u := range k.Unused {
		note := u.Is.(string)
		switch {
		case strings.HasPrefix(note, "it is "):
		case u.In == "":
			note = "by default not used: " + note
		default:
			note = "not used in " + u.In + ": " + note
		}
		list = append(list, note)
	}
	return list
}

// Find returns the settings that a text names: a key, the keys of a section, or else those in whose name or meaning
// it is, or else those in which all its words are, in any order and without the s of a plural. An empty text names all.
func Find(text string) (found []Key) {
	text = strings.ToLower(strings.TrimSpace(text))
	all := Reference()
	named := func(k Key) bool { return text == "" || k.Name == text || strings.HasPrefix(k.Name, text+".") }
	holds := func(k Key) bool {
		return strings.Contains(k.Name, text) || strings.Contains(strings.ToLower(k.Meaning), text)
	}
	holdsWords := func(k Key) bool {
		return !slices.ContainsFunc(strings.Fields(text), func(word string) bool {
			return !strings.Contains(k.Name+" "+strings.ToLower(k.Meaning), strings.TrimSuffix(word, "s"))
		})
	}
	for _, matches := range []func(Key) bool{named, holds, holdsWords} {
		for _, k := range all {
			if matches(k) {
				found = append(found, k)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found
}
