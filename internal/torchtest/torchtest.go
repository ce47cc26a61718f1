// Package torchtest is what tests of tensor work share.
package torchtest

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"hdas/torch"
)

// Main runs a package's tests and fails where one leaves a goroutine behind.
func Main(m *testing.M) {
	// The goroutine that does all tensor work lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hdas/torch.serve"))
}

// T is what testing.T and rapid.T have in common.
type T interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// Do runs f as torch.Do does, and fails on an error of libtorch and on tensors left behind.
func Do(t T, f func(s *torch.Scope)) {
	t.Helper()
	before := torch.Live()
	if err := torch.Do(func(s *torch.Scope) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
	if left := torch.Live() - before; left != 0 {
		t.Fatalf("%d tensors left behind", left)
	}
}

// Try is Do for an f that may fail.
func Try(t T, f func() error) {
	t.Helper()
	var err error
	Do(t, func(*torch.Scope) { err = f() })
	if err != nil {
		t.Fatal(err)
	}
}

// Panics runs f and returns the text of what it panicked with, empty if it did not.
func Panics(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

// EachDevice runs f on the CPU always, and on the first CUDA device where there is one.
func EachDevice(t *testing.T, f func(t *testing.T, d torch.Device)) {
	t.Run("cpu", func(t *testing.T) { f(t, torch.CPU) })
	t.Run("cuda", func(t *testing.T) {
		if torch.CUDADevices() == 0 {
			t.Skip("no CUDA device that this build and machine can use")
		}
		f(t, torch.CUDA(0))
	})
}

// EachOptions runs f for both types of floating point, on every device.
func EachOptions(t *testing.T, f func(t *testing.T, o torch.Options)) {
	EachDevice(t, func(t *testing.T, d torch.Device) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			t.Run(dtype.String(), func(t *testing.T) { f(t, torch.Options{DType: dtype, Device: d}) })
		}
	})
}
