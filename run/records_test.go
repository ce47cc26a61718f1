package run_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hdas/internal/tfevents"
	"hdas/models/genotype"
	"hdas/run"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func recordsOf(t testing.TB, d *run.Dir) string {
	t.Helper()
	var all strings.Builder
	check(t, d.Records(func(line []byte) error { fmt.Fprintf(&all, "%s\n", line); return nil }))
	file, err := os.ReadFile(d.Path(records))
	check(t, err)
	if string(file) != all.String() {
		t.Fatalf("the file is %q, its records %q", file, all.String())
	}
	return all.String()
}

func TestRecordsOfAResumedRunAreThoseOfAnUnbrokenOne(t *testing.T) {
	type line struct {
		Epoch int    `json:"epoch"`
		Text  string `json:"text"`
	}
	append := func(d *run.Dir, from, to int) {
		for e := from; e <= to; e++ {
			check(t, d.Append(line{e, strings.Repeat("<x>", e*1000)}))
		}
	}
	unbroken, broken := create(t), create(t)
	check(t, broken.Records(func([]byte) error { return fmt.Errorf("a record in a new folder") }))
	append(unbroken, 1, 6)
	append(broken, 1, 4)
	broken = reopen(t, broken)
	append(broken, 3, 5)
	append(broken, 5, 5)
	append(broken, 6, 6)
	if got, want := recordsOf(t, broken), recordsOf(t, unbroken); got != want {
		t.Errorf("%d bytes after resuming, %d in one go", len(got), len(want))
	}
	append(broken, 1, 1)
	if got := recordsOf(t, broken); strings.Count(got, "\n") != 1 {
		t.Errorf("begun anew: %.60q", got)
	}
}

func TestATornRecordIsMended(t *testing.T) {
	whole := `{"epoch":1}` + "\n" + `{"epoch":2,"x":"é"}` + "\n"
	end := strings.Index(whole, "\n") + 1
	for cut := end + 1; cut <= len(whole); cut++ {
		for _, tail := range []string{"", "\x00\x00\x00"} {
			d := create(t)
			check(t, os.WriteFile(d.Path(records), []byte(whole[:cut]+tail), 0o600))
			want := whole[:end]
			if tail == "" && cut >= len(whole)-1 || cut == len(whole) {
				want = whole // nothing is missing but the end of the line
			}
			if cut%2 == 0 {
				d = reopen(t, d)
				if got := recordsOf(t, d); got != want {
					t.Fatalf("cut after %d: %q", cut, got)
				}
			}
			check(t, d.Append(record{3}))
			if got := recordsOf(t, d); got != want+`{"epoch":3}`+"\n" {
				t.Fatalf("cut after %d, then one more: %q", cut, got)
			}
		}
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	d := create(t)
	fails(t, d.Append(map[string]int{"x": 1}), `{\"x\":1}`, "no epoch")
	fails(t, d.Append(map[string]float64{"epoch": math.NaN()}), "NaN")
	fails(t, d.Append(map[string]float64{"epoch": 1.5}), "1.5")
	fails(t, d.Append([]int{1}), "[1]")
	check(t, d.Append(record{1}))
	fails(t, d.Records(func([]byte) error { return fmt.Errorf("stop") }), d.Path(records), "line 1", "stop")

	check(t, os.WriteFile(d.Path(records), []byte("{\"epoch\":1}\n{\"epo\n{\"epoch\":3}\n"), 0o600))
	const says = "line 2"
	fails(t, d.Append(record{4}), d.Path(records), says)
	fails(t, d.Records(func([]byte) error { return nil }), d.Path(records), says)
	d.Close()
	_, err := run.Open(d.Path())
	fails(t, err, d.Path(records), says)
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("{\"epoch\":1}\n{\"epoch\":2}"), 2)
	f.Add([]byte("{\"epoch\":1}\n\x00"), 1)
	f.Fuzz(func(t *testing.T, file []byte, epoch int) {
		d := create(t)
		check(t, os.WriteFile(d.Path(records), file, 0o600))
		d.Close()
		d, err := run.Open(d.Path())
		if err != nil {
			return
		}
		defer d.Close()
		recordsOf(t, d)
		check(t, d.Append(record{epoch}))
		if got := recordsOf(t, d); !strings.HasSuffix(got, fmt.Sprintf("{\"epoch\":%d}\n", epoch)) {
			t.Fatalf("%q", got)
		}
	})
}

// scalars returns the scalars of the events of a run by step, without times, and fails if a step is there twice.
func scalars(t testing.TB, d *run.Dir) (text string) {
	t.Helper()
	file, err := os.ReadFile(d.Path(events))
	check(t, err)
	seen := map[int64]bool{}
	list := tfevents.Read(file)
	for _, e := range list {
		if e.Step > 0 && seen[e.Step] {
			t.Fatalf("step %d is there twice", e.Step)
		}
		if seconds, timed := e.Scalars["time/epoch_seconds"]; seconds < 0 || e.Time == 0 || timed && len(e.Scalars) == 1 {
			t.Errorf("event %v", e)
		}
		delete(e.Scalars, "time/epoch_seconds")
		seen[e.Step] = true
		text += fmt.Sprintln(e.Step, e.Scalars)
	}
	if n := len(list); n == 0 || list[n-1].End != int64(len(file)) {
		t.Fatalf("a file of %d bytes with %d events", len(file), n)
	}
	return text
}

// evolving is a record with all that records have: nested numbers, texts, lists, and fields that only some epochs have.
type evolving struct {
	Epoch    int                `json:"epoch"`
	LR       float64            `json:"lr"`
	Train    map[string]float64 `json:"train"`
	Genotype string             `json:"genotype"`
	Alpha    map[string][]int   `json:"alpha"`
	Best     bool               `json:"best,omitempty"`
	Last     *float64           `json:"last,omitempty"`
	mixtures []run.Mixture
}

func (e evolving) Mixtures() []run.Mixture { return e.mixtures }

func evolved(epoch int) evolving {
	e := evolving{Epoch: epoch, LR: 0.1, Train: map[string]float64{"loss": 1 / float64(epoch), "samples": 9}, Genotype: "a: b\n", Alpha: map[string][]int{"alpha.normal": {1, epoch}}, Best: epoch%2 == 1}
	if epoch == 4 {
		e.Last = new(float64)
	}
	e.mixtures = []run.Mixture{{DAG: "normal", Operations: []string{"a", "b"}, Probabilities: [][]float64{{0.2, 0.8}}}}
	return e
}

// TensorBoard's own reader finds every record once, also after a run was resumed, and all that a page of TensorBoard shows.
func TestTensorBoard(t *testing.T) {
	d := create(t)
	check(t, d.WriteConfig([]byte("seed: 1\ndata: {name: digits, flip: false, mean: [0.5, 0.25]}\nsearch:\n  weights: {lr: 0.025}\n")))
	for _, epoch := range []int{1, 2, 3, 0, 2, 3, 4} {
		if epoch == 0 {
			d = reopen(t, d)
			continue
		}
		e := evolved(epoch)
		name := map[bool]string{false: "DARTS_V1", true: "DARTS_V2"}[epoch >= 3]
		g, err := genotype.Published(name)
		check(t, err)
		var text strings.Builder
		check(t, g.Encode(&text))
		e.Genotype = text.String()
		check(t, d.Append(e, run.Shown{Tag: "grad_norm/weights", Value: float64(epoch) / 2}))
	}
	c := exec.Command("../scripts/setup.sh", "onnx", "testdata/events.py", d.Path())
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var got struct {
		Scalars            map[string][][2]float64
		Histograms, Images map[string][]int
		Texts              map[string][]string
		HParams            map[string]any
	}
	check(t, json.Unmarshal(out, &got))
	loss, norms := [][2]float64{}, [][2]float64{}
	for epoch := 1.0; epoch <= 4; epoch++ {
		loss, norms = append(loss, [2]float64{epoch, float64(float32(1 / epoch))}), append(norms, [2]float64{epoch, epoch / 2})
	}
	all := []int{1, 2, 3, 4}
	if !slices.Equal(got.Scalars["train/loss"], loss) || !slices.Equal(got.Scalars["grad_norm/weights"], norms) || len(got.Scalars["time/epoch_seconds"]) != 4 {
		t.Errorf("scalars %v", got.Scalars)
	}
	if !slices.Equal(got.Histograms["alpha/normal"], all) || !slices.Equal(got.Images["softmax/normal"], all) {
		t.Errorf("histograms %v, images %v", got.Histograms, got.Images)
	}
	if !slices.Equal(got.Images["drawing/genotype"], []int{1, 3}) {
		t.Errorf("drawings of epochs %v", got.Images["drawing/genotype"])
	}
	if len(got.Texts["genotype"]) != 4 || len(got.Texts["config"]) != 1 || !strings.Contains(got.Texts["config"][0], "name: digits") {
		t.Errorf("texts %q", got.Texts)
	}
	want := map[string]any{"seed": 1.0, "data.name": "digits", "data.flip": false, "data.mean": "[0.5 0.25]", "search.weights.lr": 0.025}
	if !maps.Equal(got.HParams, want) {
		t.Errorf("hyperparameters %v, not %v", got.HParams, want)
	}
}

// The table and the events are those of the records, whatever happened to them: a stop at any record, records
// that are done again, damage, and files that are missing.
func TestTableAndEventsFollowTheRecords(t *testing.T) {
	unbroken := create(t)
	check(t, unbroken.WriteConfig([]byte("seed: 1\n")))
	for epoch := 1; epoch <= 5; epoch++ {
		check(t, unbroken.Append(evolved(epoch)))
	}
	wantTable := "epoch,lr,train.loss,train.samples,best,last\n1,0.1,1,9,true,\n2,0.1,0.5,9,,\n3,0.1,0.3333333333333333,9,true,\n4,0.1,0.25,9,,0\n5,0.1,0.2,9,true,\n"
	wantEvents := "0 map[]\n0 map[]\n1 map[lr:0.1 train/loss:1]\n"
	content := func(d *run.Dir, name string) string {
		text, err := os.ReadFile(d.Path(name))
		check(t, err)
		return string(text)
	}
	if got := content(unbroken, table); got != wantTable {
		t.Errorf("table %q", got)
	}
	got := strings.ReplaceAll(scalars(t, unbroken), "0.10000000149011612", "0.1")
	if !strings.HasPrefix(got, wantEvents) || strings.Count(got, "\n") != 7 {
		t.Errorf("events %s", got)
	}
	for _, tag := range []string{"config", "    seed: 1", "genotype", "normal", "softmax/normal", "a, b", "PNG"} {
		if !strings.Contains(content(unbroken, events), tag) {
			t.Errorf("events without %q", tag)
		}
	}
	spoil := map[string]func(path string, file []byte) error{
		"nothing":  func(string, []byte) error { return nil },
		"missing":  func(path string, _ []byte) error { return os.Remove(path) },
		"torn":     func(path string, file []byte) error { return os.WriteFile(path, file[:len(file)-3], 0o600) },
		"longer":   func(path string, file []byte) error { return os.WriteFile(path, append(file, "1,2"...), 0o600) },
		"replaced": func(path string, _ []byte) error { return os.WriteFile(path, []byte("\x01\x02,\"\n"), 0o600) },
	}
	for what, do := range spoil {
		for stop := 1; stop <= 4; stop++ {
			for again := max(1, stop-1); again <= stop+1; again++ { // the epoch with which it goes on
				d := create(t)
				check(t, d.WriteConfig([]byte("seed: 1\n")))
				for epoch := 1; epoch <= stop; epoch++ {
					check(t, d.Append(evolved(epoch)))
				}
				if stop%2 == 0 {
					d = reopen(t, d)
				}
				for _, name := range []string{table, events} {
					check(t, do(d.Path(name), []byte(content(d, name))))
				}
				for epoch := again; epoch <= 5; epoch++ {
					check(t, d.Append(evolved(epoch)))
				}
				if got, want := scalars(t, d), scalars(t, unbroken); got != want {
					t.Fatalf("%s after %d, again from %d: events\n%s", what, stop, again, got)
				}
				if got := content(d, table); got != wantTable {
					t.Fatalf("%s after %d, again from %d: table\n%s", what, stop, again, got)
				}
			}
		}
	}
}

// A program that appends all records writes what several that append one each write, and sees when another one has
// changed the file.
func TestAppendKnowsTheFile(t *testing.T) {
	one, each := create(t), create(t)
	for e := range 4 {
		r := map[string]any{"epoch": e + 1, "lr": 1 / float64(e+1), "text": strings.Repeat("x", e)}
		check(t, one.Append(r))
		check(t, each.Append(r))
		each = reopen(t, each)
	}
	for _, name := range []string{records, "epochs.csv"} {
		a, err := os.ReadFile(one.Path(name))
		check(t, err)
		b, err := os.ReadFile(each.Path(name))
		check(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %q and %q", name, a, b)
		}
	}
	if scalars(t, one) != scalars(t, each) {
		t.Error("the events differ")
	}
	check(t, os.WriteFile(one.Path(records), []byte("{\"epoch\":1}\n"), 0o600))
	check(t, one.Append(record{2}))
	if got := recordsOf(t, one); got != "{\"epoch\":1}\n{\"epoch\":2}\n" {
		t.Errorf("after a change from outside: %q", got)
	}
}
