package lab

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"hdas/models/genotype"
	"hdas/recipe"
	"hdas/report"
	"hdas/run"
	"hdas/train"
)

// Table is the result of an experiment beside the paper's numbers.
type Table struct {
	Name      string     `json:"name"`
	About     string     `json:"about"`
	Source    string     `json:"source"`
	Note      string     `json:"note,omitempty"`
	Scale     string     `json:"scale"`
	Reference string     `json:"reference,omitempty"`
	Rows      []TableRow `json:"rows"`
	// Courses says how the stages change over the epochs of the rows' searches.
	Courses []report.Course `json:"courses,omitempty"`
	// Orders compare the order of the errors with that of the paper's, for rows with the same reference; those of fewer than
	// three rows that have both are left out.
	Orders []Order `json:"orders,omitempty"`
	// Variations compares the rows under the settings of recipe.Choice.Variations; nil without any.
	Variations *Variations `json:"variations,omitempty"`
}

// Variations holds the errors of rows under several settings of their trainings.
type Variations struct {
	Names []string    `json:"names"` // of the settings
	Rows  []VariedRow `json:"rows"`
	Taus  [][]float64 `json:"taus"` // Kendall's tau-b of the rows' errors under each two settings
}

// VariedRow is a row under several settings.
type VariedRow struct {
	Name   string    `json:"name"`
	Errors []float64 `json:"errors"` // mean error under each setting, in percent
	Ranks  []int     `json:"ranks"`  // from 1, the lowest error, under each setting
	Mean   float64   `json:"mean"`   // of the errors
	Best   float64   `json:"best"`   // the lowest
}

// TableRow is a row of a table. Errors are in percent, of the test images.
type TableRow struct {
	Name        string        `json:"name"`
	Reference   string        `json:"reference,omitempty"` // the row with which it is compared; itself if it is that of others
	Paper       recipe.Values `json:"paper"`
	Independent *float64      `json:"independent,omitempty"`
	Missing     string        `json:"missing,omitempty"` // why it has no runs
	Remark      string        `json:"remark,omitempty"`
	Runs        int           `json:"runs"`
	Left        int           `json:"left"`            // of them, those that have not ended
	Error       *Spread       `json:"error,omitempty"` // top-1, last epoch
	Best        *Spread       `json:"best_epoch_error,omitempty"`
	Top5        *Spread       `json:"top5_error,omitempty"`
	Parameters  *Spread       `json:"parameters,omitempty"`           // millions, without the auxiliary head
	Auxiliary   *Spread       `json:"parameters_auxiliary,omitempty"` // millions, with it
	MACs        *Spread       `json:"macs,omitempty"`                 // millions
	Dead        *Spread       `json:"dead,omitempty"`                 // dead cells of a stage, mean over the stages
	Longest     *Spread       `json:"longest,omitempty"`              // cells of the longest path through a stage, mean over the stages
	MeanPath    *Spread       `json:"mean_path,omitempty"`            // cells of a path, mean over the stages
	Cells       [][]int       `json:"cells,omitempty"`                // of the stages of each network
	Drawings    []string      `json:"drawings,omitempty"`             // SVG files of networks that are searched, or that the row only shows
	SearchDays  *Spread       `json:"search_days,omitempty"`          // of one device, for a search
	TrainDays   *Spread       `json:"train_days,omitempty"`           // of one device, for a training
	RI          *Spread       `json:"ri,omitempty"`                   // relative improvement over the reference, in percent
	// ToPaper is the error minus the paper's, at the paper's scale.
	ToPaper *float64 `json:"difference_to_paper,omitempty"`
	// Difference is the error minus the reference's, by Welch's t-test.
	Difference *Difference `json:"difference,omitempty"`
	// Verdicts say in words what the numbers of the row mean.
	Verdicts []string  `json:"verdicts,omitempty"`
	Errors   []float64 `json:"errors,omitempty"` // top-1, of each training
}

// Order is the rank correlation of two lists.
type Order struct {
	Reference string  `json:"reference,omitempty"` // that of the rows
	Rows      int     `json:"rows"`
	Tau       float64 `json:"tau"` // Kendall's tau-b in [-1,1]; 0 if one of the lists has a single value
}

// TablesFolder is the folder of an experiment's tables, in that of its runs.
const TablesFolder = "tables"

// paperScale is the scale of the paper's sizes and data.
const paperScale = "paper"

// TableOf returns the table of an experiment from the runs that have ended.
func TableOf(g recipe.Graph) (Table, error) {
	t := Table{Name: g.Recipe.Name, About: g.Recipe.About, Source: g.Recipe.Source, Note: g.Recipe.Note, Scale: g.Scale, Reference: g.Recipe.Reference}
	for _, n := range g.Rows {
		row, err := rowOf(g, n)
		if err != nil {
			return t, fmt.Errorf("row %q: %w", n.Name, err)
		}
		t.Rows = append(t.Rows, row)
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		if k := slices.IndexFunc(t.Rows, func(other TableRow) bool { return other.Name == r.Reference }); k >= 0 && k != i {
			r.compare(t.Rows[k], g.Rows[k].Random != "")
		}
		r.judge(t.Scale == paperScale)
	}
	t.Orders = t.orders()
	t.Variations = t.varied(g)
	var err error
	t.Courses, err = courses(g)
	return t, err
}

// varied compares the rows whose trainings have ended under all settings.
func (t Table) varied(g recipe.Graph) *Variations {
	var v Variations
	for _, one := range g.Variations {
		v.Names = append(v.Names, one.Name)
	}
	for i := 0; len(v.Names) > 0 && i < len(t.Rows); i++ {
		if g.Rows[i].Variation != v.Names[0] {
			continue
		}
		row := VariedRow{Name: g.Rows[i].Of, Best: math.Inf(1)}
		for _, r := range t.Rows[i : i+len(v.Names)] {
			if r.Error == nil || r.Left > 0 {
				break
			}
			row.Errors = append(row.Errors, r.Error.Mean)
			row.Mean, row.Best = row.Mean+r.Error.Mean/float64(len(v.Names)), min(row.Best, r.Error.Mean)
		}
		if len(row.Errors) == len(v.Names) {
			v.Rows = append(v.Rows, row)
		}
	}
	if len(v.Rows) < 2 {
		return nil
	}
	columns := make([][]float64, len(v.Names))
	for k := range v.Names {
		for _, r := range v.Rows {
			columns[k] = append(columns[k], r.Errors[k])
		}
		for i := range v.Rows {
			rank := 1
			for _, e := range columns[k] {
				if e < columns[k][i] {
					rank++
				}
			}
			v.Rows[i].Ranks = append(v.Rows[i].Ranks, rank)
		}
	}
	for _, a := range columns {
		var line []float64
		for _, b := range columns {
			line = append(line, kendall(a, b))
		}
		v.Taus = append(v.Taus, line)
	}
	return &v
}

func rowOf(g recipe.Graph, n recipe.Networks) (TableRow, error) {
	r := TableRow{Name: n.Name, Reference: cmp.Or(n.Reference, g.Recipe.Reference), Paper: n.Paper, Independent: n.Independent, Remark: n.Remark, Missing: n.Unknown + n.Skipped}
	lists := map[**Spread][]float64{}
	add := func(to **Spread, v float64) { lists[to] = append(lists[to], v) }
	for _, one := range n.List {
		r.Runs++
		var network genotype.Genotype
		if one.Genotype != nil {
			network = *one.Genotype
		} else if s := g.Node(one.Search); nodeEnded(s) {
			found, err := run.LoadGenotype(s.Folder)
			if err != nil {
				return r, err
			}
			network = found
			if days := seconds(s) / 86400; days > 0 {
				add(&r.SearchDays, days)
			}
		} else {
			r.Left++
			continue
		}
		size, err := Measure(network, macroOf(g, n.Row, one, len(network.Stages) > 0))
		if err != nil {
			return r, err
		}
		if one.Search != "" || n.Train == "" {
			r.Drawings = append(r.Drawings, drawingOf(g, n, one))
		}
		add(&r.Parameters, float64(size.Parameters)/1e6)
		add(&r.MACs, float64(size.MACs)/1e6)
		if size.ParametersAuxiliary > size.Parameters {
			add(&r.Auxiliary, float64(size.ParametersAuxiliary)/1e6)
		}
		if len(size.Stages) > 0 {
			add(&r.Dead, overStages(size.Stages, dead))
			add(&r.Longest, overStages(size.Stages, longest))
			add(&r.MeanPath, overStages(size.Stages, meanPath))
			if cells := network.Lengths(); cells != nil {
				r.Cells = append(r.Cells, cells)
			}
		}
		if one.Train == "" {
			continue
		}
		node := g.Node(one.Train)
		if !nodeEnded(node) {
			r.Left++
			continue
		}
		last, best, err := scores(node.Folder)
		if err != nil {
			return r, err
		}
		r.Errors = append(r.Errors, 100-100*last.Test.Top1)
		add(&r.Error, 100-100*last.Test.Top1)
		add(&r.Top5, 100-100*last.Test.Top5)
		add(&r.Best, 100-100*best)
		add(&r.TrainDays, seconds(node)/86400)
	}
	for to, list := range lists {
		of := spreadOf(list)
		*to = &of
	}
	return r, nil
}

// seconds returns what the epochs of a run have taken; of several searches all, with the trainings that selected the best.
func seconds(n recipe.Node) (sum float64) {
	list, _ := Runs(n.Folder) // a damaged run counts for what can be read of it
	for _, r := range list {
		sum += r.Seconds
	}
	return sum
}

// scores returns the last record of a training and the highest top-1 accuracy of an epoch, both on the test images.
func scores(folder string) (last train.Epoch, best float64, err error) {
	err = eachEpoch(folder, func(e train.Epoch) { last, best = e, max(best, e.Test.Top1) })
	return last, best, err
}

// compare fills in the difference to the reference row and, if that is of random networks, the relative improvement over
// them.
func (r *TableRow) compare(of TableRow, random bool) {
	if r.Error == nil || of.Error == nil {
		return
	}
	if r.Difference = r.Error.Minus(*of.Error); !random {
		return
	}
	var accuracies []float64
	for _, e := range of.Errors {
		accuracies = append(accuracies, 100-e)
	}
	ri := improvement(100-r.Error.Mean, accuracies)
	r.RI = &ri
}

// Interval returns the 95 % confidence interval of the mean by Student's t; both ends are NaN with fewer than two numbers.
func (s Spread) Interval() (low, high float64) {
	if s.N < 2 {
		return math.NaN(), math.NaN()
	}
	half := distuv.StudentsT{Sigma: 1, Nu: float64(s.N - 1)}.Quantile(0.975) * s.SD / math.Sqrt(float64(s.N))
	return s.Mean - half, s.Mean + half
}

// judge says in words what the errors mean. Only at the paper's scale they are compared with others' numbers.
func (r *TableRow) judge(paper bool) {
	say := func(format string, args ...any) { r.Verdicts = append(r.Verdicts, fmt.Sprintf(format, args...)) }
	if r.Error == nil {
		return
	}
	if paper && r.Paper.Error != nil {
		d := r.Error.Mean - *r.Paper.Error
		r.ToPaper = &d
	}
	if r.Error.N < 2 {
		say("one training says nothing about the spread")
		return
	}
	low, high := r.Error.Interval()
	of := func(who string, value *float64) {
		switch {
		case value == nil || !paper:
		case *value < low:
			say("higher than %s %.2f %%: the 95 %% interval of the mean is %.2f to %.2f", who, *value, low, high)
		case *value > high:
			say("lower than %s %.2f %%: the 95 %% interval of the mean is %.2f to %.2f", who, *value, low, high)
		default:
			say("no clear difference from %s %.2f %%, which is in the 95 %% interval of the mean, %.2f to %.2f", who, *value, low, high)
		}
	}
	of("the paper's", r.Paper.Error)
	of("an independent user's", r.Independent)
	if d := r.Difference; d != nil {
		words := "no clear difference from"
		if d.Clear() && d.Mean < 0 {
			words = "clearly lower than"
		} else if d.Clear() {
			words = "clearly higher than"
		}
		say("%s %q: %+.2f points, 95 %% interval %+.2f to %+.2f (Welch's t-test, p = %.2g)", words, r.Reference, d.Mean, d.Low, d.High, d.P)
	}
}

// orders returns the rank correlations of the rows' errors with the paper's.
func (t Table) orders() (list []Order) {
	var references []string
	ours, paper := map[string][]float64{}, map[string][]float64{}
	for _, r := range t.Rows {
		if of := r.Reference; r.Error != nil && r.Paper.Error != nil {
			if ours[of] == nil {
				references = append(references, of)
			}
			ours[of], paper[of] = append(ours[of], r.Error.Mean), append(paper[of], *r.Paper.Error)
		}
	}
	for _, of := range references {
		if n := len(ours[of]); n >= 3 {
			list = append(list, Order{of, n, kendall(ours[of], paper[of])})
		}
	}
	return list
}

// Text names the rows of an order, as in `5 rows with "DARTS"`.
func (o Order) Text() string {
	if o.Reference == "" {
		return fmt.Sprintf("%d rows", o.Rows)
	}
	return fmt.Sprintf("%d rows with %q", o.Rows, o.Reference)
}

// kendall returns the rank correlation tau-b of two lists (M. G. Kendall, Biometrika 33, 1945), which accounts for equal
// values; 0 if one of the lists has a single value.
func kendall(a, b []float64) float64 {
	var sum, untiedA, untiedB float64
	for i := range a {
		for k := range i {
			x, y := cmp.Compare(a[i], a[k]), cmp.Compare(b[i], b[k])
			sum, untiedA, untiedB = sum+float64(x*y), untiedA+float64(x*x), untiedB+float64(y*y)
		}
	}
	if untiedA == 0 || untiedB == 0 {
		return 0
	}
	return sum / math.Sqrt(untiedA*untiedB)
}
