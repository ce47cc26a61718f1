package run_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"hdas/run"
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
