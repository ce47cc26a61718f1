package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"strconv"
	"strings"
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
type DType uint8

// The element types in use. Networks compute in Float32 or Float64.
const (
	Float32 DType = iota
	Float64
	Float16
	BFloat16
	Int64
	Uint8
	Bool
)

// dtypes has libtorch's number, the bytes of an element and PyTorch's name of every type.
var dtypes = [...]struct {
	number int32
	size   int64
	name   string
}{
	Float32: {6, 4, "float32"}, Float64: {7, 8, "float64"}, Float16: {5, 2, "float16"}, BFloat16: {15, 2, "bfloat16"},
	Int64: {4, 8, "int64"}, Uint8: {0, 1, "uint8"}, Bool: {11, 1, "bool"},
}

// Size is the number of bytes of one element.
func (d DType) Size() int64 { return dtypes[d].size }

func (d DType) String() string {
	if int(d) >= len(dtypes) {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

func (d DType) c() int32 { return dtypes[d].number }

// dtypeOf is the type that libtorch has that number for.
func dtypeOf(number int32) DType {
	for d := range dtypes {
		if dtypes[d].number == number {
			return DType(d)
		}
	}
	panic(fmt.Sprintf("torch: libtorch's element type %d is not in use here", number))
}

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
