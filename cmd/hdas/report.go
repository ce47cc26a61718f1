package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/report"
	"hdas/run"
)

// reportFile is the name of a report that is given none.
const reportFile = "report.html"

func (p *program) report() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "report RUN...", Short: "Write what runs have recorded as one HTML file",
		Long: `Write a report of searches and trainings, also of those that go on: one HTML file
that needs no network. It has a table of the runs, the curves of losses and
accuracies, the evolution of all architecture parameters, when each edge was
decided, the genotype of each epoch (with a slider), dead cells and lengths of
paths, the accuracy of each class and the matrix of confusion of trainings, the
spread over seeds and comparisons, the configuration, the environment and links
to the files.

RUN is the folder of a run, or a folder with runs below it. The curves of several
runs are also shown together.`,
		Example: "  hdas report runs/stages\n  hdas report runs/trained runs/random -o report.html\n  hdas report runs/seeds",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			if out == "" {
				out = reportFile
				if len(a) == 1 {
					out = filepath.Join(a[0], reportFile)
				}
			}
			if out != "-" {
				if err := aReport.may(out); err != nil {
					return usageError{err}
				}
			}
			runs, err := p.writePage(out, a)
			if err != nil || out == "-" {
				return err
			}
			return p.print(map[string]any{"file": out, "runs": runs}, func(w io.Writer) { fmt.Fprintln(w, out) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write, .html; - for standard output; default report.html, in the folder RUN if there is but one")
	return c
}

// writePage writes the report of the runs in folders and below them to a file, - for the standard output, and returns
// the number of runs.
func (p *program) writePage(out string, folders []string) (runs int, err error) {
	r, err := reportOf(folders, filepath.Dir(out))
	if err != nil {
		return 0, usageError{err}
	}
	var page bytes.Buffer
	if err := report.Write(&page, r); err != nil {
		return 0, err
	}
	if out == "-" {
		_, err := page.WriteTo(p.out)
		return len(r.Runs), err
	}
	return len(r.Runs), run.Replace(out, func(w io.Writer) error { _, err := page.WriteTo(w); return err })
}

// reportOf returns the report of the runs in folders and below them, for a page in the folder `from`.
func reportOf(folders []string, from string) (report.Report, error) {
	source := sourceOf().Commit
	r := report.Report{Made: time.Now(), By: "hdas, commit " + source[:min(12, len(source))], Columns: columnNames()}
	var seen []string
	for _, folder := range folders {
		found, err := lab.Runs(folder)
		if err != nil {
			return r, err
		}
		groups := lab.GroupsIn(folder)
		if len(found)+len(groups) == 0 {
			return r, fmt.Errorf("%s holds no run, and no folder below it does", folder)
		}
		r.Groups = append(r.Groups, groups...)
		for _, x := range found {
			if slices.Contains(seen, x.Path) {
				continue
			}
			seen = append(seen, x.Path)
			one := lab.ReportOf(x.Path)
			one.Fault = cmp.Or(one.Fault, x.Fault)
			for _, c := range runColumns {
				one.Cells = append(one.Cells, strings.ReplaceAll(c.text(x), " %", "\u00a0%"))
			}
			names, err := lab.FilesOf(x.Path)
			if err != nil {
				return r, err
			}
			for _, name := range names {
				if name == reportFile {
					continue
				}
				one.Files = append(one.Files, report.File{Name: name, URL: link(from, filepath.Join(x.Path, name))})
			}
			r.Runs = append(r.Runs, one)
		}
	}
	return r, nil
}

// link returns the URL of a file relative to a folder or, of a file that none leads to, its absolute one.
func link(from, file string) string {
	at, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	base, err := filepath.Abs(from)
	if err == nil {
		if relative, err := filepath.Rel(base, at); err == nil {
			return (&url.URL{Path: filepath.ToSlash(relative)}).String()
		}
	}
	return (&url.URL{Scheme: "file", Path: at}).String()
}
