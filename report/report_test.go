package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hdas/draw"
	"hdas/metric/score"
	"hdas/models/genotype"
	"hdas/search/space"
)

var operations = []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}

// searched returns a search of the cells of a chain with the records of its epochs: alphas that wander, and the
// genotypes that they select.
func searched(t testing.TB, epochs int) Run {
	t.Helper()
	s := space.Cells(space.ChainCells(true), 4, operations)
	r := Run{Path: "runs/cells", DAGs: s.DAGs()}
	random := rand.New(rand.NewPCG(1, 2))
	alpha := map[string][]float64{}
	for _, d := range r.DAGs {
		alpha["alpha."+d.Name] = make([]float64, d.Rows()*len(d.Ops))
	}
	for epoch := 1; epoch <= epochs; epoch++ {
		p := space.Parameters{Alpha: map[string][][]float64{}}
		for k, d := range r.DAGs {
			v := alpha["alpha."+d.Name]
			for i := range v {
				if epoch%len(r.DAGs) == k {
					v[i] += 0.1 * random.NormFloat64()
				}
			}
			for row := range slices.Chunk(v, len(d.Ops)) {
				p.Alpha[d.Name] = append(p.Alpha[d.Name], row)
			}
		}
		g, err := s.Derive("found", p, space.Rules{Null: func(op string) bool { return op == "none" }, Skip: func(string) bool { return false }, MaxSkips: -1})
		if err != nil {
			t.Fatal(err)
		}
		r.Records = append(r.Records, record(t, epoch, map[string]any{
			"lr": 0.1, "train": map[string]any{"loss": 1 / float64(epoch), "top1": 0.5, "samples": 9}, "valid": map[string]any{"loss": 2 / float64(epoch), "top1": 0.25},
			"alpha": alpha, "genotype": encoded(t, g), "entropy": map[string]any{"normal1": 2.1}, "skips": map[string]any{"normal1": epoch % 3}, "eigenvalue": 0.5,
		}))
	}
	return r
}

func encoded(t testing.TB, g genotype.Genotype) string {
	t.Helper()
	var text strings.Builder
	if err := g.Encode(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func record(t testing.TB, epoch int, fields map[string]any) []byte {
	t.Helper()
	fields["epoch"] = epoch
	line, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// written returns the page of a report. It fails the test if the page loads anything, has a NaN or an SVG that is not
// well-formed.
func written(t testing.TB, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.Contains(page[:1024], Mark) {
		t.Error("the mark of reports is missing")
	}
	for _, loads := range []string{"src=\"http", "href=\"http", "url(", "@import", "fetch("} {
		if strings.Contains(page, loads) {
			t.Errorf("the page has %s", loads)
		}
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a coordinate is not a number in %.200s", svg)
		}
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %.200s", err, svg)
			}
		}
	}
	return page
}

func contains(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in the page", text)
		}
	}
}

// A search of 600 epochs whose genotype changes in each of them, of 70 edges of 8 operations, fits in 5 MB, and its
// slider has the drawing of every epoch.
func TestSixHundredEpochs(t *testing.T) {
	epochs := 600
	if testing.Short() {
		epochs = 60
	}
	r := searched(t, epochs)
	page := written(t, Report{Runs: []Run{r}})
	if len(page) > 5<<20 {
		t.Errorf("%d bytes", len(page))
	}
	contains(t, page, "Loss", "Top-1 accuracy", "Entropy", "Skip connections", "eigenvalue", "Longest path", "cell reduce2: operations of each edge", "Decided last, in epoch")
	if n := strings.Count(page, "<figure>"); n < 70+7 {
		t.Errorf("%d plots", n)
	}
	h := read(r.Records)
	f := regexp.MustCompile(`data-packed="([^"]*)" data-epochs="([^"]*)"`).FindStringSubmatch(page)
	if f == nil {
		t.Fatal("there is no slider")
	}
	var frames struct {
		At  []int
		SVG []string
	}
	packed, err := base64.RawURLEncoding.DecodeString(f[1])
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&frames); err != nil {
		t.Fatal(err)
	}
	if len(frames.At) != epochs || len(strings.Fields(f[2])) != epochs {
		t.Fatalf("%d frames of %d epochs", len(frames.At), len(strings.Fields(f[2])))
	}
	for _, i := range []int{0, epochs / 2, epochs - 1} {
		want, err := drawing(new(draw.Drawer), *h.genotypeAt(i))
		if err != nil || frames.SVG[frames.At[i]] != want {
			t.Errorf("the drawing of epoch %d is not that of its genotype (%v)", i+1, err)
		}
	}
}

// A start is shown with names and units, and a later one by what differs.
func TestStarts(t *testing.T) {
	r := searched(t, 1)
	r.Starts = [][]byte{
		[]byte(`{"time":"2026-11-26T12:07:46.425Z","command":"hdas search x","threads":3,"network":{"macs":1914624},"data":{"parts":[{"name":"weights","images":2000},{"name":"architecture","images":1999}]},"memory":{"expected":232143411}}`),
		[]byte(`{"time":"2026-11-26T12:08:46.425Z","command":"hdas search x --resume","resumed_at":{"epoch":0,"step":40},"threads":3,"network":{"macs":1914624}}`),
	}
	page := written(t, Report{Runs: []Run{r}})
	contains(t, page, "2026-11-26 12:07:46 UTC", "<th>multiply-adds per image</th><td>1914624</td>", "weights 2000, architecture 1999", "0.23 GB", "<th>and after step of the next</th><td>40</td>")
	for text, want := range map[string]int{"<th>threads</th>": 1, "multiply-adds per image": 1} {
		if n := strings.Count(page, text); n != want {
			t.Errorf("%q %d times", text, n)
		}
	}
}

// Names and texts of runs are text in the page, wherever they stand.
func TestNamesAreEscaped(t *testing.T) {
	bad := `<script>alert("x")</script>&'`
	r := searched(t, 2)
	r.Path, r.Cells, r.Fault, r.NoDAGs, r.Training, r.Evaluate, r.Config = bad, []string{bad}, bad, bad, true, bad, bad
	for i := range r.DAGs {
		r.DAGs[i].Ops = slices.Repeat([]string{bad}, len(operations))
	}
	r.Records = append(r.Records, record(t, 3, map[string]any{bad: 1}), record(t, 4, map[string]any{bad: 2}), []byte(bad))
	r.Environment, r.Starts, r.Files = []Fact{{bad, bad}}, [][]byte{record(t, 1, map[string]any{bad: map[string]any{bad: bad}}), []byte(bad)}, []File{{bad, bad}, {"x", "javascript:alert(1)"}}
	e := score.Evaluation{Report: score.Report{Classes: []score.Class{{Name: bad, Images: 1}, {Name: bad, Images: 1}}, Confusion: [][]int64{{0, 1}, {1, 0}}}}
	other := r
	other.Evaluation = &e
	g := Group{Path: bad, About: bad, Absent: bad, Rows: []Member{{bad, bad, 0.5}, {bad, bad, 0.6}}, Facts: []Fact{{bad, bad}}, Courses: []Course{{bad, bad, []float64{1, 2}}}}
	page := written(t, Report{By: bad, Columns: []string{bad}, Runs: []Run{r, other}, Groups: []Group{g}})
	if strings.Contains(page, "<script>alert") || strings.Contains(page, `"javascript:`) {
		t.Error("a name is part of the page's code")
	}
	if n := strings.Count(page, "<script>"); n != 1 {
		t.Errorf("%d scripts", n)
	}
}

// Whatever a folder holds, there is a page that says what is missing.
func TestHostileRuns(t *testing.T) {
	cells := searched(t, 3)
	with := func(lines ...string) Run {
		r := cells
		r.Records = nil
		for _, l := range lines {
			r.Records = append(r.Records, []byte(l))
		}
		return r
	}
	for name, c := range map[string]struct {
		run  Run
		says string
	}{
		"nothing":        {Run{Path: "x"}, "No epoch has ended yet"},
		"no records":     {with(), "No epoch has ended yet"},
		"NaN":            {with(`{"epoch":1,"train":{"loss":1}}`, `{"epoch":2,"train":{"loss":NaN}}`), "1 of 2 records could not be read"},
		"too large":      {with(`{"epoch":1,"train":{"loss":1e999}}`, `{"epoch":2,"train":{"loss":2}}`), "Loss"},
		"null":           {with(`{"epoch":1,"train":null,"alpha":null,"depth":null}`), "Environment"},
		"torn":           {with(`{"epoch":1,"depth":1}`, `{"epo`), "1 of 2 records"},
		"no object":      {with(`[1,2]`, `3`, `"x"`, ``), "4 of 4 records"},
		"back in time":   {with(`{"epoch":5,"depth":1}`, `{"epoch":5,"depth":2}`, `{"epoch":4,"depth":2}`), "2 of 3 records"},
		"negative":       {with(`{"epoch":-3,"train":{"loss":-1}}`, `{"epoch":0,"train":{"loss":1e300}}`), "Loss"},
		"short alphas":   {with(`{"epoch":1,"alpha":{"alpha.normal1":[1,2,3]}}`), "Environment"},
		"odd alphas":     {with(`{"epoch":1,"alpha":{"alpha.normal1":"x"}}`), "1 of 1 records"},
		"no genotype":    {with(`{"epoch":1,"genotype":"version: 9"}`, `{"epoch":2,"genotype":"}{"}`), "Environment"},
		"other genotype": {with(`{"epoch":1,"genotype":"version: 1\nname: x\ncells:\n  other:\n    nodes: []\n    out: [0]\n"}`), "Environment"},
		"training":       {Run{Path: "x", Training: true, Evaluate: "hdas eval x", Records: [][]byte{[]byte(`{"epoch":1,"test":{"top1":0.5,"loss":2}}`)}}, "<code>hdas eval x</code>"},
		"odd matrix":     {Run{Path: "x", Training: true, Evaluation: &score.Evaluation{Report: score.Report{Classes: []score.Class{{Name: "a"}}, Confusion: [][]int64{{1, 2}}}}}, "is not that of 1 classes"},
		"no matrix":      {Run{Path: "x", Training: true, Evaluation: &score.Evaluation{Report: score.Report{Classes: []score.Class{{Name: "a"}}}}}, "After epoch 0"},
		"many classes":   {Run{Path: "x", Training: true, Evaluation: confused(150)}, "lowest accuracy"},
	} {
		t.Run(name, func(t *testing.T) {
			contains(t, written(t, Report{Runs: []Run{c.run}}), c.says)
			written(t, Report{Runs: []Run{c.run, cells, c.run}})
		})
	}
	if Write(io.Discard, Report{}) == nil {
		t.Error("a report of nothing")
	}
	if err := Write(full{}, Report{Runs: []Run{cells}}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// confused returns the evaluation of n classes of two images each, of which one is taken for the next class.
func confused(n int) *score.Evaluation {
	t := score.NewTally(n)
	var names []string
	for i := range n {
		for _, guess := range []int{i, (i + 1) % n} {
			p := make([]float64, n)
			p[guess] = 1
			t.Add(p, i)
		}
		names = append(names, fmt.Sprintf("class %d", i))
	}
	return &score.Evaluation{Epoch: 3, Score: score.Score{Top1: 0.5, Samples: int64(2 * n)}, Report: t.Report(names)}
}

// The predictions of few classes have a table, those of more an image and a list of mistakes, and those of many the list.
func TestEvaluation(t *testing.T) {
	for n, has := range map[int][3]bool{3: {true, false, false}, 20: {true, false, false}, 21: {false, true, true}, 200: {false, true, true}, 201: {false, false, true}} {
		page := written(t, Report{Runs: []Run{{Path: "x", Training: true, Evaluation: confused(n)}}})
		contains(t, page, "After epoch 3", "50.00\u00a0%")
		if got := [3]bool{strings.Contains(page, "<table class=\"matrix\">"), strings.Contains(page, "<img class=\"picture\""), strings.Contains(page, "Most frequent mistakes")}; got != has {
			t.Errorf("%d classes: table, image and mistakes %v, not %v", n, got, has)
		}
	}
}

// An edge is decided from the epoch on in which its outcome changed last, and the latest decision comes first.
func TestDecisions(t *testing.T) {
	s := space.Cells([]string{"normal"}, 2, []string{"a", "b"})
	d := s.DAGs()[0]
	r := Run{DAGs: []Search{d}}
	for epoch, ops := range []string{"aaaa", "abaa", "abab", "abaa"} { // of the first two edges of both nodes
		g := genotype.Genotype{Version: 1, Name: "x", Cells: map[string]genotype.DAG{"normal": {Out: []int{2, 3}}, "reduce": {Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0, Op: "a"}}}}, Out: []int{2}}}}
		c := g.Cells["normal"]
		for n := range 2 {
			from := n
			if epoch > 0 {
				from = 0
			}
			c.Nodes = append(c.Nodes, genotype.Node{In: []genotype.Edge{{From: from, Op: ops[2*n : 2*n+1]}, {From: from + 1, Op: ops[2*n+1 : 2*n+2]}}})
		}
		g.Cells["normal"] = c
		r.Records = append(r.Records, record(t, epoch+1, map[string]any{"genotype": encoded(t, g), "alpha": map[string]any{"alpha.normal": []float64{0, math.Log(3), 0, 0, 0, 0, 0, 0, 0, 0}}}))
	}
	var got []string
	for _, x := range decisions(read(r.Records), r.DAGs) {
		got = append(got, fmt.Sprintf("%s %s since %d after %d: %.2f", x.What, x.Choice, x.Since, x.Changes, x.Share))
	}
	want := []string{
		"c(k−1) → 1 a since 4 after 2: 0.50",
		"c(k−1) → 0 b since 2 after 1: 0.50",
		"c(k−2) → 1 a since 2 after 1: 0.50",
		"0 → 1 not kept since 2 after 1: 0.00",
		"c(k−2) → 0 a since 1 after 0: 0.25",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The number of cells of a stage is a decision, too, and cells that a genotype lacks have no edges.
func TestDecisionsOfStages(t *testing.T) {
	g, err := genotype.Load("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.Fixed(g).Under([]int{4}, 3, genotype.Candidates{Stage: []string{"skip_connect"}, MinCells: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := s.DAGs()[0]
	r := Run{Path: "x", DAGs: []Search{d}}
	alpha := make([][]float64, d.Rows())
	for i := range alpha {
		alpha[i] = []float64{0}
	}
	for epoch, beta := range [][]float64{{0, 0, 1}, {0, 1, 0}} {
		g, err := s.Derive("x", space.Parameters{Alpha: map[string][][]float64{"stage1": alpha}, Beta: map[string][]float64{"stage1": beta}}, space.Rules{Null: func(string) bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		r.Records = append(r.Records, record(t, epoch+1, map[string]any{"genotype": encoded(t, g), "alpha": map[string]any{"alpha.stage1": make([]float64, d.Rows()), "beta.stage1": beta}}))
	}
	list := decisions(read(r.Records), r.DAGs)
	if !slices.ContainsFunc(list, func(x decision) bool {
		return x.What == "number of cells" && x.Choice == "3 cells" && x.Since == 2 && x.Changes == 1
	}) || !slices.ContainsFunc(list, func(x decision) bool { return x.What == "2 → 3" && x.Choice == "no such cell" && x.Since == 2 }) {
		t.Errorf("%+v", list)
	}
	page := written(t, Report{Runs: []Run{r}})
	contains(t, page, "stage 1: number of cells (beta)", "3 cells 58\u00a0%", "stage 1: operations of each edge", "Dead cells, without a path to the output of their stage")
	one := func(from ...int) (n genotype.Node) {
		for _, f := range from {
			n.In = append(n.In, genotype.Edge{From: f, Op: "skip_connect"})
		}
		return n
	}
	g.Stages = []genotype.Stage{{Cell: "normal", DAG: genotype.DAG{Nodes: []genotype.Node{one(0, 1), one(0, 1), one(1, 2)}, Out: []int{4}}}}
	r.Records = append(r.Records, record(t, 3, map[string]any{"genotype": encoded(t, g)}))
	contains(t, written(t, Report{Runs: []Run{r}}), "(after the last epoch cell 1 of stage 1)")
}

// The weights of the edges of a node have a plot for each node; stages that are one DAG are one; an operation has the same
// colour wherever it is.
func TestMixtures(t *testing.T) {
	g, err := genotype.Load("DARTS_V2")
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.Cells([]string{"normal", "reduce"}, 4, operations).Under([]int{3, 3}, 2, genotype.Candidates{Stage: []string{"none", "skip_connect"}, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	r := Run{Path: "x", DAGs: s.DAGs(), Records: [][]byte{record(t, 1, map[string]any{"genotype": encoded(t, g), "alpha": map[string]any{
		"alpha.normal": make([]float64, 14*len(operations)), "edge.normal": append(make([]float64, 13), math.Log(3)), "alpha.stage1": []float64{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
	}})}}
	list, err := mixtures(read(r.Records), r.DAGs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, fmt.Sprintf("%s, %d plots, %v, %s", m.Title, len(m.Plots), m.Legend[len(m.Legend)-1], m.Plots[len(m.Plots)-1].Note))
	}
	want := []string{
		"cell normal: operations of each edge, 14 plots, {dil_conv_5x5 6}, none 12\u00a0%",
		"cell normal: edges of each node, 4 plots, {from 2 4}, from 2 43\u00a0%",
		"all stages: operations of each edge, 6 plots, {skip_connect 2}, skip_connect 73\u00a0%",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// Several runs have their curves in common plots, a row each in the table, and a section each.
func TestSeveralRuns(t *testing.T) {
	training := Run{Path: "runs/five/seed-1", Cells: []string{"runs/five/seed-1"}, Training: true, Evaluate: "hdas eval", Records: [][]byte{[]byte(`{"epoch":1,"train":{"loss":3},"test":{"top1":0.5,"loss":2}}`)}}
	other := training
	other.Path, other.Cells = "runs/five/seed-2", []string{"runs/five/seed-2"}
	g := Group{Path: "runs/five", About: "The same run with 2 seeds.", Rows: []Member{{"test", "seed-1", 0.5}, {"test", "seed-2", 0.7}}, Facts: []Fact{{"top-1", "60 %"}},
		Courses: []Course{{"Longest path", "m = 3", []float64{2, 5}}, {"Cells", "stage 1", []float64{8, 6}}, {"Longest path", "m = 7", []float64{2, 3}}}}
	page := written(t, Report{Columns: []string{"path"}, Runs: []Run{training, other, searched(t, 2)}, Groups: []Group{g}})
	contains(t, written(t, Report{Runs: []Run{searched(t, 1)}}), "Decided last, in epoch 1: ", "; and 65 more (<a")
	contains(t, page, "Report of 3 runs", `<a href="#run-2">runs/five/seed-2</a>`, `<h2 id="run-3">runs/cells</h2>`, "Top-1 on test images", "</i>five/seed-1</li>", "</i>cells</li>", "70.00\u00a0%", "60 %", "each run; line: mean")
	for _, figure := range []string{"<figcaption>Longest path</figcaption>\n<ul[^\n]*</i>m = 3[^\n]*</i>m = 7", "<figcaption>Cells</figcaption>\n<ul[^\n]*</i>stage 1"} {
		if !regexp.MustCompile(figure).MatchString(page) {
			t.Errorf("the page has no %s", figure)
		}
	}
	alone := written(t, Report{Columns: []string{"path"}, Runs: []Run{training}})
	if strings.Contains(alone, "All runs") {
		t.Error("one run is compared with itself")
	}
}

// A thinned curve keeps its ends and its peaks.
func TestThin(t *testing.T) {
	s := series{}
	for i := range 5000 {
		s.add(i, math.Sin(float64(i)/50))
	}
	s.values[1234], s.values[4321] = 9, -9
	out := thin(s, mostPoints)
	if n := len(out.values); n > mostPoints+1 || n < mostPoints/2 {
		t.Errorf("%d points", n)
	}
	if slices.Max(out.values) != 9 || slices.Min(out.values) != -9 || out.epochs[0] != 0 || out.epochs[len(out.epochs)-1] != 4999 || !slices.IsSorted(out.epochs) {
		t.Errorf("from %v to %v, peaks %v, %v", out.epochs[0], out.epochs[len(out.epochs)-1], slices.Min(out.values), slices.Max(out.values))
	}
	if got := every(1000, 5); !slices.Equal(got, []int{0, 249, 499, 749, 999}) {
		t.Errorf("%v", got)
	}
}

// Labels of ticks differ from each other.
func TestTicks(t *testing.T) {
	for _, c := range []struct{ low, high float64 }{{2.0790, 2.0794}, {0, 100}, {0, 1}, {-3, 7e5}, {1e-9, 3e-9}, {1e8, 3e8}, {0.025, 0.1}, {5, 5.5}, {0.5, 4.6}, {0.43, 4.51}} {
		seen := map[string]bool{}
		for _, x := range (ticks{}).Ticks(c.low, c.high) {
			if v, err := strconv.ParseFloat(x.Label, 64); x.Label != "" && (seen[x.Label] || err != nil || math.Abs(v-x.Value) > (c.high-c.low)/100) {
				t.Errorf("%v: label %s at %v", c, x.Label, x.Value)
			}
			seen[x.Label] = true
		}
		if len(seen) < 3 {
			t.Errorf("%v has the labels %v", c, seen)
		}
		for _, x := range (ticks{whole: true}).Ticks(c.low, c.high) {
			if _, err := strconv.Atoi(x.Label); x.Label != "" && err != nil {
				t.Errorf("%v: the label %s of an epoch", c, x.Label)
			}
		}
	}
}

// The values of a start are shown in its order, whichever they are.
func TestFactsOf(t *testing.T) {
	list, err := factsOf([]byte(`{"time":"12:00","command":["hdas","search cell"],"z":{"b":1,"a":{}},"n":null,"t":true,"x":1e3}`))
	want := []Fact{{"time", "12:00"}, {"command", `["hdas","search cell"]`}, {"z.b", "1"}, {"n", "null"}, {"t", "true"}, {"x", "1e3"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("%v, %v", list, err)
	}
	for _, bad := range []string{"", "3", "[]", `{"a"`, `{"a":}`, `{"a":1`, "{]"} {
		if _, err := factsOf([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
