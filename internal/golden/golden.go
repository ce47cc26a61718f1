// Package golden reads the numbers that tests must equal. A file that is absent fails the test.
package golden

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hdas/run"
	"hdas/torch"
)

// File holds golden tensors. They belong to the scope that File was read in.
type File struct {
	name    string
	tensors map[string]torch.Tensor
}

// Read reads a file of this package's data folder. It runs inside torch.Do.
func Read(t testing.TB, name string) File {
	t.Helper()
	tensors, _, err := run.ReadTensors(Path(name))
	if err != nil {
		t.Fatalf("golden %s: %v", name, err)
	}
	return File{name, tensors}
}

// ReadJSON reads a JSON file of this package's data folder into what v points at.
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

// Path is where a file of this package's data folder is.
func Path(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "data", filepath.FromSlash(name))
}

// Get is the tensor of that name.
func (f File) Get(t testing.TB, name string) torch.Tensor {
	t.Helper()
	v, ok := f.tensors[name]
	if !ok {
		t.Fatalf("golden %s has no %s", f.name, name)
	}
	return v
}

// Under are the tensors whose names begin with prefix, renamed by what follows it, as rename says;
// an empty new name leaves one out.
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

// Check fails the test where got has another shape than want, where one of them holds NaN or an
// infinity and the other does not hold the same, and where finite values differ by more than
// tolerance times want's largest finite value.
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
		case a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]): // equal infinities, too
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
