// Package golden reads reference results, most of them from PyTorch, that tests compare with. A missing file
// fails the test.
package golden

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
)

// File holds reference tensors on torchtest.Device. They belong to the scope in which Read was called.
type File struct {
	name    string
	tensors map[string]torch.Tensor
}

// Read reads a safetensors file in this package's data folder. Call it inside torch.Do.
func Read(t testing.TB, name string) File {
	t.Helper()
	tensors, _, err := run.ReadTensors(Path(name))
	if err != nil {
		t.Fatalf("golden %s: %v", name, err)
	}
	for n, v := range tensors {
		tensors[n] = v.ToDevice(torchtest.Device())
	}
	return File{name, tensors}
}

// ReadJSON reads a JSON file in this package's data folder into the value that v points to.
func ReadJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(Path(name))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatalf("golden %s: %v", name, err)
	}
}

// Path returns the path of a file in this package's data folder.
func Path(name string) string { return filepath.Join(data, filepath.FromSlash(name)) }

// data is the path of this package's data folder. Tests start in the folder of their package, so that it
// is found from there upwards; a path that the compiler recorded would be that of another machine.
var data = func() string {
	for dir, _ := os.Getwd(); ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "internal", "golden", "data")
		if _, err := os.Stat(path); err == nil || dir == filepath.Dir(dir) {
			return path
		}
	}
}()

// Get returns the tensor with the given name, and fails the test if there is none.
func (f File) Get(t testing.TB, name string) torch.Tensor {
	t.Helper()
	v, ok := f.tensors[name]
	if !ok {
		t.Fatalf("golden %s has no %s", f.name, name)
	}
	return v
}

// Under returns the tensors whose names begin with prefix. Their new name is rename of the part after the
// prefix, or that part itself if rename is nil. Tensors whose new name is empty are left out.
func (f File) Under(prefix string, rename func(name string) string) map[string]torch.Tensor {
	found := map[string]torch.Tensor{}
	for name, v := range f.tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if rename != nil {
				rest = rename(rest)
			}
			if rest != "" {
				found[rest] = v
			}
		}
	}
	return found
}

// Check fails the test if got and want differ in shape, if one of them has a NaN or an infinity where the
// other does not have the same, or if finite values differ by more than tolerance times the largest finite
// absolute value of want.
func Check(t testing.TB, what string, got, want torch.Tensor, tolerance float64) {
	t.Helper()
	if !got.Defined() {
		t.Errorf("%s is undefined", what)
		return
	}
	if !slices.Equal(got.Shape(), want.Shape()) {
		t.Errorf("%s has shape %v, not %v", what, got.Shape(), want.Shape())
		return
	}
	a, b := got.Float64s(), want.Float64s()
	var diff, size float64
	for i := range a {
		d := math.Abs(a[i] - b[i])
		switch {
		case a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]): // includes equal infinities
		case math.IsNaN(d) || math.IsInf(d, 0):
			t.Errorf("%s is %v at element %d, not %v", what, a[i], i, b[i])
			return
		default:
			diff = max(diff, d)
		}
		if !math.IsNaN(b[i]) && !math.IsInf(b[i], 0) {
			size = max(size, math.Abs(b[i]))
		}
	}
	if diff > tolerance*size {
		t.Errorf("%s differs by %.3g of its largest value, more than %.3g", what, diff/size, tolerance)
	}
}
