package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
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
	var before []Fact
	for i, line := range r.Starts {
		title := "Begun by"
		if i > 0 {
			title = "Resumed by"
		}
		facts, err := factsOf(line)
		if err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("The record of a start could not be read: %v", err))
			continue
		}
		for i, f := range facts {
			facts[i] = readable(f)
		}
		differ := slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool { return slices.Contains(before, f) })
		s.Starts, before = append(s.Starts, start{title, differ}), facts
	}
	return s, nil
}

// readableNames are those of facts of a start whose names in its record are short.
var readableNames = map[string]string{
	"resumed_at.epoch": "resumed after epoch", "resumed_at.step": "and after step of the next",
	"network.preset": "preset", "network.genotype": "genotype", "network.channels": "initial channels, C", "network.cells": "cells",
	"network.parameters": "parameters", "network.architecture": "architecture parameters", "network.macs": "multiply-adds per image",
	"steps": "steps per epoch", "batch": "images per step", "data.name": "data", "data.classes": "classes",
	"data.image": "channels, height, width", "data.parts": "images", "memory.expected": "memory expected", "memory.free": "memory free",
}

// readable returns a fact of a start with a name and a unit for the page.
func readable(f Fact) Fact {
	switch f.Name {
	case "time":
		if t, err := time.Parse(time.RFC3339Nano, f.Value); err == nil {
			f.Value = t.Format("2006-01-02 15:04:05 MST")
		}
	case "memory.expected", "memory.free":
		if bytes, err := strconv.ParseFloat(f.Value, 64); err == nil {
			f.Value = fmt.Sprintf("%.2f GB", bytes/1e9)
		}
	case "data.parts":
		var parts []struct {
			Name   string
			Images int
		}
		if json.Unmarshal([]byte(f.Value), &parts) == nil {
			var texts []string
			for _, p := range parts {
				texts = append(texts, fmt.Sprintf("%s %d", p.Name, p.Images))
			}
			f.Value = strings.Join(texts, ", ")
		}
	}
	f.Name = cmp.Or(readableNames[f.Name], f.Name)
	return f
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
	Plots []figure
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
		s.Plots = append(s.Plots, f)
	}
	plots := map[string][]series{}
	var titles []string
	for _, c := range g.Courses {
		if len(plots[c.Plot]) == 0 {
			titles = append(titles, c.Plot)
		}
		line := series{name: c.Name, colour: len(plots[c.Plot])}
		for i, v := range c.Values {
			line.add(i+1, v)
		}
		plots[c.Plot] = append(plots[c.Plot], line)
	}
	for _, title := range titles {
		f, err := lines(title, plots[title], 1, false)
		if err != nil {
			return s, err
		}
		s.Plots = append(s.Plots, f)
	}
	return s, nil
}

// Percent formats a share for the page.
func (m Member) Percent() string { return percent(m.Value) }

func percent(share float64) string { return fmt.Sprintf("%.2f\u00a0%%", 100*share) }

// functions are those of the page.
var functions = template.FuncMap{"percent": percent, "share": func(share float64) float64 { return 100 * min(max(share, 0), 1) }}
