package weights

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"hdas/internal/pickle"
)

// usual lists the keys under which programs save a network's state dict, the most specific first.
var usual = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params"}

// deepest is the largest number of nested dicts in which search looks for a dict of tensors.
const deepest = 4

// candidate is a dict that contains tensors.
type candidate struct {
	key     string
	value   any
	tensors int
}

// choose returns the dict of tensors with the given key. If key is empty, it returns the dict that most
// probably is a network's state dict: one with a usual key, or else the one with the most tensors.
func choose(content any, key string) (File, error) {
	var found []candidate
	search(content, nil, map[any]bool{}, &found)
	if len(found) == 0 {
		return File{}, unsupported("it holds no dict of tensors; save the state_dict: torch.save(model.state_dict(), FILE)")
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		if a, b := rank(a.key), rank(b.key); a != b {
			return a - b
		}
		return b.tensors - a.tensors
	})
	best := found[0]
	if key != "" {
		i := slices.IndexFunc(found, func(c candidate) bool { return c.key == key })
		if i < 0 {
			return File{}, fmt.Errorf("it has no tensors under the key %q; it has %s", key, list(found))
		}
		best = found[i]
	} else if len(found) > 1 && rank(best.key) == rank(found[1].key) && best.tensors == found[1].tensors {
		return File{}, fmt.Errorf("it has several dicts with equally many tensors: %s; choose one by its key", list(found))
	}
	f := File{Key: best.key}
	var others []string
	for k, v := range entries(best.value) {
		name, ok := pickle.Text(k)
		t, is := v.(*tensor)
		if !ok || !is {
			others = append(others, fmt.Sprintf("%.40q", fmt.Sprint(k)))
			continue
		}
		a, err := t.array()
		if err != nil {
			return File{}, fmt.Errorf("tensor %.100q: %w", name, err)
		}
		f.Entries = append(f.Entries, Entry{name, a})
	}
	if len(others) > 0 {
		f.notice("%d entries beside its tensors are none and were passed over: %s", len(others), firstOf(others))
	}
	return f, nil
}

func rank(key string) int {
	last := key[strings.LastIndexByte(key, '.')+1:]
	if i := slices.Index(usual, last); i >= 0 {
		return i
	}
	return len(usual)
}

func list(found []candidate) string {
	var out []string
	for _, c := range found[:min(len(found), 8)] {
		if c.key == "" {
			c.key = "(top)"
		}
		out = append(out, fmt.Sprintf("%.50s (%d tensors)", c.key, c.tensors))
	}
	return strings.Join(out, ", ")
}

// search appends the dicts of tensors in v to found. above holds the keys that lead to v. It visits each
// dict once, because dicts may contain each other.
func search(v any, above []string, seen map[any]bool, found *[]candidate) {
	switch v.(type) {
	case *types.Dict, *dict, *types.Tuple, *types.List:
		if seen[v] {
			return
		}
		seen[v] = true
	}
	c := candidate{key: strings.Join(above, "."), value: v}
	for k, v := range entries(v) {
		if _, ok := v.(*tensor); ok {
			if _, text := pickle.Text(k); text {
				c.tensors++
			}
		} else if key, ok := keyOf(k); ok && len(above) < deepest {
			search(v, append(above[:len(above):len(above)], key), seen, found)
		}
	}
	if c.tensors > 0 {
		*found = append(*found, c)
	}
}

// place is the index of a value in a tuple or a list.
type place int

// keyOf returns the part of File.Key for a key of a dict, or for an index.
func keyOf(k any) (string, bool) {
	if i, ok := k.(place); ok {
		return strconv.Itoa(int(i)), true
	}
	return pickle.Text(k)
}

// entries yields the keys and values of a dict, or the indices and values of a tuple or a list. For other
// values it yields nothing. As in Python, a repeated key has the position of its first entry and the value
// of its last.
func entries(v any) iter.Seq2[any, any] {
	var d types.Dict
	switch v := v.(type) {
	case *types.Tuple:
		return items(*v)
	case *types.List:
		return items(*v)
	case *types.Dict:
		d = *v
	case *dict:
		d = v.Dict
	}
	last := make(map[string]any, len(d))
	for _, e := range d {
		if key, ok := pickle.Text(e.Key); ok {
			last[key] = e.Value
		}
	}
	return func(yield func(k, v any) bool) {
		for _, e := range d {
			value := e.Value
			if key, ok := pickle.Text(e.Key); ok {
				v, first := last[key]
				if !first {
					continue
				}
				value = v
				delete(last, key)
			}
			if !yield(e.Key, value) {
				return
			}
		}
	}
}

func items(values []any) iter.Seq2[any, any] {
	return func(yield func(k, v any) bool) {
		for i, v := range values {
			if !yield(place(i), v) {
				return
			}
		}
	}
}
