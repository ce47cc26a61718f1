// Package arch holds the direction in which the packages import each other.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed is what each package may import of this module, besides itself: data flows one way. A
// package that is not here may not be there.
var allowed = map[string][]string{
	"models/plan":           {"models/genotype", "models/layer", "models/ops", "setting"},
	"torch/kernel":          {},
	"setting":               {},
	"torch":                 {"torch/dtype", "torch/kernel"},
	"torch/dtype":           {},
	"torch/nn":              {"torch", "torch/kernel"},
	"torch/optim":           {"torch", "torch/nn"},
	"torch/optim/schedule":  {},
	"internal/leaftest":     {"torch"},
	"models/genotype":       {},
	"models/genotype/text":  {"internal/filekind", "models/genotype"},
	"models/layer":          {},
	"models/ops":            {"models/layer", "torch/kernel"},
	"models":                {"models/layer", "models/ops", "models/plan", "torch", "torch/nn"},
	"draw":                  {"models/genotype"},
	"datasets":              {"internal/fetch", "internal/imagefile", "internal/pickle", "internal/raster", "setting"},
	"metric":                {"datasets", "metric/score", "torch", "torch/nn"},
	"metric/score":          {},
	"run":                   {"models/genotype", "models/genotype/text", "torch", "torch/nn", "weights/safetensors"},
	"search/space":          {"models/genotype", "setting"},
	"weights":               {"internal/filekind", "internal/pickle", "torch/dtype", "weights/safetensors"},
	"weights/safetensors":   {"torch/dtype"},
	"search":                {"configs", "datasets", "internal/proc", "metric", "models", "models/genotype", "models/layer", "models/ops", "models/plan", "run", "search/space", "setting", "torch", "torch/kernel", "torch/nn", "torch/optim", "torch/optim/schedule"},
	"model":                 {"datasets", "models", "models/genotype", "models/layer", "models/plan", "run", "torch", "torch/nn", "weights"},
	"train":                 {"configs", "datasets", "metric", "model", "models", "models/genotype", "models/plan", "run", "setting", "torch", "torch/dtype", "torch/nn", "torch/optim", "torch/optim/schedule"},
	"predict":               {"datasets", "internal/imagefile", "model", "models/plan", "run", "torch", "torch/nn"},
	"configs":               {"datasets", "models/genotype", "models/genotype/text", "models/ops", "models/plan", "search/space", "setting", "torch/dtype", "torch/kernel"},
	"lab":                   {"configs", "datasets", "draw", "lab/jobs", "metric", "model", "models/genotype", "models/genotype/text", "models/layer", "models/ops", "models/plan", "run", "search", "search/space", "torch", "torch/dtype", "train"},
	"lab/jobs":              {},
	"cmd/hdas":              {"configs", "datasets", "draw", "internal/fetch", "internal/filekind", "internal/imagefile", "internal/parity", "internal/proc", "lab", "model", "models/genotype", "models/genotype/text", "models/plan", "predict", "run", "search", "setting", "torch"},
	"internal/arch":         {},
	"internal/datasetstest": {"datasets"},
	"internal/fetch":        {},
	"internal/filekind":     {},
	"internal/golden":       {"run", "torch", "torch/nn", "weights"},
	"internal/golden/raw":   {"torch/dtype", "weights/safetensors"},
	"internal/imagefile":    {"internal/filekind"},
	"internal/pickle":       {},
	"internal/proc":         {},
	"internal/raster":       {},
	"internal/runtest":      {"run"},
	"internal/torchtest":    {"torch"},
	"internal/testseed":     {},

	// Beside PyTorch.
	"internal/golden/pytorch": {},
	"internal/parity":         {"configs", "datasets", "internal/golden/pytorch", "internal/proc", "models", "models/genotype", "models/layer", "models/plan", "run", "search", "torch", "torch/dtype", "torch/kernel", "torch/nn", "train"},
}

// Packages that test in milliseconds because nothing of libtorch is in them.
var pure = []string{"setting", "configs", "torch/kernel", "models/layer", "models/ops", "models/plan", "torch/dtype", "torch/optim/schedule", "models/genotype", "models/genotype/text", "draw", "datasets", "metric/score", "search/space", "weights", "weights/safetensors", "internal/fetch", "internal/filekind", "internal/imagefile", "internal/pickle", "internal/testseed", "internal/proc", "internal/raster", "lab/jobs"}

// Packages with C code. All but torch, and leaftest, which is for its tests, have a twin of it in Go.
var cgo = []string{"torch", "internal/leaftest", "internal/imagefile", "internal/raster"}

const module = "hdas/"

func TestDirectionOfImports(t *testing.T) {
	imports := read(t)
	for pkg, list := range imports {
		may, known := allowed[pkg]
		if !known {
			t.Errorf("package %s is not in the list of this test", pkg)
		}
		for _, i := range list {
			if own, ok := strings.CutPrefix(i, module); ok && !slices.Contains(may, own) {
				t.Errorf("%s imports %s, which goes against the direction of the data", pkg, own)
			}
			if strings.HasPrefix(i, "github.com/sugarme/gotch") && pkg != "torch" {
				t.Errorf("%s imports gotch; torch alone may", pkg)
			}
			if i == "C" && !slices.Contains(cgo, pkg) {
				t.Errorf("%s uses cgo; %v alone may", pkg, cgo)
			}
		}
	}
	for pkg := range allowed {
		if _, there := imports[pkg]; !there {
			t.Errorf("package %s of this test's list is gone", pkg)
		}
	}
}

func TestPurePackages(t *testing.T) {
	imports := read(t)
	for _, pkg := range pure {
		for seen, queue := map[string]bool{}, []string{pkg}; len(queue) > 0; queue = queue[1:] {
			for _, i := range imports[queue[0]] {
				own, ok := strings.CutPrefix(i, module)
				if own == "torch" {
					t.Errorf("%s reaches torch through %s", pkg, queue[0])
				}
				if ok && !seen[own] {
					seen[own] = true
					queue = append(queue, own)
				}
			}
		}
	}
}

// Nothing but main exits the process.
func TestNobodyExits(t *testing.T) {
	walk(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "cmd/") {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"os.Exit(", "log.Fatal"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", file, word)
			}
		}
	})
}

// The package run alone knows how the files of a run's folder are called.
func TestNamesOfRunFolders(t *testing.T) {
	walk(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "run/") || file == "internal/parity/task.go" { // whose folder is a comparison's
			return
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"config.yaml", "genotype.yaml", "genotype.svg", "genotype-best-supernet", "genotypes/epoch-", "checkpoint.safetensors", "checkpoint-previous", "epochs.jsonl"} {
			if strings.Contains(string(text), name) {
				t.Errorf("%s has %s", file, name)
			}
		}
	})
}

const root = "../.."

// read returns what each package imports, without its tests.
func read(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	walk(t, func(file string) {
		pkg := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			if _, there := imports[pkg]; !there {
				imports[pkg] = nil
			}
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imports[pkg] = append(imports[pkg], name)
		}
		if len(f.Imports) == 0 && imports[pkg] == nil {
			imports[pkg] = []string{}
		}
	})
	return imports
}

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
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "runs" || d.Name() == "data" || d.Name() == "testdata" || d.Name() == "scripts" || d.Name() == "published") {
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
