package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"strconv"
	"strings"

	"hdas/torch/dtype"
)

// Device is the device that holds a tensor's elements: the CPU, the zero value, or a CUDA device.
type Device int32

// CPU is the host processor.
const CPU Device = 0

// CUDA returns the CUDA device with the given index, counted from 0.
func CUDA(index int) Device { return Device(index + 1) }

// IsCUDA reports whether d is a CUDA device.
func (d Device) IsCUDA() bool { return d > 0 }

// c returns libtorch's index of the device: -1 for the CPU.
func (d Device) c() int32 { return int32(d) - 1 }

// String returns PyTorch's name of the device: "cpu" or "cuda:N".
func (d Device) String() string {
	if d.IsCUDA() {
		return fmt.Sprintf("cuda:%d", d-1)
	}
	return "cpu"
}

// CUDADevices returns the number of CUDA devices that this program can use on this machine.
func CUDADevices() int {
	start()
	return int(C.hdas_cuda_devices())
}

// NoCUDA returns why this program can use no CUDA device on this machine, an empty text if it can.
func NoCUDA() string {
	switch n := CUDADevices(); {
	case n > 0:
		return ""
	case thread.cuda != "":
		return thread.cuda
	}
	return "the NVIDIA driver finds no device that libtorch can use; see nvidia-smi and CUDA_VISIBLE_DEVICES"
}

// ParseDevice returns the device with the given name: "cpu", "cuda" (the first CUDA device),
// "cuda:N", or "auto" (the first CUDA device if there is one, else the CPU). It returns an error for
// any other name, and if the device does not exist.
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
			if n == 0 {
				return CPU, fmt.Errorf("device %q: %s; use cpu, or see hdas doctor", name, NoCUDA())
			}
			return CPU, fmt.Errorf("device %q: there are %d CUDA devices, counted from 0", name, n)
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

// Options holds the element type and the device of a new tensor. The zero value means float32 on the
// CPU.
type Options struct {
	DType  DType
	Device Device
}

// Version returns the version of libtorch.
func Version() string { return C.GoString(C.hdas_version()) }

// InstructionSet returns the name of the instruction set that the CPU kernels of this package use: the
// fastest of plain, avx2 and avx512 that the processor supports. The environment variable
// HDAS_TEST_ISA selects another one. If the processor does not support that one, this function and
// all kernels panic with *Error.
func InstructionSet() string {
	var name *C.char
	check("instruction set", nil, C.hdas_instruction_set(&name))
	return C.GoString(name)
}

// Instructions returns the instruction sets that decide how sums are rounded on the CPU: that of the kernels
// and that of libtorch's own operations, as in "kernels avx2, libtorch AVX2".
func Instructions() string {
	var libtorch *C.char
	check("instruction set", nil, C.hdas_libtorch_instruction_set(&libtorch))
	return fmt.Sprintf("kernels %s, libtorch %s", InstructionSet(), C.GoString(libtorch))
}

// SetTF32 switches TF32 on or off for the convolutions and matrix products of float32 tensors on CUDA devices:
// their inputs are rounded to 10 bits of mantissa, which is faster on GPUs with tensor cores. It is off
// until it is switched on (PyTorch's default is on for convolutions).
func SetTF32(on bool) {
	enter("tf32")
	check("tf32", nil, C.hdas_set_tf32(cbool(on)))
}

// SetDeterministic says whether cuDNN uses only algorithms that give the same bits each time. It also switches
// off what SetBenchmark switches on.
func SetDeterministic(on bool) {
	enter("cudnn")
	check("cudnn", nil, C.hdas_set_cudnn(cbool(on), cbool(false)))
}

// SetBenchmark says whether cuDNN measures its algorithms for each new shape and uses the fastest. It also
// switches off what SetDeterministic switches on. libtorch's default is off.
func SetBenchmark(on bool) {
	enter("cudnn")
	check("cudnn", nil, C.hdas_set_cudnn(cbool(false), cbool(on)))
}

// CUDASwitches returns what SetTF32, SetDeterministic and SetBenchmark have switched on.
func CUDASwitches() (tf32, deterministic, benchmark bool) {
	enter("cuda_switches")
	var t, d, b C.int
	check("cuda_switches", nil, C.hdas_cuda_switches(&t, &d, &b))
	return t != 0, d != 0, b != 0
}

// Synchronize waits until a CUDA device has finished all work submitted to it. For the CPU it returns
// at once.
func Synchronize(d Device) {
	enter("synchronize")
	if d.IsCUDA() {
		check("synchronize", nil, C.hdas_synchronize(C.int(d.c())))
	}
}

// FreeMemory returns the number of bytes of a CUDA device that no process uses.
func FreeMemory(d Device) int64 {
	enter("free_memory")
	var free C.int64_t
	check("free_memory", nil, C.hdas_free_memory(C.int(d.c()), &free))
	return int64(free)
}

// PeakMemory runs f and returns the peak memory of tensors on devices of d's kind meanwhile, in bytes.
// On CUDA it counts all tensors of this process, on the CPU only those made during a PeakMemory call.
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
