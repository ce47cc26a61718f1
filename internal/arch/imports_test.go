package arch

import (
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "hdas/"
)

// source is what the files of a package say.
type source struct {
	own     []string // the packages of this module that it imports, without its tests; sorted
	foreign []string // the other packages, likewise
	about   string   // the first sentence of its comment
}

// read returns the packages of the module by their folders.
func read(t *testing.T) map[string]source {
	t.Helper()
	packages := map[string]source{}
	walk(t, func(file string) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		p := packages[path.Dir(file)]
		if text := f.Doc.Text(); strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ") {
			p.about = new(doc.Package).Synopsis(text)
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if own, ok := strings.CutPrefix(name, module); ok {
				p.own = append(p.own, own)
			} else {
				p.foreign = append(p.foreign, name)
			}
		}
		slices.Sort(p.own)
		p.own = slices.Compact(p.own)
		packages[path.Dir(file)] = p
	})
	return packages
}

// reached returns pkg and all packages of the module that it imports, directly or through others.
func reached(packages map[string]source, pkg string) map[string]bool {
	all := map[string]bool{pkg: true}
	for queue := []string{pkg}; len(queue) > 0; queue = queue[1:] {
		for _, own := range packages[queue[0]].own {
			if !all[own] {
				all[own] = true
				queue = append(queue, own)
			}
		}
	}
	return all
}

// walk calls visit with every file of Go in the module, as a path from its root.
func walk(t *testing.T, visit func(file string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "runs", "data", "testdata", "scripts", "published"}, d.Name())) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			visit(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
