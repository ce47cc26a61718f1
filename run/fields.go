package run

import (
	"bytes"
	"encoding/json"
	"slices"
)

// field is a value of a record, which is no object.
type field struct {
	path  []string // the keys of the objects around it, and its own
	value json.RawMessage
}

// fieldsOf returns the fields of a record in their order, those of objects within it in place of the objects.
func fieldsOf(line []byte) (list []field, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		inner := []field{{nil, v}}
		if v[0] == '{' {
			if inner, err = fieldsOf(v); err != nil {
				return nil, err
			}
		}
		for _, f := range inner {
			list = append(list, field{slices.Concat([]string{key.(string)}, f.path), f.value})
		}
	}
	return list, nil
}

func (f field) truth() bool { return string(f.value) == "true" || string(f.value) == "false" }

// number returns the number of a field; a truth is 1 or 0. ok is false of other fields.
func (f field) number() (v float64, ok bool) {
	switch string(f.value) {
	case "true":
		return 1, true
	case "false":
		return 0, true
	case "null":
		return 0, false
	}
	if c := f.value[0]; c != '-' && (c < '0' || c > '9') {
		return 0, false
	}
	return v, json.Unmarshal(f.value, &v) == nil
}
