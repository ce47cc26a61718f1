package main

import (
	"path/filepath"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/datasets"
	"hdas/lab"
)

// Commands that are proposed exist, and have the flags and the number of arguments that they are proposed with.
func TestProposedCommands(t *testing.T) {
	data := func(name, dir string) configs.Common {
		return configs.Common{Data: configs.Data{Spec: datasets.Spec{Name: name, Dir: dir}}}
	}
	var all []step
	for _, name := range datasets.Names() {
		for _, staged := range []bool{false, true} {
			all = append(all, afterSearch(configs.Search{Common: data(name, "data")}, "runs/a", staged)...)
		}
		all = append(all, afterCheck([]lab.Inspection{{Dataset: name}}, "data", nil)...)
	}
	all = append(all, afterTraining("runs/a")...)
	printed := map[string]bool{}
	for _, args := range []string{"doctor", "config list", "show DARTS_V1", "search random stage --config tiny-stage --out " + t.TempDir(), "data check --name digits"} {
		code, out, errs := call(t, strings.Fields(args)...)
		_, lines, ok := strings.Cut(errs, "next: ")
		if code != 0 || !ok || strings.Contains(out, "next:") {
			t.Errorf("%s: exit %d, %q", args, code, errs)
		}
		for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
			words, _, _ := strings.Cut(line, "  # ")
			all = append(all, step{strings.TrimSpace(words), ""})
			printed[strings.Fields(words)[1]] = true
		}
		if _, _, errs := call(t, append(strings.Fields(args), "--json")...); strings.Contains(errs, "next:") {
			t.Errorf("%s --json prints %q", args, errs)
		}
	}
	for _, word := range []string{"demo", "config", "draw", "train"} {
		if !printed[word] {
			t.Errorf("no command proposes hdas %s", word)
		}
	}
	for _, s := range all {
		words := strings.Fields(s.command)
		c, rest, err := (&program{}).root().Find(words[1:])
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err == nil {
			err = c.ValidateArgs(c.Flags().Args())
		}
		if err != nil || words[0] != "hdas" {
			t.Errorf("%s: %v", s.command, err)
		}
		if f := c.Flags().Lookup("config"); err == nil && f != nil && f.Changed {
			if _, err := configs.LoadTrain(configs.Overrides{File: f.Value.String(), Alone: true}); err != nil {
				t.Errorf("%s: %v", s.command, err)
			}
		}
	}
	if got := command("eval", filepath.Join("my runs", "a")); got != `hdas eval 'my runs/a'` {
		t.Error(got)
	}
}
