package genotype

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MostFile is the largest size of a genotype's file in bytes. A cell takes a few hundred bytes.
const MostFile = 1 << 20

// Decode reads a genotype from YAML. Unknown or repeated keys, values of the wrong kind, aliases, a
// second document, and everything that Validate refuses are errors, except that Decode does not check
// the names of operations. One error lists all faults of the file with their lines and places.
func Decode(r io.Reader) (Genotype, error) {
	data, err := io.ReadAll(io.LimitReader(r, MostFile+1))
	if err != nil {
		return Genotype{}, err
	}
	if len(data) > MostFile {
		return Genotype{}, fmt.Errorf("genotype: the file is larger than %d bytes", MostFile)
	}
	root, err := parse(data)
	if err != nil {
		return Genotype{}, fmt.Errorf("genotype: %w", err)
	}
	d := decoder{lines: map[string]int{}}
	var g Genotype
	d.genotype(root, &g)
	if err := d.join(g.check(Ops{})); err != nil {
		return Genotype{}, fmt.Errorf("genotype: %w", err)
	}
	return g, nil
}

// parse returns the tree of the single YAML document in data.
func parse(data []byte) (root *yaml.Node, err error) {
	// The YAML library returns errors for most faults of its input, but panics for some.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("not YAML: %v", r)
		}
	}()
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); err == io.EOF {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("line %d: the file holds a second document; remove it", more.Line)
	case err != io.EOF:
		return nil, err
	}
	return doc.Content[0], nil
}

// decoder reads a document, collects its faults, and records the line of each place. A place with a
// fault gets a value that causes no further faults.
type decoder struct {
	faults
	lines map[string]int
}

// join returns all faults sorted by line: those of the document, and those in found, the faults of the
// decoded genotype, that are not consequences of them.
func (d *decoder) join(found faults) error {
	all := slices.Clone(d.faults)
	broken := map[string]bool{}
	for _, f := range d.faults {
		broken[f.place] = true
	}
	follows := func(place string) bool {
		dag, _, out := strings.Cut(place, ".out")
		if out && broken[dag+".nodes"] {
			return true
		}
		for ; place != ""; place = parent(place) {
			if broken[place] {
				return true
			}
		}
		return false
	}
	for _, f := range found {
		if !follows(f.place) {
			all = append(all, f)
		}
	}
	for i, f := range all {
		if f.line == 0 {
			all[i].line = d.line(f.place)
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return a.line - b.line })
	return all.join()
}

// line returns the line of a place, or, if the file does not have it, of the place that contains it.
func (d *decoder) line(place string) int {
	for ; place != ""; place = parent(place) {
		if line, ok := d.lines[place]; ok {
			return line
		}
	}
	return 1
}

func parent(place string) string { return place[:max(0, strings.LastIndexAny(place, ".["))] }

func (d *decoder) fault(n *yaml.Node, place, format string, args ...any) {
	d.faults = append(d.faults, fault{n.Line, place, fmt.Sprintf(format, args...)})
}

// object calls read with each key of n that is in keys, and its value. It reports whether n is a
// mapping.
func (d *decoder) object(n *yaml.Node, place string, keys []string, read func(key string, value *yaml.Node)) bool {
	return d.entries(n, place, func(name string, key, value *yaml.Node) {
		at := within(place, name)
		if place == document {
			at = name
		}
		if !slices.Contains(keys, name) {
			d.fault(key, place+"."+name, "is an unknown key; known are %s", strings.Join(keys, ", "))
			return
		}
		d.lines[at] = key.Line
		read(name, value)
	})
}

// entries calls each with each entry of n. It reports whether n is a mapping.
func (d *decoder) entries(n *yaml.Node, place string, each func(name string, key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.fault(n, place, "is %s, not a mapping", kind(n))
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !isText(key):
			d.fault(key, place+" key", "is %s, not a text", kind(key))
		case seen[key.Value]:
			d.fault(key, fmt.Sprintf("%s key %q", place, key.Value), "is there twice")
		default:
			seen[key.Value] = true
			each(key.Value, key, value)
		}
	}
	return true
}

func (d *decoder) list(n *yaml.Node, place string, each func(i int, item *yaml.Node)) bool {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.fault(n, place, "is %s, not a list", kind(n))
		return false
	}
	for i, item := range n.Content {
		each(i, item)
	}
	return true
}

func (d *decoder) text(n *yaml.Node, place string, into *string) {
	if !isText(n) {
		d.fault(n, place, "is %s, not a text; quote it if it is one", kind(n))
		return
	}
	*into = n.Value
}

func (d *decoder) number(n *yaml.Node, place string, into *int) {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
		d.fault(n, place, "is %s, not a whole number", kind(n))
		return
	}
	*into = v
}

// percent reads an error rate in percent. 0 would mean that none is known, so it is a fault.
func (d *decoder) percent(n *yaml.Node, place string, into *float64) {
	v, err := strconv.ParseFloat(n.Value, 64)
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" || err != nil {
		d.fault(n, place, "is %s, not a number", kind(n))
		return
	}
	if v == 0 {
		d.fault(n, place, "is 0; leave it out if none is known")
	}
	*into = v
}

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

// kind returns the kind of a node in words, for an error text.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if n.ShortTag() == "!!null" {
		return "empty"
	}
	const most = 40
	if r := []rune(n.Value); len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", n.Value)
}
