package genotype

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// cellOps and stageOps are the primitives of the paper's two levels, and those that NASNet and
// AmoebaNet have besides.
var (
	cellOps  = []string{"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "sep_conv_7x7", "conv_7x1_1x7"}
	stageOps = []string{"none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"}
)

func paper() Ops {
	in := func(set []string) func(string) bool {
		return func(op string) bool { return slices.Contains(set, op) }
	}
	return Ops{Cell: in(cellOps), Stage: in(stageOps)}
}

// tester is what testing's and rapid's tests have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func encoded(t tester, g Genotype) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := g.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(t tester, name string) Genotype {
	t.Helper()
	g, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPublishedAreValidAndCanonical(t *testing.T) {
	for _, name := range Names() {
		g, err := Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Validate(paper()); err != nil {
			t.Error(err)
		}
		if g.Name != name {
			t.Errorf("file %s holds %s", name, g.Name)
		}
		file, err := published.ReadFile("published/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if text := encoded(t, g); !bytes.Equal(text, file) {
			t.Errorf("%s.yaml is not as Encode writes it:\n%s", name, text)
		}
	}
}

// Edges, in their order, as the authors' files and figures have them.
func TestPublishedFacts(t *testing.T) {
	if g := load(t, "DARTS_V2"); !reflect.DeepEqual(g.Cells["normal"], DAG{
		Nodes: []Node{
			{[]Edge{{0, "sep_conv_3x3"}, {1, "sep_conv_3x3"}}},
			{[]Edge{{0, "sep_conv_3x3"}, {1, "sep_conv_3x3"}}},
			{[]Edge{{1, "sep_conv_3x3"}, {0, "skip_connect"}}},
			{[]Edge{{0, "skip_connect"}, {2, "dil_conv_3x3"}}},
		},
		Out: []int{2, 3, 4, 5},
	}) {
		t.Errorf("DARTS_V2's normal cell is %v", g.Cells["normal"])
	}
	if g := load(t, "Hc-DAS-cells"); !slices.Equal(g.CellNames(), chains[1]) {
		t.Errorf("Hc_DAS_cells has %v, not %v", g.CellNames(), chains[1])
	}
	for name, cells := range map[string]int{"hs_das_cifar_stages": 6, "HS-DAS-ImageNet-Stages": 4} {
		g := load(t, name)
		if len(g.Stages) != 3 || len(g.Cells) != 0 {
			t.Errorf("%s has %d stages and %d cells, not 3 and 0", name, len(g.Stages), len(g.Cells))
		}
		for i, s := range g.Stages {
			if len(s.Nodes) != cells || !slices.Equal(s.Out, []int{cells, cells + 1}) || (s.Reduce == "") != (i == 2) {
				t.Errorf("%s, stage %d: %+v", name, i+1, s)
			}
		}
	}
}

func TestUnknownNameSuggestsTheNearest(t *testing.T) {
	for name, want := range map[string]string{
		"DARTS_V3":       "did you mean DARTS_V1?",
		"P-DARTS":        "did you mean PDARTS?",
		"hs_das_cifar":   "did you mean Hs_DAS_CIFAR_stages?",
		"a_name_unlike":  "known are AmoebaNet, DARTS_V1, DARTS_V2",
		"something else": "no such file",
	} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, which lacks %q", name, err, want)
		}
	}
	if _, err := Published("zzzzzzzzz"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a name like no other: %v", err)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a+b.yaml")
	if err := os.WriteFile(file, encoded(t, load(t, "PDARTS")), 0o644); err != nil {
		t.Fatal(err)
	}
	if g := load(t, file); g.Name != "PDARTS" {
		t.Errorf("%s is %s", file, g.Name)
	}
	if g := load(t, file+"+hs-das-cifar-stages"); g.Name != "PDARTS+Hs_DAS_CIFAR_stages" {
		t.Errorf("combined: %s", g.Name)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: [\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(bad + "+nothing")
	if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("both sides are at fault, but: %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder is no genotype")
	}
}

func TestCombine(t *testing.T) {
	cells, stages := load(t, "Hc_DAS_cells"), load(t, "Hs_DAS_CIFAR_stages")
	g, err := Combine(cells, stages)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(paper()); err != nil {
		t.Error(err)
	}
	for i, want := range [][2]string{{"normal1", "reduce1"}, {"normal2", "reduce2"}, {"normal3", ""}} {
		if s := g.Stages[i]; s.Cell != want[0] || s.Reduce != want[1] {
			t.Errorf("stage %d runs %s and %s, not %v", i+1, s.Cell, s.Reduce, want)
		}
	}
	if g.Source != cells.Source+"; "+stages.Source {
		t.Errorf("source %q", g.Source)
	}
	g.Stages[0].Nodes[0].In[0].From, g.Cells["normal1"].Out[0] = 7, 7
	if stages.Stages[0].Nodes[0].In[0].From == 7 || cells.Cells["normal1"].Out[0] == 7 {
		t.Error("Combine shares memory with its arguments")
	}

	own := load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")
	if _, err := Combine(load(t, "DARTS_V1"), own); err != nil {
		t.Errorf("stages over their own cells: %v", err)
	}
	four := stages
	four.Stages = append(slices.Clone(stages.Stages), stages.Stages[2])
	for _, c := range []struct {
		cells, stages Genotype
		want          string
	}{
		{stages, stages, "Hs_DAS_CIFAR_stages has no cells"},
		{cells, cells, "Hc_DAS_cells has no stages"},
		{load(t, "DARTS_V2"), own, "has a cell normal of its own"},
		{cells, four, `stages[3].cell is "normal", but there is no cell normal or normal4`},
	} {
		if _, err := Combine(c.cells, c.stages); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, which lacks %q", err, c.want)
		}
	}
}
