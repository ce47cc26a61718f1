package nn_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"hdas/torch"
)

func TestMain(m *testing.M) {
	// The goroutine that does all tensor work lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hdas/torch.serve"))
}

// do runs f as torch.Do does, and fails on an error of libtorch and on tensors left behind.
func do(t *testing.T, f func(s *torch.Scope)) {
	t.Helper()
	before := torch.Live()
	if err := torch.Do(f); err != nil {
		t.Fatal(err)
	}
	if left := torch.Live() - before; left != 0 {
		t.Fatalf("%d tensors left behind", left)
	}
}

// eachOptions runs f for both types of floating point, on the CPU always and on the first CUDA
// device where there is one.
func eachOptions(t *testing.T, f func(t *testing.T, o torch.Options)) {
	for _, name := range []string{"cpu", "cuda"} {
		t.Run(name, func(t *testing.T) {
			d := torch.CPU
			if name == "cuda" {
				if d = torch.CUDA(0); torch.CUDADevices() == 0 {
					t.Skip("no CUDA device that this build and machine can use")
				}
			}
			for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
				t.Run(dtype.String(), func(t *testing.T) { f(t, torch.Options{DType: dtype, Device: d}) })
			}
		})
	}
}

// panics runs f and returns the text of what it panicked with, empty if it did not.
func panics(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}
