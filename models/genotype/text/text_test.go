package text

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"hdas/internal/testseed"
	"hdas/models/genotype"
)

func parse(t testing.TB, text string) genotype.Genotype {
	t.Helper()
	g, err := Parse(strings.NewReader(text), "unnamed", Known{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return g
}

func published(t testing.TB, name string) genotype.Genotype {
	t.Helper()
	g, err := genotype.Published(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func equal(t testing.TB, got, want genotype.Genotype) {
	t.Helper()
	want.Source, want.Reported = "", genotype.Reported{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// One genotype in the different notations of programs and people.
var pdarts = []string{
	`PDARTS = Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))`,
	"# searched on CIFAR-10\r\n\r\nPDARTS = gt.Genotype( # five\r\n" + `
	reduce = (["avg_pool_3x3", 0], ["sep_conv_5x5", 1,], ("sep_conv_3x3", 0), ('dil_conv_5x5', 2,),
	          ['max_pool_3x3', 0], ['dil_conv_3x3', 1], ('dil_conv_3x3', 1), ('dil_conv_5x5', 3),), # ')
	reduce_concat = list(range(2, 6)), normal_concat = (2, 3, 4, 5,), \
	normal=[[('skip_connect', 0), ('dil_conv_3x3', 1)], (('skip_connect', 0), ('sep_conv_3x3', 1)),
	        [('sep_conv_3x3', 1), ('sep_conv_3x3', 3)], [('sep_conv_3x3', 0), ('dil_conv_5x5', 4),],],
) # the end`,
	"\ufeffPDARTS=Genotype(normal=[('skip_connect',2,0),('dil_conv_3x3',2,1),('skip_connect',3,0),('sep_conv_3x3',3,1),('sep_conv_3x3',4,1),('sep_conv_3x3',4,3),('sep_conv_3x3',5,0),('dil_conv_5x5',5,4)],normal_concat=tuple(range(2,6,1)),reduce=[('avg_pool_3x3',0),('sep_conv_5x5',1),('sep_conv_3x3',0),('dil_conv_5x5',2),('max_pool_3x3',0),('dil_conv_3x3',1),('dil_conv_3x3',1),('dil_conv_5x5',3)],reduce_concat=[2,3,4,5])",
}

func TestNotations(t *testing.T) {
	for _, text := range pdarts {
		equal(t, parse(t, text), published(t, "PDARTS"))
	}
	if g := parse(t, strings.TrimPrefix(pdarts[0], "PDARTS =")); g.Name != "unnamed" {
		t.Errorf("the name is %q", g.Name)
	}
}

// FairDARTS' nodes without edges are removed from the output, together with edges that read them.
func TestAbsentNodes(t *testing.T) {
	g := parse(t, `Genotype(
		normal=[('sep_conv_3x3', 2, 0), ('skip_connect', 4, 3), ('sep_conv_5x5', 4, 1), ('skip_connect', 6, 5)], normal_concat=range(2, 7),
		reduce=[('none', 2, 0)], reduce_concat=[2])`)
	want := genotype.DAG{Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0, Op: "sep_conv_3x3"}}}, {}, {In: []genotype.Edge{{From: 1, Op: "sep_conv_5x5"}}}}, Out: []int{2, 4}}
	if !reflect.DeepEqual(g.Cells["normal"], want) {
		t.Errorf("got %+v, not %+v", g.Cells["normal"], want)
	}
}

// Stages use the stage-specific cells of their own number, if there are any.
func TestStagesOverCells(t *testing.T) {
	const stage, cell = "[[('skip_connect', 0), ('max_pool_3x3', 1)]]", "[('sep_conv_3x3', 0), ('none', 1)]"
	g := parse(t, "Genotype(stage2="+stage+", stage2_concat=[1, 2], DAG1="+stage+", DAG1_concat=[2], normal1="+cell+", normal1_concat=[2], normal2="+cell+", normal2_concat=(2,), reduce="+cell+", reduce_concat=[2])")
	for i, want := range [][2]string{{"normal1", "reduce"}, {"normal2", ""}} {
		if s := g.Stages[i]; s.Cell != want[0] || s.Reduce != want[1] {
			t.Errorf("stage %d is %+v", i+1, s)
		}
	}
}

// Every published genotype is the one that its authors' notation says, read here in another way,
// and comes back from text.
func TestPublished(t *testing.T) {
	data, err := os.ReadFile("../published/genotypes.json")
	if err != nil {
		t.Fatal(err)
	}
	var authors map[string]map[string]map[string]any
	if err := json.Unmarshal(data, &authors); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, kind := range authors {
		names = slices.AppendSeq(names, maps.Keys(kind))
	}
	slices.Sort(names)
	if !slices.Equal(names, genotype.Names()) {
		t.Fatalf("%v were published, embedded are %v", names, genotype.Names())
	}
	for _, kind := range authors {
		for name, want := range kind {
			g := published(t, name)
			dags := map[string]genotype.DAG{}
			for i, s := range g.Stages {
				dags["DAG"+string(rune('1'+i))] = s.DAG
			}
			maps.Copy(dags, g.Cells)
			for key, d := range dags {
				compare(t, name+" "+key, d, want[key].([]any), want[key+"_concat"].([]any))
				delete(want, key)
				delete(want, key+"_concat")
			}
			delete(want, "source")
			delete(want, "transcribed_by_eye")
			if len(want) > 0 {
				t.Errorf("%s lacks %v", name, want)
			}
			text, err := Format(g)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, parse(t, text), g)
		}
	}
}

// compare writes a DAG's edges as triples, in all notations.
func compare(t *testing.T, what string, d genotype.DAG, edges, out []any) {
	t.Helper()
	type triple struct {
		op       string
		to, from int
	}
	var got, want []triple
	there := map[int]bool{0: true, 1: true}
	for i, n := range d.Nodes {
		for _, e := range n.In {
			got = append(got, triple{e.Op, i + 2, e.From})
		}
	}
	add := func(e []any, to int) {
		from := int(e[len(e)-1].(float64))
		if len(e) == 3 {
			to = int(e[1].(float64))
		}
		if there[from] {
			want, there[to] = append(want, triple{e[0].(string), to, from}), true
		}
	}
	for i, e := range edges {
		if first, nested := e.([]any)[0].([]any); nested {
			add(first, i+2)
			add(e.([]any)[1].([]any), i+2)
			continue
		}
		add(e.([]any), i/2+2)
	}
	var ends []int
	for _, s := range out {
		if s := int(s.(float64)); there[s] {
			ends = append(ends, s)
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(d.Out, ends) {
		t.Errorf("%s is %v, %v, not %v, %v", what, got, d.Out, want, ends)
	}
}

func TestFormatRefusesWhatTheNotationCannotSay(t *testing.T) {
	for name, change := range map[string]func(*genotype.Genotype){
		"a quote in an operation": func(g *genotype.Genotype) { g.Cells["normal"].Nodes[0].In[0].Op = "it's" },
		"a cell of another name":  func(g *genotype.Genotype) { g.Cells["x"] = g.Cells["normal"] },
		"a stage that runs another cell": func(g *genotype.Genotype) {
			g.Stages = []genotype.Stage{{Cell: "reduce", DAG: genotype.DAG{Nodes: []genotype.Node{{In: []genotype.Edge{{Op: "none"}}}}, Out: []int{2}}}}
		},
	} {
		g := published(t, "DARTS_V2")
		change(&g)
		if text, err := Format(g); err == nil {
			t.Errorf("%s: no error but\n%s", name, text)
		}
	}
}

// Errors state the place of a fault and what was expected there.
func TestErrors(t *testing.T) {
	whole := func(normal, concat string) string {
		return "Genotype(\n normal=" + normal + ",\n normal_concat=" + concat + ",\n reduce=[('none', 0), ('none', 1)], reduce_concat=[2])"
	}
	const two, out = "[('none', 0), ('none', 1)]", "[2]"
	known := Known{Cell: []string{"none", "skip_connect"}, Stage: []string{"none"}}
	for text, want := range map[string]string{
		"":                                                         "line 1, column 1: expected a call such as Genotype(normal=[...], normal_concat=[...], ...), or NAME = before one, found the end of the text",
		"# a\n  ":                                                  "line 2, column 3: expected a call",
		`__import__("os").system("rm -rf /")`:                      `line 1, column 1: expected a call such as Genotype(normal=[...], normal_concat=[...], ...), found "__import__"`,
		"A = 3":                                                    `line 1, column 5: expected a call such as Genotype(normal=[...], normal_concat=[...], ...), found "3"`,
		"ü = Genotype()":                                           `line 1, column 1: "ü" is not allowed in a genotype`,
		"Genotype":                                                 `line 1, column 9: expected "(", found the end of the text`,
		"Genotype()":                                               "line 1, column 1: genotype unnamed: cells are missing, and so are stages; a genotype has either or both",
		"Genotype([('none', 0)])":                                  `line 1, column 10: expected a keyword, found "["`,
		"Genotype(normal=[], normal=[])":                           "line 1, column 21: normal is repeated",
		"Genotype(norm=[])":                                        `line 1, column 10: the keyword "norm" is unknown; known are normal, reduce, normal1`,
		"Genotype(DAG0=[])":                                        `the keyword "DAG0" is unknown`,
		"Genotype(normal 3)":                                       `line 1, column 17: expected "=", found "3"`,
		"Genotype(normal=lambda: 0)":                               `line 1, column 17: expected a list of edges or of nodes, found "lambda"`,
		"Genotype(normal=[('none', 0":                              "line 1, column 28: expected , or ), found the end of the text",
		"Genotype(normal=[('none, 0)]\n":                           "line 1, column 19: the string does not end on its line, or contains a backslash; expected ' at its end",
		"Genotype(normal=[(f'none', 0)])":                          `line 1, column 19: expected an edge such as`,
		whole(two, out) + ")":                                      `line 4, column 55: expected nothing more: one genotype to a text, found ")"`,
		whole(two, "range(2)"):                                     "line 3, column 21: expected a first and a last state, found one item in parentheses",
		whole(two, "range(2, 4, 0)"):                               "line 3, column 16: expected range(first, end)",
		whole(two, "set([2])"):                                     `line 3, column 16: expected a list of states, or range(2, 6), found "set"`,
		whole(two, "[2, 2]"):                                       "line 3, column 20: state 2 is repeated",
		whole(two, "[1]"):                                          "line 3, column 17: expected a state that can be in the output, 2 to 2, found 1",
		whole(two, "range(2, 900)"):                                "line 3, column 16: expected a state that can be in the output, 2 to 2, found 3",
		whole(two, "(2)"):                                          "line 3, column 16: expected a list of states, or range(2, 6), found one item in parentheses",
		whole(two, "[-1]"):                                         `line 3, column 17: expected the number of a state, 0 to 1000, found "-1"`,
		whole(two, "[99999999999999999999]"):                       `line 3, column 17: expected the number of a state, 0 to 1000, found "99999999999999999999"`,
		whole(two, "[2.0]"):                                        `line 3, column 18: "." is not allowed in a genotype`,
		whole(two, "['2']"):                                        `line 3, column 17: expected the number of a state, found the string "2"`,
		whole("[('none', 0)]", out):                                "line 2, column 10: expected two edges for each node, found a last node with one edge",
		whole("[('none', 0), ('none', 2)]", out):                   "line 2, column 32: expected a state that node 2 may read, 0 to 1, found 2",
		whole("[('none', 0), ('none', 2, 1)]", out):                "line 2, column 23: expected an edge (operation, state), as before, found an edge (operation, node, state)",
		whole("[('none', 0), [('none', 1)]]", out):                 "line 2, column 23: expected an edge (operation, state), as before, found a node",
		whole("[[('none', 0)], ('none', 1)]", out):                 "line 2, column 25: expected a node, as before, found an edge (operation, state)",
		whole("[[('none', 2, 0)]]", out):                           "line 2, column 11: expected an edge (operation, state), found 2 numbers in it",
		whole("[('none', 0, 1, 2)]", out):                          "line 2, column 10: expected an edge (operation, state), found 3 numbers in it",
		whole("[('none', 3, 0), ('none', 2, 0)]", out):             "line 2, column 35: expected node 3 or a later one, because nodes are in order, found 2",
		whole("[('none', 1, 0)]", out):                             "line 2, column 19: expected node 2 or a later one, because nodes are in order, found 1",
		whole("[[], [('none', 2)]]", out):                          "line 2, column 24: expected a state with edges, found 2, which has none",
		whole("[[], [('none', 0)]]", "[2, 3]"):                     "line 3, column 17: expected a state with edges, found 2, which has none",
		whole("[('sep', 0), ('none', 1)]", out):                    `line 2, column 11: operation "sep" is unknown here; known are none, skip_connect`,
		whole("[('', 0), ('none', 1)]", out):                       `line 2, column 11: expected an operation in quotes, found the string ""`,
		"Genotype(normal=" + two + ")":                             "line 1, column 10: expected both normal and normal_concat, found only one of them",
		"Genotype(reduce_concat=[2])":                              "line 1, column 10: expected both reduce and reduce_concat, found only one of them",
		"x = Genotype(normal=" + two + ", normal_concat=[2])":      "line 1, column 5: genotype x: cells are normal; without stages they are to be normal, reduce (lacks reduce)",
		"Genotype2(DAG1=[[('skip_connect', 0)]], DAG1_concat=[2])": `line 1, column 19: operation "skip_connect" is unknown here; known are none`,
		"Genotype2(DAG2=[[('none', 0)]], DAG2_concat=[2])":         "line 1, column 11: DAG2 is not stage 1; stages must be numbered 1, 2, ..., each once",
		"Genotype2(DAG1=[[('none', 0)], []], DAG1_concat=[2])":     "line 1, column 1: genotype unnamed: stages[0].nodes[1] has no edge",
		"Genotype(DAG1=[[('none', 0)]], DAG1_concat=[2], reduce=" + two + ", reduce_concat=[2])": `line 1, column 1: combine unnamed and unnamed: stages[0].cell is "normal", but there is no cell normal or normal1`,
	} {
		_, err := Parse(strings.NewReader(text), "unnamed", known)
		if err == nil || !strings.HasPrefix(err.Error(), "genotype text: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s\nfor %s", err, want, text)
		}
	}
}

func TestHandsOnErrorsOfTheReader(t *testing.T) {
	failure := errors.New("disk on fire")
	if _, err := Parse(iotest.ErrReader(failure), "x", Known{}); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

// Texts that could make a reader use too much memory or never end. The total allocated memory stays within
// a fixed multiple of the text's size.
func TestWithstandsHostileTexts(t *testing.T) {
	fill := func(begin, s string) string { return begin + strings.Repeat(s, (maxText-len(begin))/len(s)) }
	for name, text := range map[string]string{
		"too large":       strings.Repeat("#", maxText+1),
		"deep brackets":   fill("Genotype(normal=", "["),
		"deep calls":      fill("", "Genotype("),
		"deep lists":      fill("Genotype(normal_concat=", "list("),
		"empty nodes":     fill("Genotype(normal=[", "[],"),
		"edges":           fill("Genotype(normal=[", "('a',0),"),
		"far nodes":       fill("Genotype(normal=[", "('a',1000,0),"),
		"states":          fill("Genotype(normal_concat=[", "2,"),
		"a long range":    "Genotype(normal_concat=range(0, 1000))",
		"dots":            fill("a", "."),
		"a long string":   fill("Genotype(normal=[('", "x"),
		"a long number":   fill("Genotype(normal_concat=[", "9"),
		"line breaks":     fill("", "\n"),
		"backslashes":     fill("", "\\\n"),
		"commas":          fill("Genotype(", ","),
		"not UTF-8":       "Genotype(\xff\xfe",
		"zero bytes":      "\x00\x00",
		"a long keyword":  fill("Genotype(", "normal"),
		"many keywords":   fill("Genotype(", "normal1=[],"),
		"other keywords":  fill("Genotype(", "x=1,"),
		"faulty comments": "Genotype(#)\n#",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(strings.NewReader(text), "x", Known{})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64*maxText {
			t.Errorf("%s: %d bytes were allocated for %d", name, n, len(text))
		}
	}
}

// whole checks that what Parse takes is a valid genotype, which comes back from text if any notation
// has it.
func whole(t testing.TB, text string) bool {
	t.Helper()
	g, err := Parse(strings.NewReader(text), "x", Known{})
	if err != nil {
		return false
	}
	if err := g.Validate(genotype.Ops{}); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if again, err := Format(g); err == nil {
		equal(t, parse(t, again), g)
	}
	return true
}

func texts(t testing.TB) []string {
	all := slices.Clone(pdarts)
	for _, name := range genotype.Names() {
		text, err := Format(published(t, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

func TestChangedTexts(t *testing.T) {
	pieces := []string{"(", ")", "[", "]", ",", "=", "'", "\"", "#", "\\", "\n", " ", "-1", "0", "7", "99999", "range(", "list(", "Genotype(", "normal", "reduce_concat", "DAG1=", "x.y", "\x00", "ü", "\xff"}
	r := testseed.Rand(t, 1)
	from, taken := texts(t), 0
	for range 10_000 {
		text := []byte(from[r.IntN(len(from))])
		for range 1 + r.IntN(6) {
			i := r.IntN(len(text))
			switch n := min(1+r.IntN(20), len(text)-i-1); r.IntN(5) {
			case 0:
				text[i] = byte(r.IntN(256))
			case 1:
				text = slices.Delete(text, i, i+n)
			case 2:
				text = slices.Insert(text, i, []byte(pieces[r.IntN(len(pieces))])...)
			case 3: // a part from elsewhere
				j := r.IntN(len(text) - n)
				text = slices.Insert(text, i, slices.Clone(text[j:j+n])...)
			case 4:
				text = text[:i+1]
			}
		}
		if whole(t, string(text)) {
			taken++
		}
	}
	if taken == 0 || taken == 10_000 {
		t.Errorf("%d of 10,000 were genotypes; some should be, and some not", taken)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { whole(t, text) })
}
