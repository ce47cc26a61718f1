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

// DType is the type of a tensor's elements, with libtorch's numbers.
type DType int32

// The element types in use. Networks compute in Float32 or Float64.
const (
	Uint8    DType = 0
	Int64    DType = 4
	Float16  DType = 5
	Float32  DType = 6
	Float64  DType = 7
	Bool     DType = 11
	BFloat16 DType = 15
)

// Size is the number of bytes of one element.
func (d DType) Size() int64 {
	switch d {
	case Uint8, Bool:
		return 1
	case Float16, BFloat16:
		return 2
	case Float32:
		return 4
	}
	return 8
}

func (d DType) String() string {
	switch d {
	case Uint8:
		return "uint8"
	case Int64:
		return "int64"
	case Float16:
		return "float16"
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	case Bool:
		return "bool"
	case BFloat16:
		return "bfloat16"
	}
	return fmt.Sprintf("dtype(%d)", int32(d))
}

// Options say where and as what a new tensor is made. The zero value is float32 on the CPU.
type Options struct {
	DType  DType // zero means Float32: nothing here makes uint8 tensors out of nothing
	Device Device
}

func (o Options) dtype() int32 {
	if o.DType == 0 {
		return int32(Float32)
	}
	return int32(o.DType)
}

// Version is libtorch's.
func Version() string { return C.GoString(C.hdas_version()) }
