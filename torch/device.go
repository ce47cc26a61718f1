package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"strconv"
	"strings"

	"hdas/torch/dtype"
)

// Device is where a tensor lies: the CPU, which is the zero value, or a CUDA device.
type Device int32

// CPU is the host.
const CPU Device = 0

// CUDA is the CUDA device with that index, from 0.
func CUDA(index int) Device { return Device(index + 1) }

// IsCUDA reports whether d is a CUDA device.
func (d Device) IsCUDA() bool { return d > 0 }

func (d Device) c() int32 { return int32(d) - 1 }

func (d Device) String() string {
	if d.IsCUDA() {
		return fmt.Sprintf("cuda:%d", d-1)
	}
	return "cpu"
}

// CUDADevices is the number of CUDA devices that this build and machine can use.
func CUDADevices() int { return int(C.hdas_cuda_devices()) }

// ParseDevice reads "cpu", "cuda" (the first), "cuda:N", or "auto": the first CUDA device where
// there is one, else the CPU. A device that is not there is an error.
func ParseDevice(name string) (Device, error) {
	n := CUDADevices()
	switch {
	case name == "cpu", name == "auto" && n == 0:
		return CPU, nil
	case name == "auto", name == "cuda" && n > 0:
		return CUDA(0), nil
	case name == "cuda" || strings.HasPrefix(name, "cuda:"):
		index, err := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(name, "cuda"), ":"))
		if name != "cuda" && (err != nil || index < 0) {
			break
		}
		if index >= n {
			return CPU, fmt.Errorf("device %q: %d CUDA devices found; a CUDA build (make CUDA=1) and an NVIDIA driver are needed, or use cpu", name, n)
		}
		return CUDA(index), nil
	}
	return CPU, fmt.Errorf("device %q is unknown; known are auto, cpu, cuda, cuda:N", name)
}

// DType is the type of a tensor's elements. The zero value is Float32.
type DType = dtype.DType

// The element types; see package dtype.
const (
	Float32  = dtype.Float32
	Float64  = dtype.Float64
	Float16  = dtype.Float16
	BFloat16 = dtype.BFloat16
	Int64    = dtype.Int64
	Int32    = dtype.Int32
	Int16    = dtype.Int16
	Int8     = dtype.Int8
	Uint8    = dtype.Uint8
	Bool     = dtype.Bool
)

// Options say where and as what a new tensor is made. The zero value is float32 on the CPU.
type Options struct {
	DType  DType
	Device Device
}

// Version is libtorch's.
func Version() string { return C.GoString(C.hdas_version()) }

// InstructionSet is the name of the instruction set that kernels on the CPU are run in: the fastest
// of plain, avx2 and avx512 that the processor has. The environment variable HDAS_TEST_ISA forces
// another one; where it names none that the processor has, this function and all kernels panic with
// an *Error that says so.
func InstructionSet() string {
	var name *C.char
	check("instruction set", nil, C.hdas_instruction_set(&name))
	return C.GoString(name)
}

// Synchronize waits until all that was asked of a CUDA device is done; on the CPU it always is.
func Synchronize(d Device) {
	enter("synchronize")
	if d.IsCUDA() {
		check("synchronize", nil, C.hdas_synchronize(C.int(d.c())))
	}
}

// PeakMemory runs f and returns the most bytes that tensors on devices of d's kind had at once
// meanwhile: on CUDA all of this process, on the CPU those that were made in an f.
func PeakMemory(d Device, f func()) int64 {
	enter("peak_memory")
	var peak C.int64_t
	check("peak_memory", nil, C.hdas_watch_memory(C.int(d.c())))
	func() {
		defer func() { check("peak_memory", nil, C.hdas_watched_memory(&peak)) }()
		f()
	}()
	return int64(peak)
}
