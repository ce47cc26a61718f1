package optim_test

import (
	"testing"

	"go.uber.org/goleak"

	"hdas/torch"
)

func TestMain(m *testing.M) {
	// The goroutine that does all tensor work lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hdas/torch.serve"))
}

type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// do runs f as torch.Do does, and fails on an error of libtorch and on tensors left behind.
func do(t failer, f func(s *torch.Scope)) {
	t.Helper()
	before := torch.Live()
	if err := torch.Do(f); err != nil {
		t.Fatal(err)
	}
	if left := torch.Live() - before; left != 0 {
		t.Fatalf("%d tensors left behind", left)
	}
}

// eachDevice runs f on the CPU always, and on the first CUDA device where there is one.
func eachDevice(t *testing.T, f func(t *testing.T, d torch.Device)) {
	t.Run("cpu", func(t *testing.T) { f(t, torch.CPU) })
	t.Run("cuda", func(t *testing.T) {
		if torch.CUDADevices() == 0 {
			t.Skip("no CUDA device that this build and machine can use")
		}
		f(t, torch.CUDA(0))
	})
}
