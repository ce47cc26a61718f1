package configs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hdas/setting"
)

// A variable with the prefix is that of a setting, reserved, or of tests; all others are refused.
func TestEnvironment(t *testing.T) {
	for _, name := range []string{"HDAS_DATA", "HDAS_CACHE", "HDAS_TEST_ANYTHING", "HDASX"} {
		t.Setenv(name, "x")
	}
	t.Setenv("HDAS_SEARCH_ALPHA_LR", "0.5")
	if c, err := LoadSearch(CellSearch, Overrides{}); err != nil || c.Search.Alpha.LR != 0.5 {
		t.Errorf("alpha.lr %v, %v", c.Search.Alpha.LR, err)
	}
	for _, name := range []string{"HDAS_SEARCH_EPOCH", "HDAS_", "HDAS_TEST", "HDAS_search_epochs", "HDAS_CACHES"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "3")
			var f *setting.Fault
			if _, err := LoadTrain(Overrides{}); !errors.As(err, &f) || f.Key != name {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Setenv("HDAS_SEARCH_EPOCHS", "[")
	if _, err := LoadSearch(CellSearch, Overrides{}); err == nil || !strings.Contains(err.Error(), `search.epochs "[": yaml`) {
		t.Errorf("error %v", err)
	}
}

// No two settings share a variable, and none has that of another purpose.
func TestVariablesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, key := range Keys() {
		name := variable(key)
		if other, twice := seen[name]; twice {
			t.Errorf("%s is the variable of %s and of %s", name, other, key)
		}
		seen[name] = key
		if slices.Contains(reserved, name) || strings.HasPrefix(name, testPrefix) {
			t.Errorf("%s is no name for %s: it is not one of settings", name, key)
		}
	}
}

// Every variable that is named in the program, its scripts and its documents is that of a setting,
// reserved, or of tests; and every reserved one is in the README.
func TestVariablesAreKnown(t *testing.T) {
	settings := map[string]bool{}
	for _, key := range Keys() {
		settings[variable(key)] = true
	}
	found := map[string]int{}
	names := regexp.MustCompile(`\bHDAS_[A-Z]\w*`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "configs", "runs", "data", "bin"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".py", ".sh", ".md"}, filepath.Ext(path)) && d.Name() != "Makefile" {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, name := range names.FindAllString(string(text), -1) {
			found[name]++
			if !slices.Contains(reserved, name) && !settings[name] && !strings.HasPrefix(name, testPrefix) && !strings.Contains(string(text), "C."+name) {
				t.Errorf("%s has %s, which is neither that of a setting nor reserved", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	for _, name := range reserved {
		if found[name] < 2 || err != nil || !strings.Contains(string(readme), name) {
			t.Errorf("%s is in %d places, or not in the README: %v", name, found[name], err)
		}
	}
}
