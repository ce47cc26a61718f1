package run_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"hdas/live"
	"hdas/run"
)

// Each start is a line of its own, also after one that a crash has cut.
func TestStarts(t *testing.T) {
	d := create(t)
	const file = "starts.jsonl"
	check(t, d.AppendStart(live.Start{Name: "a"}))
	check(t, d.AppendStart(live.Start{Name: "b"}))
	text, err := os.ReadFile(d.Path(file))
	check(t, err)
	check(t, os.WriteFile(d.Path(file), text[:len(text)-7], 0o600))
	check(t, d.AppendStart(live.Start{Name: "c\n"}))
	if text, err = os.ReadFile(d.Path(file)); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Fatalf("%s, %v", text, err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var s live.Start
		if whole := json.Unmarshal([]byte(line), &s) == nil; whole == (i == 1) || whole && s.Name != []string{"a", "", "c\n"}[i] {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

// The state of a process that was killed is gone when the run is resumed; one that cannot be read does no harm.
func TestStateOfAKilledProcess(t *testing.T) {
	d := create(t)
	check(t, d.WriteConfig(nil))
	for _, text := range []string{`{"epoch":3}`, "{"} {
		check(t, os.WriteFile(d.Path("progress.json"), []byte(text), 0o600))
		if seen := run.Glance(d.Path()); !seen.Running || (seen.Live == nil) != (text == "{") {
			t.Errorf("%s: %+v", text, seen)
		}
	}
	d = reopen(t, d)
	if _, err := os.Stat(d.Path("progress.json")); !os.IsNotExist(err) {
		t.Error(err)
	}
	d.Close()
	if seen := run.Glance(d.Path()); seen.Running || seen.Live != nil {
		t.Errorf("%+v", seen)
	}
}
