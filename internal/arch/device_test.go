package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every test can run on the device that HDAS_TEST_DEVICE names: tests of packages that use tensors import
// torchtest, which checks the variable, and take their devices from there. Tests of the CPU alone call
// torchtest.OnCPU, and do the same. Only the tests of package torch name other devices.
func TestDevicesOfTests(t *testing.T) {
	packages, tests := read(t), map[string]*testFiles{}
	walk(t, func(file string) {
		if !strings.HasSuffix(file, "_test.go") {
			return
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(root, file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		pkg := path.Dir(file)
		if tests[pkg] == nil {
			tests[pkg] = &testFiles{}
		}
		tests[pkg].add(f)
		for _, fault := range ownDevices(f, pkg) {
			t.Errorf("%s: %s", set.Position(fault.node.Pos()), fault.words)
		}
	})
	for pkg, files := range tests {
		tensors := false
		for _, imported := range append(files.imports, pkg) {
			tensors = tensors || reached(packages, imported)["torch"]
		}
		if tensors && !slices.Contains(files.imports, "internal/torchtest") {
			t.Errorf("the tests of %s use tensors and do not import internal/torchtest", pkg)
		}
	}
}

// testFiles are the test files of a package.
type testFiles struct{ imports []string }

func (p *testFiles) add(f *ast.File) {
	for _, i := range f.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		if own, ok := strings.CutPrefix(name, module); ok {
			p.imports = append(p.imports, own)
		}
	}
}

// makers are the functions that make tensors on the CPU, for which torchtest has others.
var makers = []string{"torch.FromFloat32", "torch.FromFloat64", "torch.FromInt64"}

type deviceFault struct {
	node  ast.Node
	words string
}

// ownDevices returns where a file of tests chooses a device by itself, or leaves it at the CPU.
func ownDevices(f *ast.File, pkg string) (faults []deviceFault) {
	fault := func(n ast.Node, format string, args ...any) {
		faults = append(faults, deviceFault{n, fmt.Sprintf(format, args...)})
	}
	// The types whose zero value computes on the CPU, and the field of their device.
	fields := map[string]string{"torch.Options": "Device", "run.Probe": "Device", "search.Setup": "Options", "train.Setup": "Options"}
	if pkg == "search" {
		fields["Setup"] = "Options"
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			name := typeName(n.Type)
			if field := fields[name]; field != "" && !hasField(n, field) {
				fault(n, "%s without %s: use torchtest.Options", name, field)
			}
			if !strings.HasSuffix(name, "Machine") {
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && isIdent(kv.Key, "Device") && isText(kv.Value, "cpu") {
						fault(kv, `the device "cpu": use "auto", which is that of the tests`)
					}
				}
			}
		case *ast.SelectorExpr:
			name := typeName(n)
			if pkg != "torch" && (name == "torch.CPU" || name == "torch.CUDA") || !strings.HasPrefix(pkg, "torch") && slices.Contains(makers, name) {
				fault(n, "%s: use torchtest", name)
			}
		case *ast.BasicLit:
			if isText(n, "device="+"cpu") {
				fault(n, "the device cpu: leave it out")
			}
		}
		return true
	})
	return faults
}

func hasField(n *ast.CompositeLit, field string) bool {
	return slices.ContainsFunc(n.Elts, func(e ast.Expr) bool {
		kv, ok := e.(*ast.KeyValueExpr)
		return ok && isIdent(kv.Key, field)
	})
}

// typeName returns NAME or PACKAGE.NAME of a type, also of one with type arguments, and "" for others.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if p, ok := e.X.(*ast.Ident); ok {
			return p.Name + "." + e.Sel.Name
		}
	case *ast.IndexExpr:
		return typeName(e.X)
	}
	return ""
}

func isIdent(e ast.Expr, name string) bool { i, ok := e.(*ast.Ident); return ok && i.Name == name }

func isText(e ast.Expr, text string) bool {
	b, ok := e.(*ast.BasicLit)
	return ok && b.Kind == token.STRING && strings.Trim(b.Value, "`\"") == text
}

// What the test above finds.
func TestOwnDevices(t *testing.T) {
	for code, words := range map[string]string{
		`torch.Zeros(torch.Options{}, 2)`:                                "torch.Options without Device",
		`torch.Zeros(torch.Options{DType: torch.Float64}, 2)`:            "torch.Options without Device",
		`torch.Zeros(torch.Options{Device: d}, 2)`:                       "",
		`torch.FromFloat64(v, 2)`:                                        "torch.FromFloat64: use torchtest",
		`x.ToDevice(torch.CPU)`:                                          "torch.CPU: use torchtest",
		`train.Setup{Seed: 3}`:                                           "train.Setup without Options",
		`run.Probe[int]{}`:                                               "run.Probe without Device",
		`lab.EvalOptions{Device: "cpu"}`:                                 `the device "cpu"`,
		`run.Machine{Device: "cpu"}`:                                     "",
		"[]string{`device=" + "cpu`}":                                    "the device cpu",
		`torch.Zeros(torchtest.Options(torch.Float32), 2).Add(kept, "")`: "",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\nvar _ = "+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := ownDevices(f, "x")
		if (len(got) == 0) != (words == "") || len(got) > 0 && !strings.HasPrefix(got[0].words, words) {
			t.Errorf("%s: %v, not %q", code, got, words)
		}
	}
}
