// Package torchtest holds helpers for tests that use tensors. A test makes its tensors with Options, Float32s,
// Float64s and Int64s, on the device that the environment variable HDAS_TEST_DEVICE names. Tests of packages
// that link libtorch import this package: a test program that does, ends at once if it cannot use that device.
package torchtest

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"hdas/torch"
)

// Main runs a package's tests and fails if goroutines are left at the end.
func Main(m *testing.M) {
	// The goroutine that does all tensor work lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hdas/torch.serve"))
}

// T is the common part of testing.T and rapid.T.
type T interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// Do runs f with torch.Do. It fails the test if torch.Do returns an error, or if f leaves tensors that are
// not freed.
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

// Try is like Do, and also fails the test if f returns an error.
func Try(t T, f func() error) {
	t.Helper()
	var err error
	Do(t, func(*torch.Scope) { err = f() })
	if err != nil {
		t.Fatal(err)
	}
}

// Panics runs f and returns the value of its panic as a text, or an empty text if f did not panic.
func Panics(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

// EachDevice runs f as a subtest on the CPU and, if it is another one, on the device of all tests.
func EachDevice(t *testing.T, f func(t *testing.T, d torch.Device)) {
	devices := []torch.Device{torch.CPU}
	if d := Device(); d != torch.CPU {
		devices = append(devices, d)
	}
	torch.Do(func(*torch.Scope) error { torch.SetTF32(false); return nil }) // float32 has its 24 bits
	for _, d := range devices {
		t.Run(d.String(), func(t *testing.T) { f(t, d) })
	}
}

// EachOptions runs f as a subtest for float32 and float64 on each device of EachDevice.
func EachOptions(t *testing.T, f func(t *testing.T, o torch.Options)) {
	EachDevice(t, func(t *testing.T, d torch.Device) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			t.Run(dtype.String(), func(t *testing.T) { f(t, torch.Options{DType: dtype, Device: d}) })
		}
	})
}
