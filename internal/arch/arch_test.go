// Package arch holds the direction in which the packages import each other.
package arch

import (
	"os"
	"path/filepath"
	"slices"
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
	"torch/dist":            {"torch"},
	"torch/dtype":           {},
	"torch/versions":        {},
	"torch/nn":              {"torch", "torch/kernel"},
	"torch/optim":           {"torch", "torch/nn"},
	"torch/optim/schedule":  {},
	"internal/looptest":     {"torch"},
	"models/genotype":       {"internal/filekind", "setting"},
	"models/genotype/text":  {"internal/filekind", "models/genotype"},
	"models/layer":          {},
	"models/ops":            {"models/layer", "torch/kernel"},
	"models":                {"models/layer", "models/ops", "models/plan", "torch", "torch/nn"},
	"draw":                  {"internal/layered", "models/genotype"},
	"export":                {"models/genotype", "models/layer", "models/ops", "models/plan", "torch/dtype", "torch/kernel"},
	"datasets":              {"internal/fetch", "internal/filekind", "internal/imagefile", "internal/proc", "internal/pickle", "internal/raster", "setting"},
	"metric":                {"datasets", "metric/score", "torch", "torch/dist", "torch/nn"},
	"metric/score":          {},
	"recipe":                {"configs", "models/genotype", "models/genotype/text", "models/ops", "models/plan", "setting"},
	"report":                {"draw", "metric/score", "models/genotype", "search/space"},
	"run":                   {"draw", "estimate", "internal/filekind", "internal/proc", "internal/tfevents", "live", "metric/score", "models/genotype", "models/genotype/text", "torch", "torch/nn", "weights/safetensors"},
	"search/space":          {"models/genotype", "setting"},
	"weights":               {"internal/filekind", "internal/pickle", "torch/dtype", "weights/safetensors"},
	"weights/safetensors":   {"internal/filekind", "internal/proc", "torch/dtype"},
	"parallel":              {"datasets", "setting", "torch", "torch/dist", "torch/kernel", "torch/nn"},
	"search":                {"configs", "datasets", "estimate", "metric", "models", "models/genotype", "models/layer", "models/ops", "models/plan", "parallel", "run", "search/space", "setting", "torch", "torch/dist", "torch/kernel", "torch/nn", "torch/optim", "torch/optim/schedule"},
	"model":                 {"datasets", "export", "internal/filekind", "models", "models/genotype", "models/layer", "models/plan", "run", "torch", "torch/nn", "weights"},
	"train":                 {"configs", "datasets", "estimate", "metric", "metric/score", "model", "models", "models/genotype", "models/plan", "parallel", "run", "setting", "torch", "torch/dist", "torch/dtype", "torch/kernel", "torch/nn", "torch/optim", "torch/optim/schedule"},
	"predict":               {"internal/filekind", "internal/imagefile", "model", "run", "torch", "torch/nn"},
	"serve":                 {"predict"},
	"configs":               {"datasets", "internal/filekind", "models/genotype", "models/genotype/text", "models/ops", "models/plan", "search/space", "setting", "torch/dtype", "torch/kernel"},
	"lab":                   {"configs", "datasets", "draw", "estimate", "internal/filekind", "internal/proc", "lab/jobs", "live", "metric", "metric/score", "model", "models/genotype", "models/genotype/text", "models/layer", "models/ops", "models/plan", "recipe", "report", "run", "search", "search/space", "setting", "torch", "torch/dist", "torch/dtype", "torch/kernel", "train"},
	"lab/jobs":              {"internal/proc"},
	"launch":                {"lab/jobs"},
	"live":                  {"internal/filekind", "metric/score"},
	"cmd/hdas":              {"configs", "datasets", "draw", "estimate", "export", "internal/fetch", "internal/filekind", "internal/imagefile", "internal/parity", "internal/proc", "lab", "lab/jobs", "launch", "live", "metric/score", "model", "models/genotype", "models/genotype/text", "models/plan", "predict", "recipe", "report", "run", "search", "serve", "setting", "torch", "torch/dist", "torch/dtype", "torch/kernel", "torch/versions"},
	"internal/arch":         {},
	"internal/datasetstest": {"datasets"},
	"internal/disttest":     {"internal/proc", "internal/torchtest", "torch", "torch/dist"},
	"internal/fetch":        {},
	"internal/filekind":     {},
	"internal/golden":       {"internal/torchtest", "run", "torch", "torch/nn", "weights"},
	"internal/golden/raw":   {"torch/dtype", "weights/safetensors"},
	"internal/imagefile":    {"internal/filekind"},
	"internal/layered":      {},
	"internal/pickle":       {},
	"internal/proc":         {},
	"estimate":              {},
	"internal/raster":       {},
	"internal/runtest":      {"internal/torchtest", "run", "torch", "weights/safetensors"},
	"internal/torchtest":    {"torch"},
	"internal/testseed":     {},
	"internal/tfevents":     {},

	// Beside PyTorch.
	"internal/golden/pytorch": {},
	"internal/parity":         {"configs", "datasets", "internal/golden/pytorch", "internal/proc", "models", "models/genotype", "models/layer", "models/plan", "run", "search", "torch", "torch/dtype", "torch/kernel", "torch/nn", "torch/versions", "train"},
}

// Packages that test in milliseconds because nothing of libtorch is in them.
var pure = []string{"setting", "estimate", "configs", "torch/kernel", "models/layer", "models/ops", "models/plan", "torch/dtype", "torch/optim/schedule", "torch/versions", "models/genotype", "models/genotype/text", "draw", "export", "datasets", "metric/score", "recipe", "report", "search/space", "weights", "weights/safetensors", "internal/fetch", "internal/filekind", "internal/imagefile", "internal/layered", "internal/pickle", "internal/testseed", "internal/proc", "internal/raster", "internal/tfevents", "lab/jobs", "launch", "live"}

// Packages with C code. All but torch, dist, and looptest, which is for tests, have a twin of it in Go.
var cgo = []string{"torch", "torch/dist", "internal/looptest", "internal/imagefile", "internal/raster"}

func TestDirectionOfImports(t *testing.T) {
	packages := read(t)
	for pkg, p := range packages {
		may, known := allowed[pkg]
		if !known {
			t.Errorf("package %s is not in the list of this test", pkg)
		}
		for _, own := range p.own {
			if !slices.Contains(may, own) {
				t.Errorf("%s imports %s, which goes against the direction of the data", pkg, own)
			}
		}
		for _, i := range p.foreign {
			if strings.HasPrefix(i, "github.com/sugarme/gotch") && pkg != "torch" {
				t.Errorf("%s imports gotch; torch alone may", pkg)
			}
			if i == "C" && !slices.Contains(cgo, pkg) {
				t.Errorf("%s uses cgo; %v alone may", pkg, cgo)
			}
		}
	}
	for pkg := range allowed {
		if _, there := packages[pkg]; !there {
			t.Errorf("package %s of this test's list is gone", pkg)
		}
	}
}

func TestPurePackages(t *testing.T) {
	packages := read(t)
	for _, pkg := range pure {
		for via := range reached(packages, pkg) {
			if slices.Contains(packages[via].own, "torch") {
				t.Errorf("%s reaches torch through %s", pkg, via)
			}
		}
	}
}

// Every child process ends with this one and gets no Ctrl-C besides it. Files that a user names are opened by
// filekind, which bounds their size and does not wait for pipes.
func TestChildrenAndFilesOfUsers(t *testing.T) {
	own := []string{ // what these open is written by this program, or bounded by them
		"internal/filekind/read.go", "run/file.go", "run/dir.go", "run/records.go", "run/starts.go", "live/publish.go", "internal/proc/proc.go", "internal/parity/", "internal/golden/", "internal/runtest/", "internal/fetch/fetch.go", "models/genotype/published/generate.go",
	}
	starts, binds := map[string]bool{}, map[string]bool{}
	walk(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		starts[filepath.Dir(file)] = starts[filepath.Dir(file)] || strings.Contains(string(text), "exec.Command")
		binds[filepath.Dir(file)] = binds[filepath.Dir(file)] || strings.Contains(string(text), "proc.Bind(")
		if slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(file, p) }) {
			return
		}
		for _, word := range []string{"os.ReadFile(", "os.Open(", "os.OpenFile("} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s, where filekind.Read or filekind.Open is to be used", file, word)
			}
		}
	})
	for pkg, does := range starts {
		if does && !binds[pkg] {
			t.Errorf("%s starts commands without proc.Bind", pkg)
		}
	}
}

// Nothing but main exits the process; torchtest, which is for tests, ends their programs.
func TestNobodyExits(t *testing.T) {
	walk(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "cmd/") || file == "internal/torchtest/device.go" {
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
		for _, name := range []string{"config.yaml", "genotype.yaml", "genotype.svg", "genotype-best-supernet", "genotypes/epoch-", "checkpoint.safetensors", "checkpoint-previous", "epochs.jsonl", "epochs.csv", "events.out"} {
			if strings.Contains(string(text), name) {
				t.Errorf("%s has %s", file, name)
			}
		}
	})
}
