package torchtest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"hdas/torch"
)

// Variable is the environment variable that names the device of all tests: cpu, which is the default also
// where there is a GPU, cuda, cuda:N, or auto. "auto" of every configuration and command is this device.
const Variable = "HDAS_TEST_DEVICE"

func init() {
	if os.Getenv(Variable) == "" {
		os.Setenv(Variable, torch.CPU.String())
	}
	d, err := parse()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Variable, err)
		os.Exit(1)
	}
	if d.IsCUDA() { // tests of equal bytes
		torch.Do(func(*torch.Scope) error { torch.SetDeterministic(true); return nil })
	}
}

func parse() (torch.Device, error) {
	if name := os.Getenv(Variable); name != torch.CPU.String() { // for the CPU, CUDA's libraries need not be loaded
		return torch.ParseDevice(name)
	}
	return torch.CPU, nil
}

// Device returns the device of all tests, or the CPU after OnCPU.
func Device() torch.Device {
	d, err := parse()
	if err != nil {
		panic(err) // it has been changed since the program began
	}
	return d
}

// DeviceOf returns the device of one of several processes of a test: on GPUs the one with the index of its rank, if there
// is one, and else Device. gpus is their number, 0 on the CPU.
func DeviceOf(rank int) (d torch.Device, gpus int) {
	d = Device()
	if !d.IsCUDA() {
		return d, 0
	}
	if gpus = torch.CUDADevices(); rank < gpus {
		d = torch.CUDA(rank)
	}
	return d, gpus
}

// OnCPU is called first by tests of what exists on the CPU alone: its kernels, threads, instruction sets and
// memory. Until the test ends, Device is the CPU.
func OnCPU(t testing.TB) {
	t.Helper()
	t.Setenv(Variable, torch.CPU.String())
}

// Threads returns a function that sets the number of libtorch's threads. The number before is set again at the end of the test.
func Threads(t testing.TB) (set func(n int)) {
	set = func(n int) { Do(t, func(*torch.Scope) { torch.SetThreads(n) }) }
	Do(t, func(*torch.Scope) {
		was := torch.Threads()
		t.Cleanup(func() { set(was) })
	})
	return set
}

// OutOfMemory returns words of libtorch's error where Device has too little memory.
func OutOfMemory() string {
	if Device().IsCUDA() {
		return "CUDA out of memory"
	}
	return "DefaultCPUAllocator: can't allocate memory"
}

// ofGPU is what each run on a GPU notes, as it is or in the log of a program.
var ofGPU = regexp.MustCompile(`^(seed \d+: )?(hdas: )?(precision \S+ on cuda|processes share a GPU)`)

// Notes returns what a run has noted, or the lines of a program's log, without those that each run on a GPU has.
func Notes(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(note string) bool { return Device().IsCUDA() && ofGPU.MatchString(note) })
}

// Options returns the options of a tensor of that type on Device.
func Options(t torch.DType) torch.Options { return torch.Options{DType: t, Device: Device()} }

// Host returns the options of a tensor of that type on the CPU, for what a test compares the device with.
func Host(t torch.DType) torch.Options { return torch.Options{DType: t, Device: torch.CPU} }

// Float32s returns a new tensor on Device.
func Float32s(data []float32, shape ...int64) torch.Tensor {
	return torch.FromFloat32(data, shape...).ToDevice(Device())
}

// Float64s returns a new tensor on Device.
func Float64s(data []float64, shape ...int64) torch.Tensor {
	return torch.FromFloat64(data, shape...).ToDevice(Device())
}

// Int64s returns a new tensor on Device.
func Int64s(data []int64, shape ...int64) torch.Tensor {
	return torch.FromInt64(data, shape...).ToDevice(Device())
}
