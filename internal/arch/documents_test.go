package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var quoted = regexp.MustCompile("`([^`\n]+)`")

// docs/architecture.md names every package that is not internal, and its paths are there.
func TestArchitecture(t *testing.T) {
	named := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(document(t, "docs/architecture.md"), -1) {
		named[m[1]] = true
	}
	path := regexp.MustCompile(`^[a-z]+(/[\w.-]+)+/?$`)
	for name := range named {
		if _, err := os.Stat(filepath.Join(root, name)); path.MatchString(name) && err != nil {
			t.Error(err)
		}
	}
	for pkg := range read(t) {
		if !named[pkg] && !strings.HasPrefix(pkg, "internal/") {
			t.Errorf("package %s is not named", pkg)
		}
	}
}

// The documents name targets that the Makefile has and `make help` lists, and the README names all of those.
func TestTargets(t *testing.T) {
	makefile := document(t, "Makefile")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):.*## `).FindAllStringSubmatch(makefile, -1) {
		listed[m[1]] = true
	}
	for _, target := range strings.Fields(regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(makefile)[1]) {
		if !listed[target] {
			t.Errorf("make help does not list %s", target)
		}
	}
	called := regexp.MustCompile("(?m)(?:^    |[`(])make ([a-z-]+)")
	for _, name := range []string{"README.md", "docs/architecture.md", "docs/data.md", "docs/performance.md", "internal/golden/data/README.md"} {
		text := document(t, name)
		for _, m := range called.FindAllStringSubmatch(text, -1) {
			if !listed[m[1]] {
				t.Errorf("%s names make %s, which make help does not list", name, m[1])
			}
		}
	}
	readme := document(t, "README.md")
	for target := range listed {
		if !strings.Contains(readme, "`"+target+"`") && !regexp.MustCompile(`\bmake `+target+`\b`).MatchString(readme) {
			t.Errorf("the README does not name the target %s", target)
		}
	}
}
