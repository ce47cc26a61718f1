package configs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/models/plan"
	"hdas/setting"
)

// Overrides holds changes to the defaults of a configuration. Set wins over the environment, and the
// environment over File.
type Overrides struct {
	File string   // name of a built-in configuration or of a YAML file; "": none
	Set  []string // key=value, the value as YAML
	// Alone makes the environment be ignored, because File is the saved configuration of a run.
	Alone bool
	// Form is the form of the network of a training, on which its default size and its unused settings
	// depend.
	Form Form
	// Start returns the network of the checkpoint with that path (train.init). The default sizes, images and
	// normalisation of a training are then those of the checkpoint. It may be nil.
	Start func(path string) (Start, error)
}

// Start is what a training takes over from the checkpoint from whose weights it starts.
type Start struct {
	Network   plan.Macro
	Form      Form
	Size      int       // height and width of the images
	Mean, Std []float64 // of the normalisation
}

// Form says whether a network has stages.
type Form string

// The forms. The empty one is not known yet; the default size is then that of a chain.
const (
	Chain  Form = "chain"
	Staged Form = "stages"
)

// FormOf returns the form of networks with or without stages.
func FormOf(stages bool) Form {
	if stages {
		return Staged
	}
	return Chain
}

// LoadSearch returns the validated configuration of a search of that kind. A setting that this search does
// not use is a fault, unless it comes from a built-in configuration.
func LoadSearch(k Kind, o Overrides) (Search, error) {
	c, wrong, unfit := CheckSearch(k, o)
	return c, cmp.Or(wrong, unfit)
}

// LoadTrain returns the validated configuration of a training. A setting that this training does not use is
// a fault, unless it comes from a built-in configuration.
func LoadTrain(o Overrides) (Train, error) {
	c, wrong, unfit := CheckTrain(o)
	return c, cmp.Or(wrong, unfit)
}

// CheckSearch is LoadSearch with all faults: wrong has unknown keys and values of the wrong type; unfit has what is
// wrong without these settings, and may be a consequence of leaving them out.
func CheckSearch(k Kind, o Overrides) (c Search, wrong, unfit error) {
	if !slices.Contains(Kinds, k) {
		return c, fmt.Errorf("search %q %s", k, setting.Unknown(string(k), Kinds)), nil
	}
	settle := func(c *Search, given func(string) bool) error {
		c.settle(given)
		var f setting.Faults
		f.Check(c.Search.Kind == k, "search.kind", c.Search.Kind, "is not the requested kind of search, %s", k)
		return f.Err()
	}
	return load(func() Search { return DefaultSearch(k) }, o, settle, Search.idle)
}

// CheckTrain is to LoadTrain what CheckSearch is to LoadSearch.
func CheckTrain(o Overrides) (c Train, wrong, unfit error) {
	begin := func() Train {
		c := DefaultTrain()
		c.Form = o.Form
		return c
	}
	settle := func(c *Train, given func(string) bool) (err error) {
		if c.Train.Init != "" && o.Start != nil {
			given, err = c.startFrom(o.Start, given)
		}
		c.settle(given)
		return err
	}
	return load(begin, o, settle, Train.idle)
}

// startFrom sets what is not given to that of the checkpoint of train.init, and adds it to what is given. A network
// that is given and another one than the checkpoint's is a fault.
func (c *Train) startFrom(start func(string) (Start, error), given func(string) bool) (func(string) bool, error) {
	from, err := start(c.Train.Init)
	if err != nil {
		return given, &setting.Fault{Key: "train.init", Value: c.Train.Init, Err: err}
	}
	c.Form = from.Form
	var f setting.Faults
	own := []string{"network.auxiliary"}
	if !given("network.auxiliary") {
		c.Network.Auxiliary = from.Network.Auxiliary
	}
	is, was := reflect.ValueOf(&c.Network).Elem(), reflect.ValueOf(from.Network)
	for i := range is.NumField() {
		name := is.Type().Field(i).Tag.Get("yaml")
		key := "network." + name
		if name == "-" || name == "auxiliary" {
			continue
		}
		if given(key) && was.Field(i).Interface() != is.Field(i).Interface() {
			f.Check(false, key, is.Field(i).Interface(), "is not that of the checkpoint to start from, %v; leave it out", was.Field(i))
		}
		is.Field(i).Set(was.Field(i))
		own = append(own, key)
	}
	if !given("data.size") && from.Size > 0 {
		c.Data.Size = from.Size
		own = append(own, "data.size")
	}
	if !given("data.mean") && !given("data.std") {
		c.Data.Mean, c.Data.Std = from.Mean, from.Std
	}
	return func(key string) bool { return given(key) || slices.Contains(own, key) }, f.Err()
}

// idle returns the keys that this search does not use, each with the reason.
func (c Search) idle() map[string]string {
	keys := map[string]string{"network.auxiliary": "a supernet has no auxiliary head"}
	for _, key := range []string{"network.wiring", "network.stage_output"} {
		keys[key] = "the searches relax the summed wiring (H-DAS eq. 1); set that of the network found in its training"
	}
	for key, why := range c.Data.idle() {
		keys["data."+key] = why
	}
	for _, key := range []string{"data.mixup", "data.cutmix"} {
		keys[key] = "a search learns from whole images; it can be used in a training only"
	}
	keys["data.validation"] = "a search validates on one half of the training images"
	keys["data.balanced"] = "a search draws every image once in an epoch; it can be used in a training only"
	if c.Search.Kind != CellSearch {
		keys["network.layers"] = "the stages have their own number of cells: search.lengths"
	}
	for key, why := range c.Search.Idle() {
		keys["search."+key] = why
	}
	return keys
}

// validator is a configuration.
type validator interface{ Validate() error }

// load returns the defaults changed by the overrides, and their faults: those of single keys, and those of the
// configuration without these. settle sets the defaults that depend on other settings; given tells it which keys
// the overrides set. idle returns the keys that the configuration does not use, each with the reason.
func load[C validator](fresh func() C, o Overrides, settle func(c *C, given func(string) bool) error, idle func(C) map[string]string) (c C, wrong, unfit error) {
	c = fresh()
	known, err := keysOf(c)
	if err != nil {
		return c, err, nil
	}
	g, wrong := gather(c, known, o)
	if g == nil {
		return c, wrong, nil
	}
	maps.DeleteFunc(g, func(key string, _ value) bool { return !slices.Contains(known, key) })
	if err := g.decode(&c); err != nil {
		wrong = errors.Join(wrong, meant(fresh, err))
		for _, fault := range setting.All(err) {
			delete(g, fault.Key)
		}
		c = fresh()
		if err := g.decode(&c); err != nil {
			return c, wrong, nil
		}
	}
	settled := settle(&c, g.has)
	var f setting.Faults
	unused := idle(c)
	dropped := false
	for _, key := range slices.Sorted(maps.Keys(unused)) {
		if v, there := g[key]; there {
			f.Check(v.dropped, key, nil, "%s", unused[key])
			delete(g, key)
			dropped = true
		}
	}
	if dropped {
		c = fresh()
		if err := g.decode(&c); err != nil {
			return c, wrong, err
		}
		settled = settle(&c, g.has)
	}
	return c, wrong, errors.Join(f.Err(), settled, c.Validate())
}

// value is the value that an override gives to a key. It is dropped if the configuration has no use for it
// and the user did not write it: it is that of a built-in configuration or of a saved one.
type value struct {
	is      any
	dropped bool
}

// values holds the values of the overrides by key.
type values map[string]value

func (g values) has(key string) bool { _, ok := g[key]; return ok }

// put adds a list of values.
func (g values) put(list map[string]any, dropped bool) {
	for key, v := range list {
		g[key] = value{v, dropped}
	}
}

// gather returns the values of the overrides, nil if the file has none. Unknown keys are faults. c is the configuration
// of defaults.
func gather(c any, known []string, o Overrides) (values, error) {
	g := values{}
	var broken error
	if o.File != "" {
		list, builtin, err := readFile(c, known, o.File)
		if err != nil && list == nil {
			return nil, err
		}
		broken = err
		g.put(list, builtin || o.Alone)
		if o.Alone {
			for _, key := range retired {
				delete(g, key)
			}
		}
	}
	f := unknownVariables()
	set := func(key, text string) {
		list, err := parseValue(key, text)
		for _, fault := range setting.All(err) {
			f = append(f, fault)
		}
		g.put(list, false)
	}
	for _, key := range known {
		if text, ok := lookup(key); ok && !o.Alone {
			set(key, text)
		}
	}
	for _, s := range o.Set {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form key=value, as in --set %s=...%s", s, known[0], setting.Meant(s, known))
		}
		set(strings.ToLower(strings.TrimSpace(key)), text)
	}
	f = append(f, unknownKeys(slices.Sorted(maps.Keys(g)), known)...)
	return g, errors.Join(broken, f.Err())
}

// retired holds keys that saved configurations of runs may have, and that have no effect any more.
var retired = []string{"cuda.channels_last"}

// most is the largest number of unknown keys that are described one by one.
const most = 5

// unknownKeys returns a fault for each key that is not known, and a last one for those above most.
func unknownKeys(keys, known []string) (f setting.Faults) {
	var more []string
	for _, key := range keys {
		switch {
		case slices.Contains(known, key):
		case len(f) < most:
			f.Check(false, key, nil, "unknown key; %s", near(key, known))
		default:
			more = append(more, key)
		}
	}
	if n := len(more); n > 0 {
		f.Check(false, "unknown keys", nil, "%d more, the first is %s", n, more[0])
	}
	return f
}

// near returns what may be meant by an unknown key: a similar one of its section, one with the same last
// word, a similar one, or else the keys that are known there.
func near(key string, known []string) string {
	at := strings.LastIndex(key, ".") + 1
	section, word := key[:at], key[at:]
	var inside, words, below, same []string
	for _, k := range known {
		if rest, in := strings.CutPrefix(k, section); in && !strings.Contains(rest, ".") {
			inside, words = append(inside, k), append(words, rest)
		}
		if key != "" && strings.HasPrefix(k, key+".") {
			below = append(below, k)
		}
		if k == word || strings.HasSuffix(k, "."+word) {
			same = append(same, k)
		}
	}
	if len(below) > 0 {
		return "it is a section; known are " + setting.List(below)
	}
	if w, ok := setting.Nearest(word, words); ok {
		return "did you mean " + section + w + "?"
	}
	if len(same) == 0 && (section == "" || len(inside) == 0) {
		if k, ok := setting.Nearest(key, known); ok {
			same = []string{k}
		} else {
			inside = append(slices.DeleteFunc(slices.Clone(known), func(k string) bool { return strings.Contains(k, ".") }), sections(known)...)
		}
	}
	if len(same) > 0 {
		return "did you mean " + strings.Join(same, " or ") + "?"
	}
	return "known are " + setting.List(inside)
}

// sections returns the sections of keys, in their order, each as "data.*".
func sections(keys []string) (list []string) {
	for _, k := range keys {
		if s, _, nested := strings.Cut(k, "."); nested && !slices.Contains(list, s+".*") {
			list = append(list, s+".*")
		}
	}
	return list
}

// keysOf returns the dotted keys of all values of a configuration, sorted.
func keysOf(c any) ([]string, error) {
	values, err := flatYAML(c)
	return slices.Sorted(maps.Keys(values)), err
}

// flatYAML returns the values of a configuration by their dotted keys.
func flatYAML(c any) (map[string]any, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	return parse(text)
}
