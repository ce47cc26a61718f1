// Package report writes what searches and trainings have recorded as one HTML file, which needs no network: tables,
// curves and drawings. It makes no tensors.
package report

import (
	_ "embed"
	"errors"
	"html/template"
	"io"
	"time"

	"hdas/metric/score"
	"hdas/models/genotype"
	"hdas/search/space"
)

// Report is what Write writes.
type Report struct {
	Made    time.Time
	By      string // the program and its version
	Columns []string
	Runs    []Run
	Groups  []Group
}

// Run is what is known of a search or a training. All but the path may be missing; then the page says so, or leaves
// the part out.
type Run struct {
	Path        string
	Cells       []string // of its row in the summary table, by the columns of the report
	Fault       string   // what is damaged
	Records     [][]byte // of its epochs, each a JSON object
	DAGs        []Search // what a search decides
	NoDAGs      string   // why they are not known, of a search
	Training    bool     // it trains a network, so that it may have an evaluation
	Genotype    *genotype.Genotype
	Evaluation  *score.Evaluation // of a training, on its test images
	Evaluate    string            // the command that makes the evaluation
	Config      string            // YAML
	Environment []Fact
	Starts      [][]byte // of the processes that began or resumed it, each a JSON object
	Files       []File
}

// Search is a DAG that a search decides.
type Search = space.DAG

// Fact is a value with its name.
type Fact struct{ Name, Value string }

// File is a file of a run and its relative URL from the page.
type File struct{ Name, URL string }

// Group is a folder of several runs of the same kind, with several seeds, or a found network and random ones; or the table of
// an experiment.
type Group struct {
	Path    string
	About   string // what is compared
	Rows    []Member
	Facts   []Fact   // means and standard deviations
	Courses []Course // those of the same plot one after the other, or not
	Absent  string   // why there is no result; empty if there is one
}

// Course is a number over the epochs.
type Course struct {
	Plot   string    `json:"plot"`   // the title of the plot that it belongs to
	Name   string    `json:"name"`   // of its line
	Values []float64 `json:"values"` // after epoch 1, 2, ...; finite
}

// Member is the accuracy of a run of a group.
type Member struct {
	Kind  string // runs of the same kind are summed up
	Name  string
	Value float64 // in [0,1]
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// Mark is in the first bytes of every report.
const Mark = `<meta name="generator" content="hdas report">`

var page = template.Must(template.New("page").Funcs(functions).Parse(pageText))

// Write writes a report. Names and texts of runs are escaped.
func Write(w io.Writer, r Report) error {
	if len(r.Runs) == 0 {
		return errors.New("a report of no run")
	}
	p := struct {
		Report
		Style  template.CSS
		Script template.JS
		Curves []figure
		Spread []spread
		Parts  []part
	}{Report: r, Style: template.CSS(pageStyle), Script: template.JS(pageScript)}
	var all []history
	for i, one := range r.Runs {
		h := read(one.Records)
		all = append(all, h)
		s, err := partOf(i, one, h)
		if err != nil {
			return err
		}
		p.Parts = append(p.Parts, s)
	}
	var err error
	if len(r.Runs) > 1 {
		if p.Curves, err = together(r.Runs, all); err != nil {
			return err
		}
	}
	for _, g := range r.Groups {
		s, err := spreadOf(g)
		if err != nil {
			return err
		}
		p.Spread = append(p.Spread, s)
	}
	return page.Execute(w, p)
}
