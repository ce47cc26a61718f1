package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
)

// part is the section of a run.
type part struct {
	Run
	ID         string
	Warnings   []string
	Epochs     int // that have ended
	Curves     []figure
	Topologies []figure
	Mixtures   []mixture
	Decisions  []decision // the latest first
	Frames     frames
	Evaluation *evaluation
	Starts     []start
}

// start is what a process that began or resumed a run has written of itself.
type start struct {
	Title string
	Facts []Fact
}

// partOf returns the section of the run at that index.
func partOf(at int, r Run, h history) (s part, err error) {
	s = part{Run: r, ID: fmt.Sprintf("run-%d", at+1), Epochs: len(h.epochs)}
	if r.Fault != "" {
		s.Warnings = append(s.Warnings, "The run is damaged: "+r.Fault)
	}
	if h.skipped > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d of %d records could not be read and are left out; the first: %v", h.skipped, len(r.Records), h.fault))
	}
	if r.NoDAGs != "" {
		s.Warnings = append(s.Warnings, "What this search decides is not known, so its architecture parameters are not shown: "+r.NoDAGs)
	}
	if s.Curves, err = curves(h); err != nil {
		return s, err
	}
	if s.Topologies, err = topologies(h, r.DAGs); err != nil {
		return s, err
	}
	if s.Mixtures, err = mixtures(h, r.DAGs); err != nil {
		return s, err
	}
	s.Decisions = decisions(h, r.DAGs)
	if s.Frames, err = drawings(h, r.Genotype); err != nil {
		return s, err
	}
	if s.Evaluation, err = evaluationOf(r.Evaluation); err != nil {
		s.Warnings, err = append(s.Warnings, err.Error()), nil
	}
	for i, line := range r.Starts {
		title := "Begun by"
		if i > 0 {
			title = "Resumed by"
		}
		if facts, err := factsOf(line); err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("The record of a start could not be read: %v", err))
		} else {
			s.Starts = append(s.Starts, start{title, facts})
		}
	}
	return s, nil
}

// Latest returns the decisions of the last epoch that decided anything, at most five, and More how many others there are.
func (s part) Latest() []decision { return s.Decisions[:min(5, s.latest())] }
func (s part) More() int          { return max(0, s.latest()-5) }

func (s part) latest() int {
	n := 0
	for n < len(s.Decisions) && s.Decisions[n].Since == s.Decisions[0].Since {
		n++
	}
	return n
}

// factsOf returns the values of a JSON object, in its order, with names; those of objects in it have the names joined by dots.
func factsOf(object []byte) (list []Fact, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%.60q is no JSON object", object)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		name := fmt.Sprint(key)
		if raw[0] == '{' {
			inner, err := factsOf(raw)
			if err != nil {
				return nil, err
			}
			for _, f := range inner {
				list = append(list, Fact{name + "." + f.Name, f.Value})
			}
			continue
		}
		text := string(raw)
		if raw[0] == '"' {
			json.Unmarshal(raw, &text)
		}
		list = append(list, Fact{name, text})
	}
	_, err = d.Token()
	return list, err
}

// spread is the section of a group.
type spread struct {
	Group
	Plot *figure
}

// spreadOf returns the section of a group.
func spreadOf(g Group) (s spread, err error) {
	s.Group = g
	var names []string
	var columns [][]float64
	for _, m := range g.Rows {
		if len(names) == 0 || names[len(names)-1] != m.Kind {
			names, columns = append(names, m.Kind), append(columns, nil)
		}
		last := &columns[len(columns)-1]
		*last = append(*last, 100*m.Value)
	}
	if len(g.Rows) > 1 {
		f, err := dots("Top-1 accuracy, %", names, columns)
		if err != nil {
			return s, err
		}
		s.Plot = &f
	}
	return s, nil
}

// Percent formats a share for the page.
func (m Member) Percent() string { return percent(m.Value) }

func percent(share float64) string { return fmt.Sprintf("%.2f\u00a0%%", 100*share) }

// functions are those of the page.
var functions = template.FuncMap{"percent": percent, "share": func(share float64) float64 { return 100 * min(max(share, 0), 1) }}
