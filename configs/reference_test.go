package configs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

// The reference has every key, each with a meaning on one line and a default. A text is one of its words, unless it
// names a file, a device or a genotype.
func TestReferenceIsComplete(t *testing.T) {
	var names []string
	for _, k := range Reference() {
		names = append(names, k.Name)
		if k.Meaning == "" || strings.Contains(k.Meaning, "\n") || len(k.Meaning) > 300 {
			t.Errorf("%s has the meaning %q; the tag help of its field is its meaning in one line", k.Name, k.Meaning)
		}
		if len(k.Defaults) == 0 {
			t.Errorf("%s has no default", k.Name)
		}
		free := []string{"device", "data.dir", "search.cells", "train.init"}
		if strings.Contains(k.Type, "text") && (len(k.Words) == 0) != slices.Contains(free, k.Name) {
			t.Errorf("%s is one of the words %q", k.Name, k.Words)
		}
		if k.Paper != "" && !regexp.MustCompile(`^(section \d(\.\d)?|(eq\.|Rule|Table) \d)`).MatchString(k.Paper) {
			t.Errorf("%s is in the paper at %q", k.Name, k.Paper)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, Keys()) {
		t.Errorf("described are\n%q\nbut the keys are\n%q", names, Keys())
	}
}

// What the reference says of a key is what the configurations accept: each of its words, and its default.
func TestReferenceIsTrue(t *testing.T) {
	for _, k := range Reference() {
		_, configurations := kindDefaults()
		for _, c := range configurations {
			values, err := flatYAML(c)
			if err != nil {
				t.Fatal(err)
			}
			is, there := values[k.Name]
			_, unused := c.idle()[k.Name]
			if there && !unused && !slices.ContainsFunc(k.Defaults, func(d Variant) bool { return inline(d.Is) == inline(is) }) {
				t.Errorf("%s is %v, which is none of the defaults %v", k.Name, is, k.Defaults)
			}
			for _, word := range k.Words {
				if err := c.with(k.Name, word); there && k.Type == "text" && err != nil && strings.Contains(err.Error(), "unknown") {
					t.Errorf("%s=%s: %v", k.Name, word, err)
				}
			}
		}
	}
	for _, c := range []struct{ key, values, standard string }{
		{"train.lr", "number in (0,1000]", "0.025"},
		{"train.batch", "2..65536 (batch norm needs at least 2)", "96"},
		{"network.layers", "0..1000", "8 (cell search), 20 (trainings)"},
		{"search.lengths", "list of integers in 2..1000", "[8,8,8] (distribution search), [6,6,6] (stage, joint search)"},
		{"search.stage_primitives", "list of avg_pool_3x3, max_pool_3x3, none, skip_connect", "[none,skip_connect,max_pool_3x3,avg_pool_3x3]"},
		{"train.schedule", "cosine, linear, step, multistep", "cosine"},
		{"data.cutout", "0..4096", "0 (searches), 16 (trainings)"},
		{"data.dir", "text", `""`},
		{"search.gamma", "number in [-1e6,1e6]", "0.4"},
	} {
		k := Find(c.key)
		if len(k) != 1 || k[0].Values() != c.values || k[0].Default() != c.standard {
			t.Errorf("%s: %+v", c.key, k)
		}
	}
	if notes := Find("search.gamma")[0].Notes(); len(notes) != 1 || notes[0] != "it is used in a distribution search only, or in a joint one with min_cells" {
		t.Errorf("%q", notes)
	}
}

// A text finds a key, a section, or the keys that it is in.
func TestFind(t *testing.T) {
	for text, want := range map[string][]string{
		"train.ema.decay":      {"train.ema.decay"},
		"train.ema":            {"train.ema.decay", "train.ema.warmup"},
		"Data.Randaugment":     {"data.randaugment.ops", "data.randaugment.magnitude"},
		"label_smoo":           {"train.label_smoothing"},
		"drop path":            {"train.drop_path"},
		"alphas learning rate": {"search.alpha.lr"},
		"nothing of it":        nil,
	} {
		var names []string
		for _, k := range Find(text) {
			names = append(names, k.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", text, names)
		}
	}
	if all := Find(""); len(all) != len(Keys()) {
		t.Errorf("%d of %d keys", len(all), len(Keys()))
	}
}

// docs/configuration.md is made from the reference.
func TestDocument(t *testing.T) {
	const path = "../docs/configuration.md"
	want := document()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(is, want) {
		t.Errorf("docs/configuration.md is out of date (%v): CGO_ENABLED=0 go test ./configs -update", err)
	}
}

// sectionTitles are the sections of the document, in their order.
var sectionTitles = []struct{ section, about string }{
	{"", "Of every configuration"},
	{"cuda", "Computation on CUDA devices; on the CPU these have no effect"},
	{"data", "The data set, its images and their augmentation"},
	{"network", "The size of the network or the supernet"},
	{"search", "How an architecture is searched"},
	{"train", "How a network is trained"},
}

func document() []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration

Every setting of searches and trainings, with the values it takes, its default and its meaning; ` + "`hdas config keys`" + ` prints the same.
A search has the sections ` + "`data`, `network` and `search`, a training `data`, `network` and `train`" + `.

    hdas search cell --config FILE                  # a YAML file or the name of a built-in configuration
    hdas search cell --set search.epochs=3          # a single setting; wins over the file and the environment
    HDAS_SEARCH_EPOCHS=3 hdas search cell           # every key has such a variable; wins over the file
    hdas config keys "learning rate"                # the keys with these words in their name or meaning
    hdas config show tiny-cell                      # all settings of a built-in configuration, a file or a run
    hdas config diff tiny-cell runs/cells           # the settings that differ
    hdas config check FILE                          # everything that is wrong with a file, or what it would run

Where the defaults of searches and trainings differ, both are given. Sizes are those for CIFAR-10; sizes that nobody gives are those of
the preset. A key that a search or a training does not use is refused; the end of its meaning says when it is used. "H-DAS" is followed by
the place in the paper.

## Built-in configurations

| name | of a | what for |
|---|---|---|
`)
	for _, c := range List() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, c.Kind, cell(c.About))
	}
	for _, title := range sectionTitles {
		heading := title.about
		if title.section != "" {
			heading = "`" + title.section + "`: " + strings.ToLower(heading[:1]) + heading[1:]
		}
		fmt.Fprintf(&b, "\n## %s\n\n| key | values | default | meaning |\n|---|---|---|---|\n", heading)
		for _, k := range Reference() {
			if section, _, nested := strings.Cut(k.Name, "."); section == title.section || !nested && title.section == "" {
				fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", k.Name, cell(k.Values()), k.Default(), cell(strings.Join(append([]string{k.About()}, k.Notes()...), "; ")))
			}
		}
	}
	return b.Bytes()
}

// cell returns a text as a cell of a table in Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "_", `\_`).Replace(text)
}

// The document has every section.
func TestDocumentHasAllKeys(t *testing.T) {
	text := string(document())
	for _, key := range Keys() {
		if !strings.Contains(text, "| `"+key+"` |") {
			t.Errorf("%s is not in the document; add its section to sectionTitles", key)
		}
	}
}

// A built-in configuration says what it is for in its first line.
func TestBuiltinsAreDescribed(t *testing.T) {
	if len(List()) != len(Names()) {
		t.Errorf("%d of %d", len(List()), len(Names()))
	}
	for _, c := range List() {
		if len(c.About) < 20 || !strings.HasSuffix(c.About, ".") || !strings.HasSuffix(c.Kind, "search") && c.Kind != "training" {
			t.Errorf("%+v", c)
		}
	}
}

// The kind of a configuration is that of its file.
func TestKindOfFile(t *testing.T) {
	for _, c := range List() {
		is, wrong, unfit := Check("", Overrides{File: c.Name})
		if wrong != nil || unfit != nil || kindOf(is) != c.Kind {
			t.Errorf("%s: %s, %v, %v", c.Name, kindOf(is), wrong, unfit)
		}
	}
	for text, words := range map[string]string{
		"seed: 3":             "may be a configuration of any kind",
		"search: {epochs: 3}": "may be a configuration of any kind",
		"search: {kind: x}":   `search "x" is unknown; known are cell`,
		"search: {kind: cell}\ntrain: {epochs: 3}": "a configuration has one of the two",
		"- a": "keys with values are needed",
	} {
		name := file(t, []byte(text))
		if _, wrong, _ := Check("", Overrides{File: name}); wrong == nil || !strings.Contains(wrong.Error(), words) {
			t.Errorf("%q: %v does not say %q", text, wrong, words)
		}
	}
	if _, wrong, _ := Check("", Overrides{File: "nowhere"}); wrong == nil || !strings.Contains(wrong.Error(), "neither built in nor a file") {
		t.Error(wrong)
	}
	if c, wrong, unfit := Check("stage", Overrides{File: file(t, []byte("search: {epochs: 3}"))}); wrong != nil || unfit != nil || c.(Search).Search.Kind != StageSearch {
		t.Errorf("%+v, %v, %v", c, wrong, unfit)
	}
}

// All faults are found at once: those of single keys, and those of what remains without them.
func TestAllFaults(t *testing.T) {
	text := "seed: -1\ntrain: {epoch: 3, lr: fast, batch: 1, step_every: 2, clip: 0, milestones: ~}\ndata: {name: mnist, fill: 300}\n"
	_, wrong, unfit := Check("", Overrides{File: file(t, []byte(text))})
	for want, err := range map[string]error{
		"train.epoch: unknown key; train.lr \"fast\" is not; train.milestones: it is null; seed -1; data.fill 300":                      wrong,
		"train.batch 1 is not in; train.step_every: it is used with; train.clip 0 is not in; data.name \"mnist\" is unknown; known are": unfit,
	} {
		for part := range strings.SplitSeq(want, "; ") {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
	}
	if strings.Contains(unfit.Error(), "train.lr") || strings.Contains(unfit.Error(), "seed") {
		t.Errorf("told twice: %v", unfit)
	}
}

// Differences are those of the settings in use; a saved configuration does not differ from what was saved.
func TestDiff(t *testing.T) {
	load := func(name string, set ...string) Configuration {
		c, wrong, unfit := Check("", Overrides{File: name, Set: set})
		if wrong != nil || unfit != nil {
			t.Fatal(wrong, unfit)
		}
		return c
	}
	text := func(list []Difference) string {
		var all []string
		for _, d := range list {
			a, b := d.Texts()
			all = append(all, fmt.Sprintf("%s: %s, %s", d.Key, a, b))
		}
		return strings.Join(all, "; ")
	}
	if got, want := text(Diff(load("stage-search"), load("dagger-stage-search", "search.epochs=3"))), "search.cells: DARTS_V1, Hc_DAS_cells; search.epochs: 50, 3"; got != want {
		t.Error(got)
	}
	if got := text(Diff(load("darts-search"), load("stage-search"))); !strings.Contains(got, "network.layers: 8, -") || !strings.Contains(got, "search.lengths: -, [6,6,6]") {
		t.Error(got)
	}
	for _, c := range List() {
		is := load(c.Name)
		saved, err := is.YAML()
		if err != nil {
			t.Fatal(err)
		}
		form := Form("")
		if t, ok := is.(Train); ok {
			form = t.Form
		}
		again, wrong, unfit := Check("", Overrides{File: file(t, saved), Alone: true, Form: form})
		if got := Diff(is, again); wrong != nil || unfit != nil || c.Kind != "training" && len(got) > 0 {
			t.Errorf("%s: %s, %v, %v", c.Name, text(got), wrong, unfit)
		}
	}
	staged, err := LoadTrain(Overrides{File: "hs-train", Form: Staged})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := staged.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if again, _, _ := Check("", Overrides{File: file(t, saved), Alone: true}); again.(Train).Form != Staged || len(Diff(staged, again)) > 0 {
		t.Errorf("%+v", again)
	}
}

// One line of YAML is read as the same value.
func TestInline(t *testing.T) {
	for text, v := range map[string]any{"[6,6,6]": []any{6, 6, 6}, `""`: "", "a b": "a b", `"a: b"`: "a: b", `["a,b","c"]`: []any{"a,b", "c"}, "[]": []any{}, `"3"`: "3", "1e-08": 1e-8, "true": true, `["1"]`: []any{"1"}} {
		if got := inline(v); got != text {
			t.Errorf("%#v is %s, not %s", v, got, text)
		}
	}
}
