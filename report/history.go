package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"hdas/models/genotype"
)

// history is what the records of a run say.
type history struct {
	epochs  []int
	numbers map[string]series             // by the keys of the field, joined by dots
	alphas  []map[string][]float64        // of each epoch: architecture parameters by name, before the softmax
	found   []string                      // of each epoch: the genotype as YAML
	decoded map[string]*genotype.Genotype // by that YAML; nil if it cannot be decoded
	skipped int                           // records that could not be read
	fault   error                         // of the first of them
}

// series is a number of some epochs. All values are finite.
type series struct {
	name   string
	colour int // of the page's palette; those from `colours` on are dashed
	epochs []float64
	values []float64
}

func (s *series) add(epoch int, v float64) {
	s.epochs, s.values = append(s.epochs, float64(epoch)), append(s.values, v)
}

func (s series) constant() bool {
	return len(s.values) == 0 || slices.Min(s.values) == slices.Max(s.values)
}

// read returns the history of a run. A record that cannot be read is left out.
func read(records [][]byte) history {
	h := history{numbers: map[string]series{}, decoded: map[string]*genotype.Genotype{}}
	for _, line := range records {
		if err := h.add(line); err != nil {
			if h.skipped++; h.fault == nil {
				h.fault = err
			}
		}
	}
	return h
}

func (h *history) add(line []byte) error {
	var r struct {
		Epoch    int
		Alpha    map[string][]float64
		Genotype string
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("record %.60q: %w", line, err)
	}
	if n := len(h.epochs); n > 0 && r.Epoch <= h.epochs[n-1] {
		return fmt.Errorf("record %.60q: epoch %d after epoch %d", line, r.Epoch, h.epochs[n-1])
	}
	if err := json.Unmarshal(line, &all); err != nil {
		return err
	}
	delete(all, "alpha")
	h.collect("", r.Epoch, all)
	h.epochs, h.alphas, h.found = append(h.epochs, r.Epoch), append(h.alphas, r.Alpha), append(h.found, r.Genotype)
	if _, known := h.decoded[r.Genotype]; !known && r.Genotype != "" {
		h.decoded[r.Genotype] = nil
		if g, err := genotype.Decode(strings.NewReader(r.Genotype)); err == nil {
			h.decoded[r.Genotype] = &g
		}
	}
	return nil
}

// collect adds the finite numbers of an object of a record.
func (h *history) collect(prefix string, epoch int, object map[string]json.RawMessage) {
	for key, raw := range object {
		name := prefix + key
		var inner map[string]json.RawMessage
		var v *float64
		switch {
		case bytes.HasPrefix(raw, []byte("{")) && json.Unmarshal(raw, &inner) == nil:
			h.collect(name+".", epoch, inner)
		case json.Unmarshal(raw, &v) == nil && v != nil && !math.IsInf(*v, 0) && !math.IsNaN(*v):
			s := h.numbers[name]
			s.name = name
			s.add(epoch, *v)
			h.numbers[name] = s
		}
	}
}

// parts are those of the data.
var parts = []string{"train", "valid", "test"}

// named returns the series whose names f keeps, by the shorter names that f returns: first those of the parts of the
// data, then the others in the order of their names.
func (h history) named(f func(name string) (short string, ok bool)) (list []series) {
	for _, name := range slices.Sorted(maps.Keys(h.numbers)) {
		if short, ok := f(name); ok {
			s := h.numbers[name]
			s.name = short
			list = append(list, s)
		}
	}
	rank := func(s series) int { i := slices.Index(parts, s.name); return (i + len(parts) + 1) % (len(parts) + 1) }
	slices.SortStableFunc(list, func(a, b series) int { return cmp.Compare(rank(a), rank(b)) })
	for i := range list {
		list[i].colour = i
	}
	return list
}

// genotypeAt returns the genotype of the record at that index, nil if there is none.
func (h history) genotypeAt(i int) *genotype.Genotype { return h.decoded[h.found[i]] }
