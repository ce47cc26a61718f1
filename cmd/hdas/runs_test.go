package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/lab"
	"hdas/run"
)

// someRuns makes folders with what runs have written before their first checkpoint.
func someRuns(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	search, training := "search: {kind: cell, epochs: 9}\ndata: {name: cifar10}\n", "train: {epochs: 5}\ndata: {name: digits}\n"
	for name, files := range map[string][2]string{
		"b/search":   {search, `{"epoch":1,"valid":{"top1":0.5},"test":{"top1":0.1}}` + "\n" + `{"epoch":2,"valid":{"top1":0.25}}` + "\n" + `{"ep`},
		"a/training": {training, `{"epoch":1,"test":{"top1":0.9}}` + "\n"},
		"a/probe":    {strings.Replace(training, "5", "5, init: x, probe: true", 1), ""},
		"a/tuning":   {strings.Replace(training, "5", "5, init: x", 1), ""},
		"c/damaged":  {training, "{\n{\n"},
		"seeds":      {search, ""},
	} {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{run.ConfigFile: files[0], "epochs.jsonl": files[1]} {
			if err := os.WriteFile(filepath.Join(at, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "seeds", "seeds.json"), []byte(`{"seeds":2}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Runs are listed, sorted and kept as asked for, with what they are and how they stand; none is changed or locked.
func TestRuns(t *testing.T) {
	folder := someRuns(t)
	held, err := run.Open(filepath.Join(folder, "b/search"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	paths := func(args ...string) string {
		t.Helper()
		var list []lab.Run
		if err := json.Unmarshal([]byte(must(t, append([]string{"runs", folder, "--json"}, args...)...)), &list); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, r := range list {
			names = append(names, filepath.Base(r.Path))
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct{ args, want string }{
		{"", "probe training tuning search damaged"},
		{"--sort -path", "damaged search tuning training probe"},
		{"--sort best", "training search probe tuning damaged"},
		{"--sort -best", "search training probe tuning damaged"},
		{"--filter kind=SEARCH", "search"},
		{"--filter best>50 --sort path", "training"},
		{"--filter best<90", "search"},
		{"--filter data=digits --filter state=stopped", "probe training tuning"},
		{"--filter state=running", "search"},
		{"--filter of=test", "training"},
		{"--filter kind=none", ""},
	} {
		if got := paths(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s: %s, not %s", c.args, got, c.want)
		}
	}
	table := strings.Split(must(t, "runs", folder), "\n")
	for row, want := range map[string][]string{
		"search":   {"cell", "search", "cifar10", "-", "0/9", "50.00", "%", "25.00", "%", "validation", "-", "running"},
		"training": {"training", "digits", "-", "0/5", "90.00", "%", "90.00", "%", "test", "-", "stopped"},
		"tuning":   {"fine-tuning", "digits", "-", "0/5", "-", "-", "-", "-", "stopped"},
		"probe":    {"linear", "probe", "digits", "-", "0/5", "-", "-", "-", "-", "stopped"},
	} {
		i := slices.IndexFunc(table, func(line string) bool { return strings.Contains(line, "/"+row+" ") })
		if i < 0 {
			t.Errorf("no %s in %q", row, table)
		} else if got := strings.Fields(table[i])[1:]; !slices.Equal(got[:min(len(got), len(want))], want) {
			t.Errorf("%s: %q, not %q", row, got, want)
		}
	}
	if text := strings.Join(table, "\n"); !strings.Contains(text, "damaged: ") || !strings.Contains(text, "line 1, is damaged") {
		t.Errorf("no fault in %s", text)
	}
	if out := must(t, "runs", folder, "--filter", "kind=none"); !strings.Contains(out, "no such run in "+folder) {
		t.Errorf("%q", out)
	}
	for args, says := range map[string]string{
		"--sort size": "path, kind, data", "--filter best": "COLUMN=TEXT", "--filter kind>3": "numbers", "--filter best>x": "numbers", "--filter size=3": "path, kind",
	} {
		if code, _, errs := call(t, append([]string{"runs", folder}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
	if code, _, errs := call(t, "runs", filepath.Join(folder, "none")); code != exitUsage || !strings.Contains(errs, "none") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
