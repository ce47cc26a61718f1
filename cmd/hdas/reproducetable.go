package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"hdas/lab"
	"hdas/recipe"
)

type tableColumn struct {
	head string
	cell func(r lab.TableRow) string
}

var rowNames = tableColumn{"row", func(r lab.TableRow) string { return r.Name }}

// tableColumns are the columns of an experiment's table besides the names of the rows, in all its forms: those of the errors, and those
// of the networks and the cost. A column that is empty in all rows is left out.
var tableColumns = [][]tableColumn{{
	{"paper's error %", func(r lab.TableRow) string { return value(r.Paper.Error, "%.2f") }},
	{"error %", func(r lab.TableRow) string { return spread(r.Error, "%.2f") }},
	{"n", func(r lab.TableRow) string { return number(r.Error) }},
	{"difference", func(r lab.TableRow) string { return value(r.ToPaper, "%+.2f") }},
	{"best epoch %", func(r lab.TableRow) string { return spread(r.Best, "%.2f") }},
	{"independent %", func(r lab.TableRow) string { return value(r.Independent, "%.2f") }},
	{"paper's top-5 %", func(r lab.TableRow) string { return value(r.Paper.Top5, "%.1f") }},
	{"top-5 %", func(r lab.TableRow) string { return spread(r.Top5, "%.2f") }},
	{"paper's RI", func(r lab.TableRow) string { return value(r.Paper.RI, "%.2f") }},
	{"RI", func(r lab.TableRow) string { return spread(r.RI, "%.2f") }},
}, {
	{"paper's M", func(r lab.TableRow) string { return value(r.Paper.Millions, "%.1f") }},
	{"M parameters", func(r lab.TableRow) string { return spread(r.Parameters, "%.3f") }},
	{"with head", func(r lab.TableRow) string { return spread(r.Auxiliary, "%.3f") }},
	{"M multiply-adds", func(r lab.TableRow) string { return spread(r.MACs, "%.1f") }},
	{"paper's dead", func(r lab.TableRow) string { return whole(r.Paper.Dead) }},
	{"dead cells", func(r lab.TableRow) string { return spread(r.Dead, "%.1f") }},
	{"paper's longest", func(r lab.TableRow) string { return whole(r.Paper.Longest) }},
	{"longest path", func(r lab.TableRow) string { return spread(r.Longest, "%.1f") }},
	{"mean path", func(r lab.TableRow) string { return spread(r.MeanPath, "%.2f") }},
	{"cells", func(r lab.TableRow) string {
		var each []string
		for _, c := range r.Cells {
			if text := list(c); len(each) == 0 || each[len(each)-1] != text {
				each = append(each, text)
			}
		}
		return strings.Join(each, " ")
	}},
	{"search, device-days", func(r lab.TableRow) string { return spread(r.SearchDays, "%.3g") }},
	{"training, device-days", func(r lab.TableRow) string { return spread(r.TrainDays, "%.3g") }},
	{"left", func(r lab.TableRow) string {
		switch {
		case r.Missing != "":
			return "not run"
		case r.Left > 0:
			return fmt.Sprintf("%d of %d", r.Left, r.Runs)
		}
		return ""
	}},
}}

func value(v *float64, format string) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(format, *v)
}

func whole(v *int) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}

func number(s *lab.Spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprint(s.N)
}

// spread returns a mean and, if there is more than one number and they differ, the standard deviation.
func spread(s *lab.Spread, format string) string {
	switch {
	case s == nil:
		return ""
	case s.N < 2 || s.SD == 0:
		return fmt.Sprintf(format, s.Mean)
	}
	return fmt.Sprintf(format+" +- "+format, s.Mean, s.SD)
}

// cells returns a part of the table as text: the heads of the columns that are not empty, and the rows. It is nil if all are
// empty.
func cells(t lab.Table, columns []tableColumn) (rows [][]string) {
	for _, c := range append([]tableColumn{rowNames}, columns...) {
		column, used := []string{c.head}, false
		for _, r := range t.Rows {
			text := c.cell(r)
			column, used = append(column, text), used || text != ""
		}
		if !used {
			continue
		}
		if rows == nil {
			rows = make([][]string, len(column))
		}
		for i, text := range column {
			rows[i] = append(rows[i], text)
		}
	}
	if rows == nil || len(rows[0]) < 2 {
		return nil
	}
	return rows
}

func printTable(w io.Writer, t lab.Table) {
	fmt.Fprintf(w, "%s: %s (%s), scale %s\n", t.Name, t.About, t.Source, t.Scale)
	if slices.ContainsFunc(t.Rows, func(r lab.TableRow) bool { return r.Error != nil }) {
		fmt.Fprintln(w, "Errors are of the last epoch on the test images: mean +- standard deviation of n trainings.")
	}
	fmt.Fprintln(w)
	for _, columns := range tableColumns {
		if rows := cells(t, columns); rows != nil {
			tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, row := range rows {
				fmt.Fprintln(tab, strings.Join(row, "\t"))
			}
			tab.Flush()
			fmt.Fprintln(w)
		}
	}
	for _, r := range t.Rows {
		for _, text := range append(append([]string{}, r.Verdicts...), r.Missing, r.Remark) {
			if text != "" {
				fmt.Fprintf(w, "%s: %s\n", r.Name, text)
			}
		}
		for _, path := range r.Drawings {
			if r.Error == nil { // else the structures are not what the table is about
				fmt.Fprintf(w, "%s: drawn in %s\n", r.Name, path)
			}
		}
	}
	for _, o := range t.Orders {
		fmt.Fprintf(w, "Order of the errors beside the paper's, %s: Kendall's tau %.2f (1: the same order, -1: the reverse)\n", o.Text(), o.Tau)
	}
	if t.Variations != nil {
		printVariations(w, *t.Variations)
	}
	if t.Note != "" {
		fmt.Fprintf(w, "Note: %s\n", t.Note)
	}
	fmt.Fprintln(w)
}

// printVariations prints the errors and the ranks of networks under several settings of their trainings.
func printVariations(w io.Writer, v lab.Variations) {
	fmt.Fprint(w, "\nErrors % (ranks) under several settings of the trainings\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "row\t%s\tmean\tbest\n", strings.Join(v.Names, "\t"))
	for _, r := range v.Rows {
		fmt.Fprint(t, r.Name)
		for i, e := range r.Errors {
			fmt.Fprintf(t, "\t%.2f (%d)", e, r.Ranks[i])
		}
		fmt.Fprintf(t, "\t%.2f\t%.2f\n", r.Mean, r.Best)
	}
	t.Flush()
	fmt.Fprint(w, "\nKendall's tau of the errors under each two settings\n\n")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\t%s\n", strings.Join(v.Names, "\t"))
	for i, line := range v.Taus {
		fmt.Fprint(t, v.Names[i])
		for _, tau := range line {
			fmt.Fprintf(t, "\t%.2f", tau)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// writeTables writes the table of an experiment to its folder, as text, JSON, CSV and LaTeX.
func writeTables(g recipe.Graph, t lab.Table) error {
	var text, comma, tex bytes.Buffer
	printTable(&text, t)
	if err := csv.NewWriter(&comma).WriteAll(cells(t, slices.Concat(tableColumns...))); err != nil {
		return err
	}
	fmt.Fprintf(&tex, "%% %s (%s), scale %s\n", t.About, t.Source, t.Scale)
	for _, columns := range tableColumns {
		writeLaTeX(&tex, cells(t, columns))
	}
	all, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Join(g.Root, lab.TablesFolder)
	stem := filepath.Join(folder, strings.Join(strings.FieldsFunc(t.Name+"-"+t.Scale, func(c rune) bool { return c == '/' || c == filepath.Separator }), "-"))
	return errors.Join(os.MkdirAll(folder, 0o777), os.WriteFile(stem+".txt", text.Bytes(), 0o666), os.WriteFile(stem+".csv", comma.Bytes(), 0o666),
		os.WriteFile(stem+".tex", tex.Bytes(), 0o666), os.WriteFile(stem+".json", append(all, '\n'), 0o666))
}

// writeLaTeX writes rows, the first of which has the heads, as a tabular environment.
func writeLaTeX(w io.Writer, rows [][]string) {
	for i, row := range rows {
		if i == 0 {
			fmt.Fprintf(w, "\\begin{tabular}{l%s}\n", strings.Repeat("r", len(row)-1))
		}
		fmt.Fprint(w, latex.Replace(row[0]))
		for _, cell := range row[1:] {
			fmt.Fprint(w, " & ", latex.Replace(cell))
		}
		fmt.Fprintln(w, ` \\`)
		switch i {
		case 0:
			fmt.Fprintln(w, `\hline`)
		case len(rows) - 1:
			fmt.Fprintln(w, `\end{tabular}`)
		}
	}
}

var latex = strings.NewReplacer(`\`, `\textbackslash{}`, "&", `\&`, "%", `\%`, "$", `\$`, "#", `\#`, "_", `\_`, "{", `\{`, "}", `\}`, "~", `\textasciitilde{}`,
	"^", `\textasciicircum{}`, "+-", `$\pm$`)
